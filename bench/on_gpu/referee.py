"""The referee: has groups answer rows within a budget of seconds, and goes on past what fails."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import IO, Any, NamedTuple

from bench.contestant import ROOT
from bench.on_gpu.group import FAILED, NO_TIME, NOT_BEGUN

ROW_SECONDS = 150.0  # of one row with its group's start: what hangs does not take the others' time
_SAID_LINES = 3  # of a group that died
# Several processes share the device, and a library that TensorFlow misses is to be named.
_VARIABLES = {"TF_FORCE_GPU_ALLOW_GROWTH": "true", "TF_CPP_VMODULE": "dso_loader=1"}


class Row(NamedTuple):
    """One thing to measure."""

    name: str
    task: str
    """The function of its group that measures it."""
    options: dict[str, Any]


class Group(NamedTuple):
    """Rows that one process answers, in this order."""

    module: str
    rows: Sequence[Row]


class Referee:
    """Plays groups until the budget is spent."""

    def __init__(
        self, seconds: float, note: Callable[[dict[str, Any]], None], row_seconds: float = ROW_SECONDS
    ) -> None:
        """`note` hears of each row as soon as there is something to say."""
        self._deadline, self._note, self._row_seconds = time.monotonic() + seconds, note, row_seconds
        self._hopeless, self._since = False, time.monotonic()

    def play(self, groups: Sequence[Group]) -> None:
        """Have every row answered, or said why not."""
        for group in groups:
            rows = list(group.rows)
            while rows:
                self._since = time.monotonic()
                if self._hopeless:
                    rows = self._all(rows, {"status": NOT_BEGUN})
                elif self._left() <= 0:
                    rows = self._all(rows, {"status": NO_TIME})
                else:
                    rows = self._begin(group.module, rows)

    def _begin(self, module: str, rows: Sequence[Row]) -> Sequence[Row]:
        """Play one process of a group; the rows that are not done with."""
        with tempfile.TemporaryFile("w+") as log, _started(module, rows, log) as process:
            done, begun = self._listen(process, rows)
            code = _over(process)
            said = _last_words(log)
        rows = rows[done:]
        if not rows or (done and begun == done) or self._left() <= 0:
            return rows
        late = self._late and code == -signal.SIGKILL
        why = f"not done after {self._row_seconds:.0f} s" if late else f"{module} ended with {code}: {said}"
        failed = {"status": FAILED, "why": why}
        if not begun:  # nor would it for the others
            return self._all(rows, failed)
        self._tell(rows[0], failed)
        return rows[1:]

    def _all(self, rows: Sequence[Row], answer: dict[str, Any]) -> Sequence[Row]:
        """Say the same of all rows; none are left."""
        for row in rows:
            self._tell(row, answer)
        return []

    def _listen(self, process: subprocess.Popen[str], rows: Sequence[Row]) -> tuple[int, int]:
        """Hear answers until the process ends; how many rows it has answered and begun."""
        done = begun = 0
        self._late = False
        timer = self._timer(process)
        for line in process.stdout:
            if not line.startswith("{"):
                continue
            answer = json.loads(line)
            if "begins" in answer:
                begun += 1
                continue
            timer.cancel()
            answer.pop("row")
            self._hopeless = answer.pop("hopeless", False)
            self._tell(rows[done], answer)
            done += 1
            timer = self._timer(process)
        timer.cancel()
        return done, begun

    def _timer(self, process: subprocess.Popen[str]) -> threading.Timer:
        """Ends the process when the next row has taken too long."""

        def end() -> None:
            self._late = True
            _end(process)

        timer = threading.Timer(max(0.0, min(self._row_seconds, self._left())), end)
        timer.daemon = True
        timer.start()
        return timer

    def _left(self) -> float:
        return self._deadline - time.monotonic()

    def _tell(self, row: Row, answer: Mapping[str, Any]) -> None:
        took, self._since = time.monotonic() - self._since, time.monotonic()
        status = {"row": row.name, "status": answer["status"], "seconds": round(took, 1)}
        self._note({**status, **answer})


@contextmanager
def _started(module: str, rows: Sequence[Row], log: IO[str]) -> Iterator[subprocess.Popen[str]]:
    """A group's process, which goes with all that it started."""
    told = json.dumps([row._asdict() for row in rows])
    outside = {name: value for name, value in os.environ.items() if name != "TF_CONFIG"}
    one = outside.get("CUDA_VISIBLE_DEVICES", "0").partition(",")[0]
    path = os.pathsep.join(filter(None, (str(ROOT), outside.get("PYTHONPATH"))))
    process = subprocess.Popen(
        [sys.executable, "-m", module, told],
        cwd=ROOT,
        env={**outside, "PYTHONPATH": path, "CUDA_VISIBLE_DEVICES": one, **_VARIABLES},
        stdin=subprocess.PIPE,  # whose end tells the group that the referee is gone
        stdout=subprocess.PIPE,
        stderr=log,
        text=True,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            _end(process)
            process.wait()
        process.stdin.close()
        process.stdout.close()


def _over(process: subprocess.Popen[str]) -> int:
    """Its exit code, once what it started is ended too: before its number may be another's."""
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    _end(process)
    return process.wait()


def _end(process: subprocess.Popen[str]) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def _last_words(log: IO[str]) -> str:
    log.seek(0)
    lines = [line.strip() for line in log.read().splitlines() if line.strip()]
    return " ".join(lines[-_SAID_LINES:])[-600:]
