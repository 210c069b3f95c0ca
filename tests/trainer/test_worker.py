"""``python -m trainer worker``: the process of a pod, with real trainers and with small ones."""

import json
import os
import signal
import subprocess
import sys

import pytest

from tests.support.teams import SMALL, outcome
from tests.trainer.pods import Pods, arguments, copied, environment
from trainer import config, indexed_job, worker
from trainer.errors import EXIT_DONE, EXIT_FAILED, EXIT_RESTART, EXIT_USER, PeerLost
from trainer.log_copy import LogCopy
from trainer.storage import open_store


def claim(store, sets=SMALL, workers=1):
    """What the launcher writes before there is a pod."""
    resolved = config.resolve("mlp", sets)
    values = {
        "format": 1, "created": "2026-11-01T12:00:00+00:00", "preset": "mlp", "overrides": list(sets),
        "world_size": workers, "seed": resolved.seed, "image": "registry/gantry:1", "git_revision": None,
        "versions": {"launcher": "0.1.0"}, "config": resolved.model_dump(mode="json"),
    }  # fmt: skip
    store.write("run.json", json.dumps(values).encode(), if_generation=0)
    return values


def test_two_pods_train_to_the_bits_of_two_processes_and_leave_their_logs(gcs_root, tmp_path, undisturbed):
    store = open_store(f"{gcs_root}/e/job")
    claimed = claim(store, workers=2)
    with Pods(gcs_root, "job", tmp_path, workers=2, GANTRY_GIT_REVISION="abc123") as pods:
        assert pods.wait() == [EXIT_DONE, EXIT_DONE], pods.log()
    assert outcome(store, 60) == outcome(undisturbed(2), 60)
    for index, log in enumerate(pods.logs):
        lines = log.read_bytes().splitlines()
        assert lines[0] == f"pod gan-{index}-x7k2p: worker {index} of 2, attempt 1".encode()
        assert copied(store, index) == log.read_bytes()
    assert b"60/60 [D loss: " in copied(store, 0) and not pods.messages[0].exists()
    record = json.loads(store.read("run.json"))
    assert {"launcher", "python", "gantry", "keras"} <= record["versions"].keys()
    assert record["git_revision"] == "abc123"
    for name in claimed.keys() - {"versions", "git_revision"}:
        assert record[name] == claimed[name]


def test_a_pod_that_is_asked_to_stop_saves_and_the_next_goes_on_in_the_same_log(gcs_root, tmp_path):
    store, endless = open_store(f"{gcs_root}/e/job"), (*SMALL, "steps=1000000")
    claim(store, endless)
    logs = []
    for pod in ("gan-0-first", "gan-0-second"):
        with Pods(gcs_root, "job", tmp_path / pod, sets=endless, GANTRY_POD=pod) as pods:
            pods.until(lambda pods=pods: b"/1000000 [D loss" in pods.logs[0].read_bytes())
            pods.ask_to_stop()
            assert pods.wait() == [EXIT_RESTART], pods.log()
        logs.append(pods.logs[0].read_bytes())
        assert copied(store, 0) == b"".join(logs)
    assert logs[0].splitlines()[-1].startswith(b"stopped after step ")
    assert logs[1].startswith(b"pod gan-0-second: worker 0 of 1, attempt 1\nresuming ")


def test_a_mistake_that_the_trainer_finds_is_passed_on_and_left_for_kubernetes(tmp_path):
    with Pods(str(tmp_path / "runs"), "job", tmp_path, sets=["data.source=idx:absent"]) as pods:
        assert pods.wait() == [EXIT_USER]
    message = pods.messages[0].read_text()
    assert message.startswith("error: ") and "idx:absent" in message
    assert pods.log().splitlines()[1:] == [message]
    assert copied(open_store(str(tmp_path / "runs/e/job")), 0) == pods.logs[0].read_bytes()


def run_worker(root, *, sets=SMALL, **changes):
    variables = {name: value for name, value in os.environ.items() if not name.startswith(("GANTRY_", "TF_"))}
    return subprocess.run(
        [sys.executable, "-m", "trainer", *arguments(str(root), "job", sets)],
        env=variables | environment(**changes), capture_output=True, text=True, timeout=150,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "parts"),
    [
        ({"JOB_COMPLETION_INDEX": None}, ["JOB_COMPLETION_INDEX is not set", "'train'"]),
        ({"GANTRY_SERVICE": None}, ["GANTRY_SERVICE is not set", "headless Service"]),
        ({"index": 3, "workers": 2}, ["JOB_COMPLETION_INDEX is '3'", "from 0 to 1"]),
        ({"workers": 4}, ["batch_size 66", "4", "GANTRY_WORKERS"]),
        ({"sets": ["optimiser.beta1=1"]}, ["optimiser.beta1", "optimizer.beta1"]),
        ({"workers": 2, "TF_CONFIG": "{"}, ["TF_CONFIG", "not JSON"]),
        ({"TF_CONFIG": '{"cluster": {"worker": ["a:1", "b:1"]}, "task": {"type": "worker", "index": 1}}'},
         ["TF_CONFIG", "worker 1 of 2", "worker 0 of 1"]),
    ],
)  # fmt: skip
def test_bad_input_is_one_line_that_kubernetes_gets_too_and_nothing_is_written(tmp_path, changes, parts):
    message = tmp_path / "termination"
    result = run_worker(tmp_path / "runs", GANTRY_TERMINATION_LOG=message, **changes)
    assert result.returncode == EXIT_USER and result.stdout == ""
    assert result.stderr == message.read_text() + "\n" and result.stderr.startswith("error: ")
    assert all(part in result.stderr for part in parts), result.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["termination"]


