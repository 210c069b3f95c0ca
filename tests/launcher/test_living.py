"""Which process is a run's: what no clock, no name of a host and no number that is used again can change."""

import os
import signal
import socket
import subprocess
import sys
from dataclasses import replace

import psutil
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from launcher.backends.local import living, lock
from launcher.backends.local.living import SUPERVISOR, Alive, alive, identify, is_alive, send
from launcher.backends.local.record import LocalRecord, Process
from launcher.errors import Unsupported
from tests.launcher.test_local_record import OLD
from trainer.environment import process as identity

proc = pytest.mark.skipif(identity.machine() is None, reason="needs /proc")
LONG = [sys.executable, "-c", "input()"]


@pytest.fixture
def child():
    """A process of ours that lives until the test ends."""
    with subprocess.Popen(LONG, stdin=subprocess.PIPE, start_new_session=True) as process:
        yield process
        process.kill()


@pytest.fixture
def record():
    """From a process to the record of an attempt here with it for its only worker."""

    def make(process, **values):
        begun = replace(
            LocalRecord.from_json(OLD.read_bytes(), "old"),
            format=2,
            host=socket.gethostname(),
            machine=identity.machine(),
            installation=identity.installation(),
            supervisor=replace(process, pid=2**22 + 1),
            processes=(process,),
        )
        return replace(begun, **values)

    return make


@proc
def test_a_reused_number_is_another_process_and_is_never_signalled(child):
    process = identify(child.pid)
    assert is_alive(process)
    stranger = replace(process, started=str(int(process.started) - 1))
    assert is_alive(stranger) is False
    assert not send(stranger, signal.SIGKILL)
    assert child.poll() is None
    assert send(process, signal.SIGKILL)
    assert child.wait() == -signal.SIGKILL


@pytest.mark.parametrize("pid", [0, -1, -(2**31), 2**22 + 1, 2**70])
def test_no_number_of_a_damaged_record_reaches_a_process(pid):
    for process in (Process(pid, started="1"), Process(pid, created=1.0), Process(pid)):
        assert not is_alive(process)
        assert not send(process, signal.SIGTERM)


def test_a_zombie_is_not_alive(child):
    process = identify(child.pid)
    assert is_alive(process)
    child.stdin.close()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)  # it has ended, and nobody has taken note
    assert not is_alive(process)
    child.wait()
    assert not is_alive(process)
    gone = identify(child.pid)
    assert (gone.started, gone.created) == (None, None)
    assert not is_alive(gone)


def test_a_process_that_is_paused_is_alive(child):
    process = identify(child.pid)
    os.kill(child.pid, signal.SIGSTOP)
    assert is_alive(process)


def test_a_process_with_an_exit_code_is_over():
    assert not is_alive(replace(identify(os.getpid()), exit_code=0))
    assert not is_alive(None)


def test_anothers_process_is_refused_in_words(monkeypatch):
    def refuse(*call):
        raise PermissionError

    monkeypatch.setattr(living.os, "kill", refuse)
    monkeypatch.setattr(living.signal, "pidfd_send_signal", refuse, raising=False)
    with pytest.raises(Unsupported, match="another user"):
        send(identify(os.getpid()), signal.SIGTERM)


@proc
def test_a_process_that_must_not_be_seen_is_neither_alive_nor_dead(monkeypatch, record, tmp_path):
    """As with hidepid in proc(5): then the lock decides."""

    def refuse(pid, number):
        raise PermissionError

    mine = identify(os.getpid())
    monkeypatch.setattr(identity, "_stat", lambda pid: None)
    monkeypatch.setattr(identity.os, "kill", refuse)
    assert is_alive(mine) is None
    hidden = record(mine, supervisor=None)
    assert alive(hidden, tmp_path, held=True) == Alive(False, (True,))
    assert alive(hidden, tmp_path, held=False) == Alive(False, (False,))


@proc
def test_a_process_of_another_user_is_seen():
    assert is_alive(identify(1))


@proc
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
@given(step=st.sampled_from([-5, 5, -3600, 3600]) | st.integers(-(10**9), 10**9))
def test_no_step_of_the_clock_makes_a_process_another_one(step, record, tmp_path):
    """psutil tells creation times by the clock; a record of this launcher holds none."""
    with pytest.MonkeyPatch.context() as patch:
        told = psutil.Process.create_time
        patch.setattr(psutil.Process, "create_time", lambda self: told(self) + step)
        mine = identify(os.getpid())
        assert mine.created is None
        assert alive(record(mine), tmp_path, held=True) == Alive(False, (True,))
    assert alive(record(mine), tmp_path, held=True) == Alive(False, (True,))


@proc
def test_without_the_lock_a_process_is_not_of_this_folder(record, tmp_path):
    """A folder that was copied while it trained names the processes of the other."""
    mine = record(identify(os.getpid()))
    assert alive(mine, tmp_path) == Alive(False, (False,))
    moved = tmp_path / "moved"
    moved.mkdir()
    begun = replace(mine, folder=lock.identity(moved))
    assert alive(begun, moved) == Alive(False, (True,))
    moved.rename(tmp_path / "elsewhere")
    assert alive(begun, tmp_path / "elsewhere") == Alive(False, (True,))


