"""A run's lock: held while anything of the run lives, and by whoever destroys."""

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from launcher.artifacts import delete_files
from launcher.backends.local import attempts, holding, lock
from launcher.backends.local.backend import LocalBackend
from launcher.backends.local.living import is_alive
from launcher.backends.local.record import read_record, write_record
from launcher.errors import NoSuchRun, RunAlive, RunExists, Unsupported
from launcher.records.run_folder import Found, find_run
from launcher.runs import verbs
from launcher.spec.runspec import make_spec
from tests.launcher.waiting import wait_until
from trainer.run import holder, layout, lease
from trainer.storage import LocalStore, open_store


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    """What is waited for in these tests is under way already, or never comes."""
    monkeypatch.setattr(lock, "_PATIENCE_SECONDS", 0.5)
    monkeypatch.setattr("launcher.backends.local.backend._HANDOVER_SECONDS", 0.5)


def running(started):
    wait_until(lambda: verbs.status(started.path.root, started.path.name).state == "running", "running")
    return read_record(LocalStore(started.path.url))


def found_in(root, name="one"):
    return find_run(root, name)


def begin(root, fake, *plan, resuming=False):
    spec = make_spec("mlp", name="one", root=root)
    return attempts.start(spec, resuming=resuming, command=fake(*plan))


def test_the_lock_is_held_from_the_start_to_the_last_worker(submit, root):
    started = submit("train", "train")
    record = running(started)
    folder = Path(started.path.url)
    pids = [record.supervisor.pid, *(process.pid for process in record.processes)]
    assert lock.holders(folder) == sorted(pids)
    for last in pids:
        assert lock.is_held(folder)
        os.kill(last, signal.SIGKILL)
        wait_until(lambda: not is_alive(replace(record.processes[0], pid=last)), "its end")  # noqa: B023
    wait_until(lambda: not lock.is_held(folder), "the end of the lock")


def test_orphans_that_cannot_be_told_still_hold_their_run(submit, root, fake):
    """Whatever is wrong with the record, a worker that lives holds the lock."""
    started = submit("train")
    record = running(started)
    os.kill(record.supervisor.pid, signal.SIGKILL)
    wait_until(lambda: not is_alive(record.supervisor))
    (worker,) = record.processes
    store = LocalStore(started.path.url)
    write_record(store, replace(record, processes=(replace(worker, started="1"),)))
    found = verbs.status(root, "one")
    assert (found.state, found.live) == ("running", True)
    assert "cannot be seen from here" in found.explanation
    with pytest.raises(RunAlive):
        verbs.resume(root, "one", command=fake("train"))
    with pytest.raises(RunAlive):
        verbs.delete(root, "one", artifacts=True)
    with pytest.raises(Unsupported, match=rf"its lock is held by: {worker.pid}$"):
        verbs.cancel(root, "one")
    assert is_alive(worker)
    write_record(store, record)
    assert verbs.cancel(root, "one").state == "stopped"


def test_a_copy_of_a_living_run_does_not_reach_its_processes(submit, root):
    started = submit("train")
    record = running(started)
    copy = Path(root) / "gan" / "two"
    shutil.copytree(started.path.url, copy)
    (worker,) = record.processes
    held = holder.describe("chief") | {"pid": worker.pid, "started": worker.started}
    (copy / layout.LEASE).write_text(json.dumps({"holder": held, "team": "r1", "token": "t", "beat": 3}))
    assert verbs.status(root, "two").state == "interrupted"
    assert verbs.cancel(root, "two").state == "interrupted"
    verbs.delete(root, "two", artifacts=True)
    assert not copy.exists()
    assert all(is_alive(process) for process in record.processes)
    assert verbs.status(root, "one").state == "running"


def test_a_run_whose_logs_were_removed_is_as_alive_as_before(submit, root, fake):
    """And the lock with them."""
    started = submit("train")
    record = running(started)
    folder = Path(started.path.url)
    shutil.rmtree(folder / "logs")
    assert not lock.is_held(folder)
    assert verbs.status(root, "one").state == "running"
    with pytest.raises(RunAlive):
        verbs.delete(root, "one", artifacts=True)
    with pytest.raises(RunAlive), LocalBackend().held(found_in(root)):
        raise AssertionError
    with pytest.raises(RunAlive):
        begin(root, fake, "train", resuming=True)
    assert is_alive(record.supervisor)
    assert verbs.cancel(root, "one").state == "stopped"


