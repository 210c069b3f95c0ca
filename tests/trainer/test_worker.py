"""``python -m trainer worker``: the process of a pod, with real trainers."""

import json
import os
import re
import subprocess
import sys

import psutil
import pytest

from tests.support.teams import SMALL, outcome, saved
from tests.trainer.pods import Pods, arguments, copied, environment
from trainer import config
from trainer.errors import EXIT_DONE, EXIT_FAILED, EXIT_RESTART, EXIT_USER
from trainer.run.index import read as read_index
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
        assert lines[1] == b"generation 1: all 2 workers have met"
        assert lines[0] == f"pod gan-{index}-x7k2p: worker {index} of 2, attempt 1".encode()
        assert copied(store, index) == log.read_bytes()
        # Nothing is said after the last word: a worker that left early made TensorFlow complain in six lines.
        assert lines[-1].startswith(b"finished 60 steps: ") if index == 0 else len(lines) == 2, lines
    assert b"60/60 [D loss: " in copied(store, 0) and not pods.messages[0].exists()
    record = json.loads(store.read("run.json"))
    assert {"launcher", "python", "gantry", "keras"} <= record["versions"].keys()
    assert record["git_revision"] == "abc123"
    for name in claimed.keys() - {"versions", "git_revision"}:
        assert record[name] == claimed[name]


def test_pods_that_are_asked_to_stop_save_and_go_on_and_leave_with_0_when_their_attempt_is_cancelled(
    gcs_root, tmp_path
):
    store, endless = open_store(f"{gcs_root}/e/job"), (*SMALL, "steps=1000000")
    claim(store, endless)
    logs = []
    for pod, cancelled, code in (("gan-0-first", 2, EXIT_RESTART), ("gan-0-second", 1, EXIT_DONE)):
        store.write("cancel.json", json.dumps({"attempt": cancelled}).encode())
        with Pods(gcs_root, "job", tmp_path / pod, sets=endless, GANTRY_POD=pod) as pods:
            pods.until(lambda pods=pods: b"/1000000 [D loss" in pods.logs[0].read_bytes())
            pods.ask_to_stop()
            assert pods.wait() == [code], pods.log()
        assert status(store)["state"] == "stopped"
        assert store.stat(f"checkpoints/{status(store)['step']}/manifest.json").size > 0
        logs.append(pods.logs[0].read_bytes())
        assert copied(store, 0) == b"".join(logs)
    assert logs[0].splitlines()[-1].startswith(b"stopped after step ")
    first, told, third, *_ = logs[1].splitlines()
    assert first == b"pod gan-0-second: worker 0 of 1, attempt 1"
    assert told.startswith(b"data.source digits: ") and third.startswith(b"resuming ")


def trainer_of(pods, index):
    """The trainer process in a pod, awaited."""
    pods.until(lambda: psutil.Process(pods.processes[index].pid).children())
    return psutil.Process(pods.processes[index].pid).children()[0]


def status(store):
    return json.loads(store.read("status.json")) if store.stat("status.json") else {}


def test_a_trainer_that_is_killed_is_started_again_with_its_peers_and_nothing_is_lost(
    gcs_root, tmp_path, undisturbed
):
    store, states = open_store(f"{gcs_root}/e/job"), set()
    often = (*SMALL, "checkpoints.every_steps=5")  # killed early, it is not over before it is killed
    with Pods(gcs_root, "job", tmp_path, workers=2, sets=often) as pods:
        pods.until(lambda: saved(store))
        trainer_of(pods, 1).kill()
        pods.until(lambda: states.add(status(store).get("state")) or "restarting" in states)
        told = status(store)
        assert pods.wait() == [EXIT_DONE, EXIT_DONE], pods.log()
    assert told["message"].startswith("worker 1's trainer died of SIGKILL; all workers go on from step ")
    assert told["message"].endswith(" (restart 1)") and told["restarts"] == 1
    assert status(store)["restarted_because"] == "worker 1's trainer died of SIGKILL"
    assert outcome(store, 60) == outcome(undisturbed(2), 60)
    assert "generation 2: all 2 workers have met" in pods.log(0)
    assert "generation 2: all 2 workers have met" in pods.log(1)


