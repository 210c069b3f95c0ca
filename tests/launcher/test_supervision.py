"""How workers are started, watched and ended, with workers that only keep the trainer's contract."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from launcher.backends.local.living import is_alive
from launcher.backends.local.record import read_record
from launcher.errors import NoSuchRun, RunAlive, RunExists, SpecError
from launcher.runs import verbs
from launcher.spec.runspec import make_spec
from tests.launcher.conftest import FAKE
from tests.launcher.waiting import wait_until
from trainer.errors import AccessError, GantryError, UserError
from trainer.storage import LocalStore


def record_of(started):
    return read_record(LocalStore(started.path.url))


def running(started):
    """Wait until the chief trains and every worker is written down."""
    wait_until(lambda: verbs.status(started.path.root, started.path.name).state == "running", "running")
    return wait_until(lambda: (r := record_of(started)) and len(r.processes) == r.workers and r, "the record")


def to_the_end(started):
    lines = [line for update in verbs.follow(started.path.root, started.path.name) for line in update.lines]
    return verbs.finish(started), lines


def folder(started):
    return Path(started.path.url)


def test_a_run_is_followed_to_its_end(submit):
    started = submit("train", "train")
    record = running(started)
    assert len(set(record.ports)) == 2
    assert all(os.getsid(process.pid) == process.pid for process in record.processes)  # out of Ctrl-C's reach
    (folder(started) / "go").touch()
    outcome, lines = to_the_end(started)
    assert (outcome.exit_code, outcome.status.state) == (0, "finished")
    assert lines[0].worker == 0
    assert lines[0].text.startswith("1/1000 [D loss: 0.5")
    assert [worker.exit_code for worker in outcome.status.workers] == [0, 0]
    assert not (folder(started) / "logs/1/supervisor.log").exists()


def test_cancel_lets_the_workers_save(submit, root):
    started = submit("train", "train")
    running(started)
    ended = verbs.cancel(root, "one")
    assert ended.state == "stopped"
    assert ended.checkpoint_step
    outcome = verbs.finish(started)
    assert outcome.exit_code == 42
    assert f"saved at step {ended.checkpoint_step}" in outcome.text
    assert "launcher resume gan/one" in outcome.text
    assert verbs.cancel(root, "one").state == "stopped"  # again: nothing to do and no error


def test_workers_that_do_not_listen_are_killed_after_their_grace(submit, root):
    started = submit("deaf", grace_seconds=0.2)
    running(started)
    assert verbs.cancel(root, "one").state == "stopped"
    assert record_of(started).processes[0].exit_code == -signal.SIGKILL


def test_cancel_now_does_not_wait_for_the_grace(submit, root):
    started = submit("deaf")
    running(started)
    assert verbs.cancel(root, "one", kill=True).state == "stopped"
    assert record_of(started).cancelled


def test_a_killed_worker_ends_the_attempt_and_is_named(submit):
    started = submit("train", "train")
    os.kill(running(started).processes[1].pid, signal.SIGKILL)
    outcome, _ = to_the_end(started)
    assert outcome.exit_code == 42
    assert outcome.status.state == "interrupted"
    assert "worker 1 was killed by SIGKILL" in outcome.text
    assert "launcher resume gan/one" in outcome.text


def test_a_crash_is_a_failure_with_its_last_words(submit):
    outcome, _ = to_the_end(submit("train", "crash"))
    assert (outcome.exit_code, outcome.status.state) == (1, "failed")
    assert "worker 1 exited with code 1: RuntimeError: the fake crashed" in outcome.text


def test_a_refused_run_leaves_nothing(submit, root):
    outcome, _ = to_the_end(submit("exit:2"))
    assert outcome.exit_code == 2
    assert outcome.text == "data.source nowhere: there is no such folder"
    assert not Path(root).exists()


def test_a_refused_run_leaves_its_neighbours(submit, root, past_run):
    past_run("past")
    to_the_end(submit("exit:2"))
    assert [run.run for run in verbs.list_runs(root)] == ["past"]


def test_a_run_that_had_begun_keeps_its_folder_when_refused(submit):
    started = submit("train", "wait:refuse:2")
    running(started)
    (folder(started) / "refuse").touch()
    outcome, _ = to_the_end(started)
    assert outcome.exit_code == 2
    assert (folder(started) / "run.json").exists()


def test_a_detached_run_that_was_refused_does_not_hold_its_name(submit, root):
    first = submit("exit:2")
    wait_until(lambda: verbs.status(root, "one").state == "failed")
    again = submit("train")
    assert (first.record.attempt, again.record.attempt) == (1, 2)
    assert running(again).attempt == 2


def test_a_living_run_is_not_started_twice(submit, root, fake):
    started = submit("train")
    running(started)
    for start in (lambda: submit("train"), lambda: verbs.resume(root, "one", command=fake("train"))):
        with pytest.raises(RunAlive, match=r"`launcher logs gan/one --follow.*`launcher cancel gan/one"):
            start()


def test_the_lock_alone_refuses_a_second_supervisor(submit, root, fake, monkeypatch):
    started = submit("train")
    running(started)
    monkeypatch.setattr("launcher.backends.local.backend.check_idle", lambda path: None)
    with pytest.raises(RunAlive):
        verbs.resume(root, "one", command=fake("train"))
    assert record_of(started).attempt == 1


def test_the_name_of_a_past_run_is_taken(past_run, submit):
    past_run("one", state="stopped")
    with pytest.raises(RunExists, match="launcher resume gan/one"):
        submit("train")


def test_resume_starts_the_next_attempt(submit, root, fake):
    started = submit("train", "train")
    running(started)
    verbs.cancel(root, "one")
    again = verbs.resume(root, "one", ["steps=20000"], workers=1, command=fake("train"))
    assert (again.record.attempt, again.record.workers, again.record.ports) == (2, 1, ())
    assert again.record.overrides == ("steps=20000",)
    running(again)
    (folder(started) / "go").touch()
    outcome, lines = to_the_end(again)
    assert outcome.exit_code == 0
    assert {line.worker for line in lines} == {0}
    assert {line.worker for line in verbs.logs(root, "one", attempt=1)} == {0}
    with pytest.raises(SpecError, match="expected one of 1, 2"):
        verbs.logs(root, "one", attempt=3)


@pytest.mark.parametrize(
    ("override", "words"), [("seed=3", "--set seed=3: expected 0"), ("steps=5", "at least the 10000 steps")]
)
def test_a_resumed_run_keeps_its_values(past_run, root, fake, override, words):
    past_run("one", state="stopped")
    with pytest.raises(SpecError, match=words):
        verbs.resume(root, "one", [override], command=fake("train"))


def test_a_finished_run_needs_more_steps(past_run, root, fake):
    past = past_run("one")
    status = json.loads((past / "status.json").read_text()) | {"step": 10000}
    (past / "status.json").write_text(json.dumps(status))
    with pytest.raises(SpecError, match=r"finished at step 10000.*--set steps=20000"):
        verbs.resume(root, "one", command=fake("train"))


def test_steps_that_grew_stay_grown(past_run, root, fake):
    past = past_run("one", state="stopped")
    run = json.loads((past / "run.json").read_text())
    run["config"]["steps"] = 12345  # as the trainer writes when a run was resumed with more
    (past / "run.json").write_text(json.dumps(run))
    started = verbs.resume(root, "one", command=fake("train"))
    assert started.record.overrides == ("steps=12345",)


def test_orphans_are_found_and_ended(submit, root):
    started = submit("train", "train")
    record = running(started)
    os.kill(record.supervisor.pid, signal.SIGKILL)
    wait_until(lambda: not is_alive(record.supervisor))
    found = verbs.status(root, "one")
    assert found.state == "running"
    assert "worker 0, 1 lives" in found.explanation
    with pytest.raises(RunAlive):
        submit("train")
    assert verbs.cancel(root, "one").state == "stopped"
    assert not any(is_alive(process) for process in record.processes)


def test_orphans_that_ended_by_themselves_can_be_resumed(submit, root, fake):
    started = submit("train")
    record = running(started)
    os.kill(record.supervisor.pid, signal.SIGKILL)
    os.kill(record.processes[0].pid, signal.SIGKILL)
    wait_until(lambda: verbs.status(root, "one").state == "interrupted")
    assert verbs.resume(root, "one", command=fake("train")).record.attempt == 2


def test_a_supervisor_that_cannot_start_says_why_and_leaves_nothing(submit, root, tmp_path, monkeypatch):
    (tmp_path / "psutil.py").write_text("raise RuntimeError('broken on purpose')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with pytest.raises(GantryError, match="run 'one' did not start: RuntimeError: broken on purpose"):
        submit("train")
    assert not Path(root).exists()


def test_workers_that_cannot_start_are_a_failure(root):
    spec = make_spec("mlp", name="one", root=root)
    started = verbs.submit(spec, command=lambda spec, threads: ["/no/such/program"])
    wait_until(lambda: not verbs.status(root, "one").live)
    assert verbs.status(root, "one").explanation == "its workers could not be started"
    assert "No such file" in (folder(started) / "logs/1/supervisor.log").read_text()


def test_a_bucket_is_refused_by_the_local_backend():
    with pytest.raises(UserError, match="python -P -m trainer"):
        make_spec("mlp", name="one", root="gs://bucket/runs", backend="local")


def test_a_root_that_is_a_file_is_refused(tmp_path, fake):
    (tmp_path / "file").touch()
    with pytest.raises(AccessError, match="is a file"):
        verbs.submit(make_spec("mlp", name="one", root=str(tmp_path / "file")), command=fake("train"))


def test_a_missing_tensorflow_is_named_before_anything_is_written(root, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"pip install 'gantry\[trainer\]'"):
        verbs.submit(make_spec("mlp", name="one", root=root))
    assert not Path(root).exists()


def test_a_run_of_another_trainer_cannot_be_cancelled_here(past_run, root):
    past_run("one", state="running")
    with pytest.raises(UserError, match="not started by this launcher"):
        verbs.cancel(root, "one")


def test_unknown_runs(root, past_run):
    with pytest.raises(NoSuchRun, match="holds no runs"):
        verbs.cancel(root, "one")
    past_run("demo-1")
    with pytest.raises(NoSuchRun, match="nearest are demo-1"):
        verbs.resume(root, "demo-2")


FOREGROUND = """
import sys
import typer
from launcher import cli
from launcher.runs import verbs as runs
from launcher.commands.common import OutputFormat
from launcher.commands.following import run_in_foreground
from launcher.spec.runspec import make_spec

