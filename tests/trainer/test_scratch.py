"""Nothing of a process is left in the folder for temporary files, however it ended."""

import os
import signal
import subprocess
import sys

import pytest

from tests.support.teams import Team, train
from trainer.environment import scratch
from trainer.errors import EXIT_RESTART, EXIT_USER

IDLE = (
    "from trainer.environment import scratch\nscratch.begin()\nprint(flush=True)\ninput()\nscratch.leave(0)"
)


def idle(folder):
    """A process that has begun and waits."""
    process = subprocess.Popen(
        [sys.executable, "-c", IDLE],
        env=os.environ | {"TMPDIR": str(folder)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdout.readline() == b"\n"
    return process


def kill(process):
    process.kill()
    process.communicate()


def files(folder):
    return sorted(path for path in folder.rglob("*") if path.is_file())


@pytest.fixture
def tmp(tmp_path):
    folder = tmp_path / "tmp"
    folder.mkdir()
    return folder


def test_a_trainer_leaves_nothing_at_its_end_when_asked_to_stop_or_after_the_next_start(
    tmp_path, tmp, gcs_root, gcs_proxy
):
    given = (gcs_root, "run", tmp_path / "logs")
    env = {"TMPDIR": str(tmp), "STORAGE_EMULATOR_HOST": gcs_proxy.url}
    held = gcs_proxy.hold("POST", contains="checkpoints/20/state.data")
    with Team(*given, env=env) as team:
        team.until(held.reached.is_set)
        team.kill()
    held.drop()
    left = {*tmp.iterdir()}
    assert files(tmp)
    with Team(*given, env=env) as team:
        team.until(lambda: (there := {*tmp.iterdir()}) and not left & there)
        team.ask_to_stop()
        assert team.wait() == [EXIT_RESTART], team.log()
    assert [*tmp.iterdir()] == []
    train(*given, env=env)
    assert [*tmp.iterdir()] == []
    with Team(*given, options=["--fresh"], env=env) as team:
        assert team.wait() == [EXIT_USER], team.log()
    assert [*tmp.iterdir()] == []


def test_what_a_dead_process_left_is_swept_and_a_living_ones_is_not(tmp):
    dead, living = idle(tmp), idle(tmp)
    there = {*tmp.iterdir()}
    assert len(there) == 2
    kill(dead)
    scratch.sweep(tmp)
    [left] = tmp.iterdir()
    living.send_signal(signal.SIGSTOP)  # however still it stands
    scratch.sweep(tmp)
    assert [*tmp.iterdir()] == [left]
    living.send_signal(signal.SIGCONT)
    living.communicate(b"\n")
    assert living.returncode == 0 and [*tmp.iterdir()] == []


def test_what_is_not_ours_is_never_swept(tmp):
    (tmp / "gantry-trainer-file").write_text("a file")
    (tmp / "elsewhere").mkdir()
    (tmp / "gantry-trainer-link").symlink_to(tmp / "elsewhere")
    theirs = tmp / "gantry-trainer-theirs"
    theirs.mkdir()
    if os.geteuid() == 0:
        os.chown(theirs, 65534, 65534)
    else:
        theirs.rmdir()
    before = {*tmp.iterdir()}
    scratch.sweep(tmp)
    assert {*tmp.iterdir()} == before


def test_processes_that_begin_at_once_do_not_sweep_each_other(tmp):
    processes = [idle(tmp) for _ in range(2)]
    for _ in range(30):  # each in the moment between its folder and its lock
        scratch.sweep(tmp)
        processes.append(idle(tmp))
        kill(processes.pop(0))
    scratch.sweep(tmp)
    assert len([*tmp.iterdir()]) == len(processes) == 2
    for process in processes:
        kill(process)
