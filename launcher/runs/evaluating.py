"""Judging a run's images here, by the trainer's own command: the launcher itself has no TensorFlow."""

import importlib.util
import subprocess
import sys
from typing import NamedTuple

from launcher.errors import NotInstalled


class Wanted(NamedTuple):
    """What to judge, and against what; as `python -m trainer evaluate` has it."""

    step: int | None = None
    samples: int = 10_000
    last_weights: bool = False
    reference: str | None = None
    held_out: str | None = None

    def arguments(self) -> list[str]:
        """For the trainer's command line."""
        given = (("--step", self.step), ("--reference", self.reference), ("--held-out", self.held_out))
        words = [word for name, value in given if value is not None for word in (name, str(value))]
        return [*words, "--samples", str(self.samples), *(["--last-weights"] if self.last_weights else [])]


def judge(url: str, wanted: Wanted, output: str) -> int:
    """Judge the run in a folder or bucket; figures go to stdout, all else to stderr.

    Returns:
        The trainer's exit code: 0, or that of what it has said on stderr.

    Raises:
        NotInstalled: TensorFlow is not there; found out without importing it, which takes seconds.
    """
    if importlib.util.find_spec("tensorflow") is None:
        raise NotInstalled("images are drawn by TensorFlow here: pip install 'gantry[trainer]'")
    command = [sys.executable, "-m", "trainer", "evaluate", "--run-dir", url, "-o", output]
    sys.stdout.flush()
    return subprocess.run([*command, *wanted.arguments()], check=False).returncode