fake, root, plan = sys.argv[1:]
spec = make_spec("mlp", name="one", root=root, workers=2)
command = [sys.executable, fake, spec.path.url, plan]
cli.app = typer.Typer()

@cli.app.command()
def submit():
    run_in_foreground(lambda: runs.submit(spec, command=lambda spec, threads: command), OutputFormat.text)

cli.main([])
"""


@pytest.fixture
def foreground(root, fake):
    """The launcher in the foreground, in a process of its own."""

    def start(*plan):
        what = json.dumps({str(worker): each for worker, each in enumerate(plan)})
        return subprocess.Popen(
            [sys.executable, "-c", FOREGROUND, str(FAKE), root, what],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip

    return start


def is_running(root):
    try:
        return verbs.status(root, "one").state == "running"
    except NoSuchRun:
        return False


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_saves_and_stops(foreground, root, number):
    process = foreground("train", "train")
    wait_until(lambda: is_running(root))
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 42
    assert "worker-0 | 1/1000 [D loss" in out
    step = verbs.status(root, "one").checkpoint_step
    assert f"stopped; saved at step {step}; go on with `launcher resume gan/one" in err
    assert "Traceback" not in err


def test_a_second_ctrl_c_kills(foreground, root):
    process = foreground("deaf", "deaf")
    wait_until(lambda: is_running(root))
    process.send_signal(signal.SIGINT)
    wait_until(lambda: verbs.status(root, "one").state == "stopping")
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 42
    assert "nothing is saved" in err
    assert [worker.exit_code for worker in verbs.status(root, "one").workers] == [-9, -9]


def test_a_killed_launcher_leaves_a_run_that_is_found_and_cancelled(foreground, root):
    process = foreground("train", "train")
    wait_until(lambda: is_running(root))
    process.kill()
    process.communicate(timeout=60)
    assert is_running(root)
    assert verbs.cancel(root, "one").state == "stopped"


def test_a_failed_run_is_one_line_on_stderr(foreground, root):
    out, err = foreground("train", "crash").communicate(timeout=60)
    assert "worker-1 | RuntimeError" in out
    assert err.startswith("error: run 'one' ended early: worker 1 exited with code 1")
    assert err.count("\n") == 1
