"""What a process is known by on this machine."""

import os
import subprocess
import sys

import pytest

from trainer.environment import process

pytestmark = pytest.mark.skipif(process.machine() is None, reason="needs /proc")


@pytest.mark.parametrize("name", ["a) R 1 2", "(", ") Z"])
def test_the_name_of_a_command_cannot_deceive(name):
    script = (
        f"import ctypes; ctypes.CDLL(None).prctl(15, {name!r}.encode()); print('named', flush=True); input()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as child:
        before = process.started(child.pid)
        assert child.stdout.readline() == b"named\n"
        assert process.started(child.pid) == before
        assert process.lives(child.pid, before)
        child.kill()


def test_processes_of_one_after_the_other_start_in_order():
    first = int(process.started(os.getpid()))
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        assert int(process.started(child.pid)) > first
        child.kill()


def test_the_machine_is_the_same_for_every_process_of_it():
    code = "from trainer.environment import process; print(process.machine())"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert told.strip() == process.machine()


def test_a_machine_without_proc_or_id_says_nothing(monkeypatch, tmp_path):
    monkeypatch.setattr(process, "_PROC", tmp_path)
    assert process.machine() is None
    assert process.started(os.getpid()) is None
