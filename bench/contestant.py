"""A contestant: a process that takes steps when told, and answers with the seconds they took.

The protocol is one line each way: ``run 20`` in, ``{"seconds": 1.25, "peak_mib": 812.0}`` out. Anything that
is not JSON on the process' output is ignored. Only the standard library is used here, so that a Python
which has PyTorch and nothing of Gantry's can serve too.
"""

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
_PAUSE_SECONDS = 0.3  # OpenMP's threads spin for 0.2 s after their last work


class ContestantFailed(Exception):
    """A contestant's process ended; the text holds its last words."""


def serve(commands: Mapping[str, Callable[[int], object]], about: Mapping[str, Any] | None = None) -> None:
    """In the contestant: say that it is ready, then obey until the input ends. Never returns."""
    _answer({"ready": True, **(about or {})})
    for line in sys.stdin:
        command, _, count = line.partition(" ")
        if command.strip() == "quit":
            break
        start = time.perf_counter()
        commands[command](int(count))
        _answer({"seconds": time.perf_counter() - start, "peak_mib": peak_mib()})
    os._exit(0)  # two workers would wait for each other, and there is nothing to save


def usable_cpus() -> list[int]:
    """Cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


class Contestant:
    """In the referee: one contestant's process, pinned to `cpus`."""

    def __init__(
        self,
        module: str,
        arguments: Sequence[object] = (),
        *,
        cpus: Sequence[int],
        python: str = sys.executable,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.about: dict[str, Any] = {}
        self.peak_mib = 0.0
        self._log = tempfile.TemporaryFile("w+")  # noqa: SIM115  # closed with the process
        threads = str(len(cpus))
        pinned = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), threads)
        outside = {name: value for name, value in os.environ.items() if name != "TF_CONFIG"}
        self._process = subprocess.Popen(
            [python, "-m", module, *map(str, arguments)],
            cwd=ROOT,
            env={**outside, **pinned, "TF_CPP_MIN_LOG_LEVEL": "2", **(environment or {})},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
            preexec_fn=lambda: _pin(cpus),
        )

    def wait_ready(self) -> None:
        """Wait until it has built and compiled what it needs."""
        self.about = self._read()

    def start(self, count: int, command: str = "run") -> None:
        """Tell it to take `count` steps, without waiting."""
        try:
            print(command, count, file=self._process.stdin, flush=True)
        except BrokenPipeError:
            raise self._failure() from None

    def finish(self) -> float:
        """Seconds the steps took."""
        answer = self._read()
        self.peak_mib = answer["peak_mib"]
        return float(answer["seconds"])

    def close(self) -> None:
        """End the process."""
        try:
            print("quit", file=self._process.stdin, flush=True)
            self._process.wait(10)
        except (BrokenPipeError, subprocess.TimeoutExpired):
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()
        self._log.close()

    def _read(self) -> dict[str, Any]:
        for line in self._process.stdout:
            if line.startswith("{"):
                return json.loads(line)
        raise self._failure()

    def _failure(self) -> ContestantFailed:
        self._process.wait()
        self._log.seek(0)
        last = [line.strip() for line in self._log.read().splitlines() if line.strip()][-1:]
        return ContestantFailed(
            f"{self._process.args[2]} ended with {self._process.returncode}: {''.join(last)}"
        )


class Group:
    """Contestants that run at the same time, as one."""

    def __init__(self, members: Sequence[Contestant], command: str = "run") -> None:
        self._members, self._command = members, command

    def run(self, count: int) -> float:
        """Seconds until the slowest has taken its `count` steps."""
        time.sleep(_PAUSE_SECONDS)
        for member in self._members:
            member.start(count, self._command)
        return max([member.finish() for member in self._members])


def _answer(values: Mapping[str, Any]) -> None:
    print(json.dumps(values), flush=True)


def _pin(cpus: Sequence[int]) -> None:
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, cpus)


def peak_mib() -> float:
    """Peak resident memory; `ru_maxrss` also counts what the parent had when it forked, hence /proc."""
    status = Path("/proc/self/status")
    if status.exists():
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
