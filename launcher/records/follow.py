"""Reading the logs of an attempt's workers, once or as they grow.

A worker's log is one file that grows (a process on this machine) or segments that are joined by number, of
which the last is rewritten while it grows (a pod). Either way what was read stays as it was, so a reader
remembers one place for each worker, and one listing tells which of them have grown: a run of a thousand
workers that are silent costs one listing and not a thousand requests.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from trainer.errors import ObjectMissing
from trainer.run.layout import worker_log_parts
from trainer.storage import Store

_READ_BYTES = 1 << 20  # at once from one log
_POD = re.compile(r"pod (\S+): worker \d+ of \d+, attempt \d+")


class LogLine(NamedTuple):
    """One line that a worker wrote."""

    worker: int
    text: str


@dataclass
class _Position:
    """How far a worker's log was read."""

    segment: int = -2  # before the first; -1 is the whole log
    offset: int = 0
    partial: bytes = b""


class _Piece(NamedTuple):
    """One object of a worker's log."""

    segment: int
    name: str
    size: int


class LogReader:
    """The logs of one attempt; each `read` returns the lines that are new since the last."""

    def __init__(self, store: Store, attempt: int, worker: int | None = None) -> None:
        self._store = store
        self._attempt = attempt
        self._only = worker
        self._places: dict[int, _Position] = {}

    def read(self, *, last: bool = False) -> list[LogLine]:
        """New whole lines of every worker; with `last` also a line that was never ended."""
        lines: list[LogLine] = []
        for worker, pieces in sorted(_pieces(self._store, self._attempt, self._only).items()):
            place = self._places.setdefault(worker, _Position())
            texts = self._new(place, sorted(pieces))
            if last and place.partial:
                texts.append(shown(place.partial))
                place.partial = b""
            lines += [LogLine(worker, text) for text in texts]
        return lines

    def _new(self, place: _Position, pieces: list[_Piece]) -> list[str]:
        """Whole lines of a worker from its place on, which moves."""
        raw: list[bytes] = []
        for index, piece in enumerate(pieces):
            if piece.segment < place.segment:
                continue
            closed = index + 1 < len(pieces)  # it may have grown once more since the listing came to it
            if piece.segment == place.segment and piece.size <= place.offset and not closed:
                continue
            content = b"".join(self._chunks(place, piece))
            if place.partial and place.offset == len(content) and _begins_pod(content):
                raw.append(place.partial)  # the pod before died in the middle of a line
                place.partial = b""
            *whole, place.partial = (place.partial + content).split(b"\n")
            raw += whole
        return [shown(line) for line in raw]

    def _chunks(self, place: _Position, piece: _Piece) -> Iterator[bytes]:
        """What a piece holds beyond the place, which moves along."""
        if piece.segment != place.segment:
            place.segment, place.offset = piece.segment, 0
        while True:
            try:
                chunk = self._store.read(piece.name, place.offset, _READ_BYTES)
            except ObjectMissing:
                return
            if not chunk:
                return
            place.offset += len(chunk)
            yield chunk


def shown(line: bytes) -> str:
    """A line as it is shown: a progress bar redraws it after a carriage return, so only how it ended."""
    return line.rstrip(b"\r").rpartition(b"\r")[2].decode(errors="replace")


def pod_of(line: str) -> str | None:
    """Name of the pod whose log begins with this line, None for any other line."""
    found = _POD.fullmatch(line)
    return found[1] if found else None


def log_attempts(store: Store) -> list[int]:
    """Attempts that left logs, oldest first."""
    return sorted(int(name) for name in store.folders("logs/") if name.isdigit())


def log_workers(store: Store, attempt: int) -> list[int]:
    """Workers that left a log in an attempt."""
    return sorted(_pieces(store, attempt, None))


def first_line(store: Store, attempt: int, worker: int) -> str:
    """How a worker's log begins, at most 1 KiB of it; empty when there is none."""
    pieces = sorted(_pieces(store, attempt, worker).get(worker, []))
    content = store.read(pieces[0].name, 0, 1 << 10) if pieces else b""
    return shown(content.partition(b"\n")[0])


def newest_lines(store: Store, attempt: int, worker: int) -> list[str]:
    """The lines in the newest piece of a worker's log."""
    pieces = sorted(_pieces(store, attempt, worker).get(worker, []))
    content = store.read(pieces[-1].name) if pieces else b""
    return [shown(line) for line in content.removesuffix(b"\n").split(b"\n")] if content else []


def last_error(store: Store, attempt: int, worker: int) -> str | None:
    """What a worker's last ``error: …`` line says, else its last line of any kind, None when it wrote none.

    The last line of a Python traceback names the exception, so it is the best there is for a crash.
    """
    lines = [line.text.strip() for line in LogReader(store, attempt, worker).read(last=True)]
    errors = [line.removeprefix("error: ") for line in lines if line.startswith("error: ")]
    return next(iter(reversed(errors or [line for line in lines if line])), None)


def _pieces(store: Store, attempt: int, worker: int | None) -> dict[int, list[_Piece]]:
    """The objects of each worker's log, or of one worker's, by one listing."""
    found: dict[int, list[_Piece]] = {}
    for stat in store.list(f"logs/{attempt}/" if worker is None else f"logs/{attempt}/worker-{worker}."):
        if parts := worker_log_parts(stat.name):
            segment = -1 if parts.segment is None else parts.segment
            found.setdefault(parts.worker, []).append(_Piece(segment, stat.name, stat.size))
    return found


def _begins_pod(content: bytes) -> bool:
    return pod_of(shown(content.partition(b"\n")[0])) is not None