def test_nothing_begins_while_files_are_removed(past_run, root, fake):
    past_run("one", files=("logs/1/worker-0.log", "samples/1.png"))
    found = found_in(root)
    with LocalBackend().held(found):
        delete_files(found.store)
        with pytest.raises((RunAlive, NoSuchRun)):
            begin(root, fake, "train")
        with pytest.raises((RunAlive, NoSuchRun)):
            begin(root, fake, "train", resuming=True)
        with pytest.raises(RunAlive, match="is in use"), LocalBackend().held(found):
            raise AssertionError
    assert not Path(found.path.url).exists()
    started = begin(root, fake, "train")
    assert running(started).attempt == 1


def test_a_run_is_kept_when_its_removal_is_cut_off(past_run, root):
    folder = past_run("one", files=("samples/1.png",))
    found = found_in(root)
    with pytest.raises(KeyboardInterrupt), LocalBackend().held(found):
        raise KeyboardInterrupt
    assert sorted(path.name for path in folder.iterdir()) == ["run.json", "samples", "status.json"]


def test_a_name_is_free_when_nothing_is_left_of_its_run(root, fake, past_run):
    """Not even a removal that was killed takes it."""
    left = Path(root) / "gan" / "one" / "logs"
    left.mkdir(parents=True)
    (left / ".unfinished-held").touch()
    running(begin(root, fake, "train"))
    past_run("two")
    (Path(root) / "gan/two/run.json").unlink()
    with pytest.raises(RunExists):
        verbs.submit(make_spec("mlp", name="two", root=root), command=fake("train"))


def test_removals_and_starts_at_once_never_share_a_folder(root, fake, tmp_path):
    """Each start finds an empty folder, and what it makes is not removed under it."""
    spec, over, wrong = make_spec("mlp", name="one", root=root), threading.Event(), []

    def remove():
        while not over.is_set():
            try:
                verbs.delete(root, "one", artifacts=True)
            except (RunAlive, NoSuchRun):
                pass
            except BaseException as error:
                wrong.append(error)

    removers = [threading.Thread(target=remove) for _ in range(2)]
    for thread in removers:
        thread.start()
    try:
        for _ in range(4):
            started = None
            while started is None:
                try:
                    started = attempts.start(spec, resuming=False, command=fake("train"))
                except (RunAlive, RunExists):
                    continue
            running(started)
            assert Path(started.path.url, layout.LOCAL).exists()
            attempts_of = read_record(LocalStore(started.path.url))
            assert attempts_of.attempt == 1
            (Path(started.path.url) / "go").touch()
            wait_until(lambda: not Path(started.path.url).exists(), "its removal")  # noqa: B023
    finally:
        over.set()
        for thread in removers:
            thread.join()
    assert wrong == []


def test_a_supervisor_whose_folder_was_removed_writes_into_no_other(submit, root, fake):
    first = submit("train")
    record = running(first)
    os.kill(record.processes[0].pid, signal.SIGSTOP)  # the trainer would find its lease gone and leave
    shutil.rmtree(first.path.url)
    second = begin(root, fake, "train")
    new = running(second)
    os.kill(record.supervisor.pid, signal.SIGQUIT)
    wait_until(lambda: not is_alive(record.supervisor), "its end")
    assert read_record(LocalStore(second.path.url)).supervisor == new.supervisor
    assert verbs.status(root, "one").state == "running"


def test_a_folder_that_was_removed_is_not_made_again_for_a_record(submit):
    started = submit("train")
    record = running(started)
    os.kill(record.processes[0].pid, signal.SIGSTOP)
    shutil.rmtree(started.path.url)
    os.kill(record.supervisor.pid, signal.SIGQUIT)
    wait_until(lambda: not is_alive(record.supervisor), "its end")
    assert not Path(started.path.url).exists()


def test_how_an_attempt_ended_is_written_where_its_trainer_said_so(submit):
    """Which makes the folder anew, in the place of one that was removed."""
    started = submit("train")
    record = running(started)
    folder = Path(started.path.url)
    while (folder / "run.json").exists():
        shutil.rmtree(folder, ignore_errors=True)  # it writes meanwhile
    wait_until(lambda: (folder / "status.json").exists(), "a word of the trainer")
    (folder / "go").touch()
    wait_until(lambda: not is_alive(record.supervisor), "its end")
    ended = read_record(LocalStore(folder))
    assert (ended.attempt, ended.exit_code) == (1, 0)
    assert ended.ended is not None


def test_a_run_that_was_removed_meanwhile_is_not_begun_anew(past_run, root, fake, monkeypatch):
    folder = past_run("one", state="stopped")
    honest = LocalBackend.check_idle

    def remove(self, found, **options):
        honest(self, found, **options)
        monkeypatch.setattr(attempts, "check_root", lambda root: shutil.rmtree(folder, ignore_errors=True))

    monkeypatch.setattr(LocalBackend, "check_idle", remove)
    with pytest.raises(NoSuchRun, match=r"no run 'one' in .*gan any more"):
        verbs.resume(root, "one", command=fake("train"))
    assert not folder.exists()


