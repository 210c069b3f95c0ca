"""Reading the logs of an attempt's workers, once or as they grow."""

import re
from collections.abc import Iterator
from typing import NamedTuple

from trainer import layout
from trainer.errors import ObjectMissing
from trainer.storage import Store

_WORKER_LOG = re.compile(r"logs/(\d+)/worker-(\d+)\.log")
_READ_BYTES = 1 << 20  # at once from one log


class LogLine(NamedTuple):
    """One line that a worker wrote."""

    worker: int
    text: str


class LogReader:
    """The logs of one attempt; each `read` returns the lines that are new since the last."""

    def __init__(self, store: Store, attempt: int, worker: int | None = None) -> None:
        self._store = store
        self._attempt = attempt
        self._only = worker
        self._offsets: dict[int, int] = {}
        self._partial: dict[int, bytes] = {}

    def read(self, *, last: bool = False) -> list[LogLine]:
        """New whole lines of every worker; with `last` also a line that was never ended."""
        lines: list[LogLine] = []
        for worker in log_workers(self._store, self._attempt):
            if self._only in (None, worker):
                lines += [LogLine(worker, text) for text in self._read(worker, last)]
        return lines

    def _read(self, worker: int, last: bool) -> Iterator[str]:
        content = self._partial.get(worker, b"")
        while chunk := self._chunk(worker):
            content += chunk
        *lines, rest = content.split(b"\n")
        if last and rest:
            lines, rest = [*lines, rest], b""
        self._partial[worker] = rest
        for line in lines:  # a progress bar redraws its line after a carriage return: keep how it ended
            yield line.rstrip(b"\r").rpartition(b"\r")[2].decode(errors="replace")

    def _chunk(self, worker: int) -> bytes:
        offset = self._offsets.get(worker, 0)
        try:
            chunk = self._store.read(layout.worker_log(self._attempt, worker), offset, _READ_BYTES)
        except ObjectMissing:
            return b""
        self._offsets[worker] = offset + len(chunk)
        return chunk


def log_attempts(store: Store) -> list[int]:
    """Attempts that left logs, oldest first."""
    return sorted(int(name) for name in store.folders("logs/") if name.isdigit())


def log_workers(store: Store, attempt: int) -> list[int]:
    """Workers that left a log in an attempt."""
    names = (_WORKER_LOG.fullmatch(found.name) for found in store.list(f"logs/{attempt}/"))
    return sorted(int(match[2]) for match in names if match)


def last_error(store: Store, attempt: int, worker: int) -> str | None:
    """What a worker's last ``error: …`` line says, else its last line of any kind, None when it wrote none.

    The last line of a Python traceback names the exception, so it is the best there is for a crash.
    """
    lines = [line.text.strip() for line in LogReader(store, attempt, worker).read(last=True)]
    errors = [line.removeprefix("error: ") for line in lines if line.startswith("error: ")]
    return next(iter(reversed(errors or [line for line in lines if line])), None)
