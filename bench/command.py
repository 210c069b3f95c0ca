"""A command of the launcher in a process of its own, with its time and its peak of memory.

``python -m bench.command REPORT list --root …`` is the process; `timed` starts it.
"""

import json
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from bench.contestant import ContestantFailed, peak_mib
from bench.rounds import spread


class Timed(NamedTuple):
    """One command that was run to its end."""

    seconds: float
    """From its start to its exit, interpreter and imports included."""
    processor_seconds: float
    """Of these, what it computed itself; other work on the machine hardly changes it."""
    peak_mib: float
    output: str


class Report:
    """A command that was run several times, and what it asked of the API server each time."""

    def __init__(self, times: Sequence[Timed], requests: Sequence[Sequence[str]] = ()) -> None:
        self.seconds = spread([each.seconds for each in times])
        self.processor_seconds = spread([each.processor_seconds for each in times])
        self.peak_mib = max(each.peak_mib for each in times)
        self.requests: Sequence[str] = max(requests, key=len, default=[])
        """Of the time with the most."""

    def row(self) -> tuple[str, str, str, str]:
        """Seconds, processor seconds, memory, requests."""
        asked = f"{len(self.requests)}: {told(self.requests)}"
        return self.seconds.text(), self.processor_seconds.text(), f"{self.peak_mib:.0f} MiB", asked


def told(requests: Sequence[str]) -> str:
    """Requests by kind, such as ``1 get jobs, 1 list pods``."""
    return ", ".join(f"{count} {what}" for what, count in sorted(Counter(requests).items())) or "nothing"


def timed(scratch: Path, argv: list[str], environment: Mapping[str, str] | None = None) -> Timed:
    """Run ``launcher ARGV``.

    Raises:
        ContestantFailed: it left with another code than 0; the text holds its last words.
    """
    report = scratch / "command.json"
    began = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", "bench.command", str(report), *argv],
        capture_output=True, text=True, check=False, timeout=600, env={**os.environ, **(environment or {})},
    )  # fmt: skip
    seconds = time.perf_counter() - began
    if done.returncode:
        raise ContestantFailed(f"launcher {' '.join(argv)} left with {done.returncode}: {done.stderr[-500:]}")
    return Timed(seconds, **json.loads(report.read_text()), output=done.stdout)


def main() -> None:
    """Be the command, and leave the report when it is done."""
    from launcher.cli import main as launcher

    report, *argv = sys.argv[1:]
    try:
        launcher(argv)
    finally:
        report_values = {"peak_mib": peak_mib(), "processor_seconds": time.process_time()}
        Path(report).write_text(json.dumps(report_values))


if __name__ == "__main__":
    main()