def test_a_run_on_another_machine_is_neither_stopped_nor_said_to_be(submit, root):
    started = submit("train")
    record = running(started)
    store = LocalStore(started.path.url)
    away = replace(record, machine="another-boot pid:[1]", installation="another", host="elsewhere")
    write_record(store, away)
    found = verbs.status(root, "one")
    assert (found.state, found.explanation) == ("running", "its processes are on elsewhere")
    with pytest.raises(Unsupported, match="its processes are on elsewhere"):
        verbs.cancel(root, "one")
    write_record(store, record)
    verbs.cancel(root, "one")
    wait_until(lambda: not lock.is_held(Path(started.path.url)), "the end of its supervisor")
    write_record(store, away)
    status = json.loads((Path(started.path.url) / "status.json").read_text())
    (Path(started.path.url) / "status.json").write_text(
        json.dumps(status | {"state": "running", "updated": "2026-01-02T03:04:05+00:00"})
    )
    assert verbs.status(root, "one").state == "unknown"  # no clock is both machines'
    with pytest.raises(Unsupported, match=r"cancel it there, or, .*`launcher resume gan/one"):
        verbs.cancel(root, "one")


HOLD = """
import sys, time
from trainer.run import lease
from trainer.storage import open_store
held = lease.acquire(open_store(sys.argv[1]), "by-hand", "r1")
print("taken", flush=True)
sys.stdin.read()
held.release()
"""


@pytest.fixture
def by_hand(past_run, root):
    """A run that a trainer without a launcher writes, long silent by the clock; the trainer's process."""
    folder = past_run("one", state="running", updated="2026-01-02T03:04:05+00:00")
    words = [sys.executable, "-c", HOLD, str(folder)]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as trainer:
        assert trainer.stdout.readline() == b"taken\n"
        yield trainer
        trainer.kill()


def test_a_trainer_by_hand_is_alive_as_long_as_its_process(by_hand, root, fake):
    assert verbs.status(root, "one").state == "running"
    for verb in (
        lambda: verbs.delete(root, "one", artifacts=True),
        lambda: verbs.resume(root, "one", command=fake("train")),
    ):
        with pytest.raises(RunAlive):
            verb()
    with pytest.raises(RunAlive, match="is being trained by by-hand"), LocalBackend().held(found_in(root)):
        raise AssertionError
    with pytest.raises(Unsupported, match="not started by this launcher"):
        verbs.cancel(root, "one")
    by_hand.kill()
    by_hand.wait()
    assert verbs.status(root, "one").state == "interrupted"
    assert verbs.delete(root, "one", artifacts=True).files == 3


def test_a_trainer_that_cannot_be_judged_from_here_is_watched(by_hand, root, monkeypatch, capsys):
    """One on another machine, which shares the folder: each renewal shows that it lives."""
    monkeypatch.setattr(holder, "lives", lambda described: None)
    monkeypatch.setattr(lease, "EXPIRY_SECONDS", 1e9)
    found = found_in(root)
    with pytest.raises(RunAlive, match="is being trained by by-hand"), LocalBackend().held(found):
        raise AssertionError
    assert "note: by-hand (process" in capsys.readouterr().err
    assert verbs.status(root, "one").state == "interrupted"  # by its words, which are old
    with pytest.raises(Unsupported, match=r"whether by-hand .* still trains it cannot be known here"):
        verbs.cancel(root, "one")
    by_hand.kill()
    by_hand.wait()
    monkeypatch.setattr(lease, "EXPIRY_SECONDS", 0.5)
    with LocalBackend().held(found):
        pass


def test_a_run_in_a_bucket_is_held_by_its_lease(gcs_root):
    store = open_store(f"{gcs_root}/gan/one")
    store.write(layout.RUN, b"{}")
    found = Found(layout.RunPath(gcs_root, "gan", "one"), store)
    held = lease.acquire(store, "by-hand", "r1")
    with pytest.raises(RunAlive, match="by-hand"), LocalBackend().held(found):
        raise AssertionError
    held.release()
    with LocalBackend().held(found):
        pass


def test_what_lives_is_asked_again_once_the_lock_is_there(past_run, root, monkeypatch):
    """A launcher that has taken the lock first, and whose attempt is over, changes what is true."""
    past_run("one")
    asked = []
    monkeypatch.setattr(
        holding, "check_writer", lambda path, store, record: asked.append(lock.is_held(Path(path.url)))
    )
    with LocalBackend().held(found_in(root)):
        assert lock.is_held(Path(root) / "gan/one")
    assert asked == [True]
