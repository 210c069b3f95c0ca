"""The trainer's own commands in a process of this machine: the launcher itself has no TensorFlow."""

import importlib.util
import subprocess
import sys
from collections.abc import Sequence

from launcher.errors import NotInstalled, RunFailed
from launcher.notes import say
from trainer.errors import EXIT_DONE, EXIT_USER, GantryError, UserError


def call(words: Sequence[str], *, quiet: bool = False, otherwise: str = "") -> str:
    """What ``python -m trainer`` prints; what it says goes to stderr, or with `quiet` to the notes.

    Args:
        words: for its command line.
        quiet: whether nothing goes to stderr.
        otherwise: how it is done without TensorFlow here, for the refusal.

    Raises:
        NotInstalled: TensorFlow is not there; found out without importing it, which takes seconds.
        UserError, RunFailed: the trainer refuses, or fails.
        TrainerRefused: the same without `quiet`, when it has said why itself.
    """
    if importlib.util.find_spec("tensorflow") is None:
        lacking = "images are drawn by TensorFlow here: pip install 'gantry[trainer]'"
        raise NotInstalled(f"{lacking}, or {otherwise}" if otherwise else lacking)
    sys.stdout.flush()
    errors = subprocess.PIPE if quiet else None
    command = [sys.executable, "-m", "trainer", *words]
    done = subprocess.run(command, check=False, stdout=subprocess.PIPE, stderr=errors, text=True)
    lines = (done.stderr or "").splitlines()
    if done.returncode != EXIT_DONE:
        last = lines[-1].removeprefix("error: ") if lines else ""
        if not quiet:
            raise TrainerRefused(done.returncode)
        raise (UserError if done.returncode == EXIT_USER else RunFailed)(last)
    for line in lines:
        say(line)
    return done.stdout


class TrainerRefused(GantryError):
    """The trainer has said on stderr what is wrong, and left with a code."""

    def __init__(self, code: int) -> None:
        super().__init__(f"the trainer left with exit code {code}")
        self.exit_code = code
