"""`launcher explain --apply`: exactly the command that is shown, or a word of why not."""

import json
import os
import pty
import shlex
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from launcher.backends.local.living import send
from launcher.backends.local.record import LocalRecord, Process, read_record
from launcher.runs import verbs
from tests.launcher.run_folder import put
from tests.launcher.waiting import wait_until
from trainer.storage import LocalStore

MODULE = [sys.executable, "-m", "launcher"]


@pytest.fixture
def cut_off(submit, root):
    """A run whose processes were killed."""
    submit("train")
    store = LocalStore(f"{root}/gan/one")
    wait_until(lambda: store.stat("status.json") is not None, "a step")
    record = read_record(store)
    for process in (record.supervisor, *record.processes):
        send(process, signal.SIGKILL)
    wait_until(lambda: not verbs.status(root, "one").live, "the end")
    return root


def shown(launcher, root):
    """The command that explain shows, as words, and as it is printed."""
    found = json.loads(launcher("explain", "one", "--root", root, "-o", "json").stdout)
    assert found["commands"] == [shlex.split(found["fix"])]
    return found


def test_what_is_shown_is_run_as_it_stands(launcher, cut_off):
    fix = shown(launcher, cut_off)["fix"]
    assert fix == f"launcher resume gan/one --root {cut_off}"
    command = [*MODULE, "explain", "one", "--root", cut_off, "--apply", "--yes"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:  # the real trainer, which has much to do
            wait_until(lambda: verbs.status(cut_off, "one").attempt == 2, "the second attempt")
            wait_until(lambda: len(read_record(LocalStore(f"{cut_off}/gan/one")).processes) == 1, "a worker")
        finally:
            process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=120)
    assert f"mend it with: {fix}" in out.splitlines()
    assert "asking the workers to save and stop" in err
    assert process.returncode in (1, 42)  # the command's own: how the attempt ended


def test_without_a_terminal_nobody_is_asked_and_nothing_runs(launcher, cut_off):
    done = launcher("explain", "one", "--root", cut_off, "--apply", stdin=subprocess.DEVNULL)
    assert done.returncode == 2
    assert "expected --yes too" in done.stderr
    assert done.stderr.count("\n") == 1
    assert verbs.status(cut_off, "one").attempt == 1


def test_on_a_terminal_no_is_no(cut_off):
    own, its = pty.openpty()
    command = [*MODULE, "explain", "one", "--root", cut_off, "--apply"]
    with subprocess.Popen(command, stdin=its, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        os.close(its)
        os.write(own, b"n\n")
        out, _ = process.communicate(timeout=60)
    os.close(own)
    assert process.returncode == 1
    assert b"Run it? [y/N]" in out
    assert verbs.status(cut_off, "one").attempt == 1


def test_what_a_person_has_to_fill_in_is_not_run(launcher, root):
    folder = Path(root) / "gan/one"
    text = "data.source idx:/absent: /absent does not exist"
    put(folder, "status.json", {"state": "failed", "step": 0, "steps": 9, "message": text})
    started, ended = "2026-01-02T03:04:05+00:00", "2026-01-02T03:04:06+00:00"
    gone = Process(1, 1.0, exit_code=2)
    shape = LocalRecord(1, os.uname().nodename, (), "mlp", (), 1, 1, (), started)
    over = replace(shape, supervisor=gone, processes=(gone,), ended=ended, cause=0, exit_code=2)
    put(folder, "local.json", over.to_json().decode())
    put(folder, "logs/1/worker-0.log", f"error: {text}\n")
    found = shown(launcher, root)
    assert found["fix"] == f"launcher rerun gan/one --set data.source=VALUE --root {root}"
    assert "VALUE" in found["by_hand"]
    done = launcher("explain", "one", "--root", root, "--apply", "--yes")
    assert (done.returncode, done.stderr) == (1, "not applied: VALUE in it is yours to fill in\n")
    assert [each.run for each in verbs.list_runs(root)] == ["one"]


def test_the_command_s_own_exit_code_is_the_answer(launcher, cut_off):
    """A run that cannot be resumed: what `resume` refuses with, in one line."""
    put(Path(cut_off) / "gan/one", "run.json", "{}")
    done = launcher("explain", "one", "--root", cut_off, "--apply", "--yes")
    by_hand = launcher("resume", "one", "--root", cut_off)
    assert (done.returncode, done.stderr) == (by_hand.returncode, by_hand.stderr)
    assert done.returncode == 2
    assert done.stderr.startswith("error: ") and done.stderr.count("\n") == 1


def test_a_run_that_is_well_needs_nothing(launcher, past_run, root):
    past_run("one")
    done = launcher("explain", "one", "--root", root, "--apply")
    assert (done.returncode, done.stderr) == (0, "")