@proc
def test_a_host_that_was_renamed_is_the_same_machine(record, tmp_path):
    mine = record(identify(os.getpid()), host="as-it-was-called")
    assert alive(mine, tmp_path, held=True) == Alive(False, (True,))


@proc
def test_after_a_boot_nothing_of_before_lives(record, tmp_path, monkeypatch):
    monkeypatch.setattr(identity, "installation", lambda: "this-disk")
    before = " ".join(("another-boot", *identity.machine().split()[1:]))
    mine = record(identify(os.getpid()), machine=before)
    assert alive(mine, tmp_path, held=False) == Alive(False, (False,))
    monkeypatch.setattr(identity, "installation", lambda: None)
    assert alive(mine, tmp_path, held=False) == Alive(False, (), here=False)


@proc
@pytest.mark.parametrize(
    "changes",
    [
        {"machine": "another-boot pid:[1]", "installation": "another"},
        {"machine": "another-boot pid:[1]", "installation": None},
        {"machine": "another-boot pid:[1]", "host": "another"},  # made from the same image of a disk
        {"machine": None, "host": "another"},
    ],
)
def test_another_machine_or_one_that_may_be_is_not_judged(record, tmp_path, changes):
    mine = record(identify(os.getpid()), **changes)
    assert alive(mine, tmp_path, held=False) == Alive(False, (), here=False)


@proc
def test_another_container_on_this_machine_is_not_judged_by_numbers_but_by_the_lock(record, tmp_path):
    boot = identity.machine().split()[0]
    mine = record(identify(os.getpid()), machine=f"{boot} pid:[1] time:[1]")
    assert alive(mine, tmp_path, held=False) == Alive(False, (), here=False)
    assert alive(mine, tmp_path, held=True) == Alive(False, (), here=False, held=True)


def test_an_attempt_that_has_ended_lives_nowhere(record, tmp_path):
    mine = record(identify(os.getpid()), ended="2026-01-02T03:04:05+00:00")
    assert not alive(mine, tmp_path, held=True).any


# Records of older launchers, and machines without /proc.


def old(pid, command, moved):
    """An attempt as an older launcher wrote it, before the clock was set by `moved` seconds."""
    record = LocalRecord.from_json(OLD.read_bytes(), "old")
    created = psutil.Process(pid).create_time() - moved
    return replace(
        record,
        host=socket.gethostname(),
        command=tuple(command),
        supervisor=None,
        processes=(Process(pid, created),),
    )


@pytest.mark.parametrize("moved", [0, 1, -5, 5, -3600, 3600, -(10**8), 10**8])
def test_a_worker_of_an_older_launcher_is_known_by_its_command_when_the_clock_was_set(child, tmp_path, moved):
    begun = old(child.pid, LONG, moved)
    assert alive(begun, tmp_path, held=False) == Alive(False, (True,))
    assert living.send_workers(begun, signal.SIGTERM)
    assert child.wait() == -signal.SIGTERM
    assert alive(begun, tmp_path, held=False) == Alive(False, (False,))


def test_a_stranger_with_the_number_of_an_older_launchers_worker_is_none(child, tmp_path):
    begun = old(child.pid, ["python", "-m", "trainer", "train"], 3600)
    assert alive(begun, tmp_path, held=False) == Alive(False, (False,))
    assert not living.send_workers(begun, signal.SIGTERM)
    assert child.poll() is None


@pytest.mark.parametrize(("name", "lives"), [("one", True), ("two", False)])
def test_a_supervisor_of_an_older_launcher_is_known_by_its_run(child, tmp_path, name, lives):
    folder = tmp_path / "gan" / "one"
    command = [sys.executable, "-c", "input()", SUPERVISOR, str(tmp_path / "gan" / name)]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as supervisor:
        begun = replace(old(child.pid, LONG, 0), processes=(), supervisor=Process(supervisor.pid, 1.0))
        assert alive(begun, folder, held=True).supervisor is lives
        assert living.send_supervisor(begun, folder, signal.SIGTERM) is lives
        supervisor.kill()


def test_a_machine_without_proc_is_known_by_the_lock_whatever_it_is_called(child, tmp_path, monkeypatch):
    """macOS, as far as it can be tried elsewhere."""
    monkeypatch.setattr(identity, "machine", lambda: None)
    monkeypatch.setattr(identity, "started", lambda pid: None)
    process = identify(child.pid)
    assert process.created is not None
    begun = replace(old(child.pid, LONG, 3600), format=2, host="renamed", processes=(process,))
    assert alive(begun, tmp_path, held=True) == Alive(False, (True,))
    moved = replace(begun, processes=(replace(process, created=process.created - 3600),))
    assert alive(moved, tmp_path, held=True) == Alive(False, (True,))
    stranger = replace(moved, command=("another",))
    assert alive(stranger, tmp_path, held=True) == Alive(False, (False,), held=True)
    assert alive(begun, tmp_path, held=False).here is False
    begun = replace(begun, host=socket.gethostname())
    assert alive(begun, tmp_path, held=False) == Alive(False, (False,))
