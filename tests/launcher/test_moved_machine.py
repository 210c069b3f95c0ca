"""A run that lives while what a machine is known by changes: it is not taken for dead, nor a stranger for it.

The time of boot by the clock, from which creation times are told, is a line of ``/proc/stat``. A copy of that
file with another time is mounted over it for the verbs alone, so the machine's own clock stays as it is.
"""

import json
import os
import shutil
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from launcher.runs import verbs
from tests.launcher.waiting import wait_until
from trainer.environment import process as identity

TEN_YEARS = 10 * 365 * 86400
STEPS = (5, -5, 3600, -3600, TEN_YEARS, -TEN_YEARS)


def _may_mount():
    if os.geteuid() != 0 or shutil.which("unshare") is None:
        return False
    return subprocess.run(["unshare", "-m", "true"], capture_output=True, check=False).returncode == 0


pytestmark = pytest.mark.skipif(not _may_mount(), reason="needs Linux, root and the right to mount")

VERBS = """
import psutil, sys
from launcher.runs import verbs
from launcher.errors import RunAlive

def refused(verb):
    try:
        verb()
    except RunAlive:
        return True
    return False

root = sys.argv[1]
boot = next(line.split()[1] for line in open("/proc/stat") if line.startswith("btime"))
assert psutil.boot_time() == float(boot) == float(sys.argv[2])
print(verbs.status(root, "j").state)
print([run.state for run in verbs.list_runs(root)])
print(refused(lambda: verbs.delete(root, "j", artifacts=True)))
print(refused(lambda: verbs.resume(root, "j", ["steps=200000"])))
"""


@pytest.fixture
def moved(tmp_path):
    """Run a command where the time of boot is so many seconds later."""

    def call(step, *command):
        found = Path("/proc/stat").read_text()
        boot = next(line for line in found.splitlines() if line.startswith("btime"))
        later = int(boot.split()[1]) + step
        (tmp_path / "stat").write_text(found.replace(boot, f"btime {later}"))
        mount = f'mount --bind {tmp_path / "stat"} /proc/stat && exec "$@"'
        words = ["unshare", "-m", "sh", "-c", mount, "sh", sys.executable, *command]
        words = [word.replace("BOOT", str(later)) for word in words]
        return subprocess.run(words, capture_output=True, text=True, timeout=300, check=False)

    return call


def _unshared(*words):
    """Run a shell command in namespaces of its own."""
    return subprocess.run(["unshare", *words], capture_output=True, text=True, timeout=300, check=False)


@pytest.fixture
def training(root, launcher):
    """A run that trains for real; its folder."""
    words = "submit --backend local --preset demo --set steps=100000 --set xla=off --name j --detach --root"
    begun = launcher(*words.split(), root)
    assert begun.returncode == 0, begun.stderr
    wait_until(lambda: verbs.status(root, "j").state == "running", "training")
    return Path(root) / "gan" / "j"


@contextmanager
def _paused(folder):
    """Let the trainer of a run stand still: it lives, and takes no core from what is asked about it."""
    (worker,) = json.loads((folder / "local.json").read_text())["processes"]
    trainer = psutil.Process(worker["pid"])
    trainer.suspend()
    try:
        yield
    finally:
        trainer.resume()


def test_a_run_outlives_every_step_of_the_clock(training, root, moved):
    def launcher(*words):
        return moved(5, "-m", "launcher", *words, "--root", root)

    with _paused(training):
        for step in STEPS:
            done = moved(step, "-c", VERBS, root, "BOOT")
            assert done.returncode == 0, done.stderr
            assert done.stdout.splitlines() == ["running", "['running']", "True", "True"], step
        before = {path for path in training.rglob("*") if path.is_file()}
        kept = launcher("delete", "j", "--artifacts", "--yes")
        assert (kept.returncode, kept.stderr.count("\n")) == (2, 1)
        assert launcher("resume", "j").returncode == 2
        assert json.loads(launcher("status", "j", "-o", "json").stdout)["state"] == "running"
        assert (training / "run.json").exists()
        assert len(before) > 4

    stopped = launcher("cancel", "j")
    assert (stopped.returncode, stopped.stderr) == (0, "")
    assert "is stopped: saved at step" in stopped.stdout
    assert not any(worker.alive for worker in verbs.status(root, "j").workers)
    assert launcher("delete", "j", "--artifacts", "--yes").returncode == 0
    assert not training.exists()


def _launcher(*words):
    return " ".join([sys.executable, "-m", "launcher", *words])


def test_a_run_is_stopped_from_its_machine_whatever_that_is_called(submit, root):
    submit("train")
    wait_until(lambda: verbs.status(root, "one").state == "running", "running")
    done = _unshared("--uts", "sh", "-c", f"hostname renamed && {_launcher('cancel', 'one', '--root', root)}")
    assert (done.returncode, done.stderr) == (0, "")
    assert verbs.status(root, "one").state == "stopped"


def test_numbers_of_another_container_are_not_taken_for_ours(submit, root):
    """It shares the folder and the kernel: the lock is seen there, the processes are not."""
    submit("train")
    wait_until(lambda: verbs.status(root, "one").state == "running", "running")
    there = ("--pid", "--fork", "--mount-proc", "sh", "-c")
    refused = {
        "status one": (0, "one: running"),
        "cancel one": (2, "or in another container there; cancel it there"),
        "resume one": (2, "is running"),
        "delete one --artifacts --yes": (2, "is running"),
    }
    for verb, (code, words) in refused.items():
        done = _unshared(*there, _launcher(verb, "--root", root))
        assert done.returncode == code, (verb, done.stderr)
        assert words in done.stdout + done.stderr, verb
    assert verbs.status(root, "one").state == "running"


@pytest.mark.skipif(identity.installation() is None, reason="needs /etc/machine-id")
def test_after_a_boot_a_run_is_interrupted(submit, root, tmp_path):
    """The numbers may be those of others by then, which are not reached."""
    started = submit("train")
    wait_until(lambda: verbs.status(root, "one").state == "running", "running")
    shutil.copytree(started.path.url, Path(root) / "gan" / "two")  # as it is then: nobody holds its lock
    boot = tmp_path / "boot"
    boot.write_text("11111111-2222-3333-4444-555555555555\n")
    for verb in ("status", "cancel"):
        call = _launcher(verb, "two", "--root", root)
        done = _unshared("-m", "sh", "-c", f"mount --bind {boot} /proc/sys/kernel/random/boot_id && {call}")
        assert done.returncode == 0, done.stderr
        assert "interrupted" in done.stdout
        assert "its processes are on" not in done.stdout
    assert verbs.status(root, "one").state == "running"