def test_peers_that_do_not_come_are_named_in_the_log_and_the_pod_may_be_started_again(tmp_path):
    message = tmp_path / "termination"
    changes = {"GANTRY_TERMINATION_LOG": message, "GANTRY_PEER_SECONDS": 0, "GANTRY_SERVICE": "no-such"}
    result = run_worker(tmp_path / "runs", workers=2, **changes)
    assert result.returncode == EXIT_RESTART and result.stderr == ""
    assert result.stdout.splitlines()[1:] == [message.read_text()]
    assert "gan-0.no-such, gan-1.no-such" in message.read_text()
    assert copied(open_store(str(tmp_path / "runs/e/job")), 0).decode() == result.stdout


def test_the_first_process_of_a_pod_loads_neither_tensorflow_nor_numpy():
    code = (
        "import sys, trainer.cli, trainer.worker, trainer.storage.gcs; "
        "print(sorted({'tensorflow', 'keras', 'numpy', 'PIL'} & sys.modules.keys()))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert result.stdout.strip() == "[]", result


@pytest.fixture
def pod(tmp_path):
    """A pod around a small trainer, the log that it leaves, and the signals given back to pytest."""
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    descriptor = os.open(tmp_path / "stdout", os.O_WRONLY | os.O_CREAT)
    log = LogCopy(open_store(str(tmp_path / "run")), 1, 0, descriptor)

    def run(script):
        found = worker._Pod(indexed_job.from_environment(environment()), log)
        code = found.run([sys.executable, "-u", "-c", script], os.environ)
        log.close(60)
        return code, (tmp_path / "stdout").read_text(), found.lines.message(code)

    yield run
    os.close(descriptor)
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("code", [0, 1, 2, 42, 7])
def test_the_trainers_exit_code_is_passed_on(pod, code):
    script = f"import sys; print('out'); print('error: odd', file=sys.stderr); sys.exit({code})"
    assert pod(script) == (code, "out\nerror: odd\n", "error: odd" if code else "")


def test_a_trainer_that_the_kernel_kills_has_failed_and_is_not_the_users_mistake(pod):
    code, log, message = pod("import os; print('half', end=''); os.kill(os.getpid(), 9)")
    assert code == EXIT_FAILED
    assert message == "error: the trainer of worker 0 died of SIGKILL, most often for want of memory"
    assert log == f"half\n{message}\n"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_is_passed_on_once(pod, number):
    script = f"""
import os, signal, sys, time
heard = []
signal.signal({number:d}, lambda *_: heard.append(1))
for _ in range(3):
    os.kill(os.getppid(), {number:d})
    time.sleep(0.05)
while not heard:
    time.sleep(0.01)
time.sleep(0.2)
print(len(heard))
sys.exit(42)
"""
    assert pod(script)[:2] == (EXIT_RESTART, "1\n")


def test_a_trainer_that_is_stopped_before_it_can_save_may_be_started_again(pod):
    code, _, message = pod("import os, time; os.kill(os.getppid(), 15); time.sleep(60)")
    assert (code, message) == (EXIT_RESTART, "")


def test_what_the_trainer_leaves_behind_holds_nothing_up(pod):
    script = "import subprocess; print('done'); subprocess.Popen(['sleep', '20'])"
    assert pod(script)[:2] == (EXIT_DONE, "done\n")


def test_a_pod_that_is_asked_to_stop_while_it_waits_starts_nothing(pod, tmp_path):
    log = LogCopy(open_store(str(tmp_path / "run")), 1, 0, os.open(os.devnull, os.O_WRONLY))
    found = worker._Pod(indexed_job.from_environment(environment()), log)
    os.kill(os.getpid(), signal.SIGTERM)
    with pytest.raises(PeerLost, match=r"SIGTERM.*while waiting"):
        found.pause(0)
    with pytest.raises(PeerLost, match=r"SIGTERM.*before training began"):
        found.run(["/no/such/trainer"], {})
    log.close(60)