def test_a_pod_that_is_paused_and_wakes_up_late_joins_nothing(gcs_root, tmp_path, undisturbed):
    """Its successor has taken its place; the late one finds that out and changes nothing."""
    store, sets = open_store(f"{gcs_root}/e/job"), (*SMALL, "recovery.heartbeat_seconds=3")
    sets += ("checkpoints.every_steps=5",)  # paused early, it is not over before it stands
    with Pods(gcs_root, "job", tmp_path, workers=2, sets=sets, GANTRY_PEER_SECONDS=40) as pods:
        pods.until(lambda: saved(store))
        late = psutil.Process(pods.processes[1].pid)
        frozen = [late, *late.children()]
        for process in frozen:
            process.suspend()
        with pods.replacement(1, GANTRY_POD="gan-1-new") as new:
            new.until(lambda: b"generation 2" in new.logs[0].read_bytes())
            for process in frozen:
                process.resume()
            assert new.wait() == [EXIT_DONE], new.log()
        codes = pods.wait()
    assert codes[0] == EXIT_DONE and codes[1] in (EXIT_DONE, EXIT_RESTART), pods.log()
    # The pods' meeting and TensorFlow wait equally long for one that is silent; either may be the first.
    assert re.search(
        r"starting again: (worker 1 \(pod gan-1-x7k2p\) is gone or does not answer"
        r"|worker 0 lost a peer: worker 1 stopped sending heartbeats); all workers go on from step",
        pods.log(0),
    ), pods.log(0)
    assert "generation 2" not in pods.log(1)
    assert outcome(store, 60) == outcome(undisturbed(2), 60)


def test_without_progress_it_gives_up_and_says_why_everywhere(tmp_path):
    store = open_store(str(tmp_path / "runs/e/job"))
    sets = (*SMALL, "recovery.restarts_without_progress=1")
    claim(store, sets)
    with Pods(str(tmp_path / "runs"), "job", tmp_path, sets=sets) as pods:
        for restarts in (0, 1):
            pods.until(lambda restarts=restarts: pods.log().count("starting again") == restarts)
            trainer_of(pods, 0).kill()
        assert pods.wait() == [EXIT_FAILED], pods.log()
    reason = "1 restarts brought no newer checkpoint than step 0; the last reason: "
    reason += "worker 0's trainer died of SIGKILL"
    assert pods.messages[0].read_text() == f"error: {reason}"
    assert (status(store)["state"], status(store)["message"]) == ("failed", reason)
    assert read_index(open_store(str(tmp_path / "runs/e")))["job"].state == "failed"


def test_a_grace_that_is_shorter_than_a_checkpoint_is_said_and_the_trainer_leaves_with_its_pod(tmp_path):
    endless = (*SMALL, "steps=1000000")
    store = open_store(str(tmp_path / "runs/e/job"))
    with Pods(str(tmp_path / "runs"), "job", tmp_path, sets=endless, GANTRY_GRACE_SECONDS=5) as pods:
        pods.until(lambda: saved(store) >= 60)
        trainer = trainer_of(pods, 0)
        pods.processes[0].kill()
        assert psutil.wait_procs([trainer], timeout=60)[1] == []
    assert pods.log().count("warning: a checkpoint took ") == 1 and "--grace" in pods.log()


def test_a_mistake_that_the_trainer_finds_is_passed_on_and_left_for_kubernetes(tmp_path):
    with Pods(str(tmp_path / "runs"), "job", tmp_path, sets=["data.source=idx:absent"]) as pods:
        assert pods.wait() == [EXIT_USER]
    message = pods.messages[0].read_text()
    assert message.startswith("error: ") and "/absent does not exist" in message
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
        ({"index": -1, "workers": 2}, ["JOB_COMPLETION_INDEX is '-1'", "from 0 to"]),
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


def test_a_pod_that_somebody_added_to_the_job_leaves_with_0_and_says_what_to_do(tmp_path):
    message, root = tmp_path / "termination", tmp_path / "runs"
    result = run_worker(root, index=2, workers=2, GANTRY_TERMINATION_LOG=message)
    assert (result.returncode, result.stderr) == (EXIT_DONE, "")
    assert result.stdout == message.read_text() + "\n" and not root.exists()
    assert "the run has 2 workers (GANTRY_WORKERS) and this would be worker 2" in result.stdout
    assert f"launcher resume e/job --workers 3 --root {root}" in result.stdout


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
        "import sys, trainer.cli, trainer.pod.worker, trainer.storage.gcs; "
        "print(sorted({'tensorflow', 'keras', 'numpy', 'PIL'} & sys.modules.keys()))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert result.stdout.strip() == "[]", result
