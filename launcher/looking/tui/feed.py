"""What the page shows, read again and again: only what has changed since the last look is read.

A look at a run in a bucket costs its status (four requests, and two to the cluster), a listing of the
metrics, one of a worker's log, and one of the grids when the run has moved; then a read of each object that
changed.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from launcher.looking.curves import CurveReader, Curves
from launcher.looking.samples.grids import list_grids
from launcher.records.follow import log_attempts, shown
from launcher.records.status import RunStatus, WorkerStatus
from launcher.runs.find import Located
from trainer.errors import ObjectMissing
from trainer.run import layout
from trainer.storage import Stat, Store

_TAIL_BYTES = 16 << 10  # of a log: more lines than a screen has
_TAIL_LINES = 60


@dataclass(frozen=True)
class GridView:
    """A grid of samples."""

    step: int
    generation: int
    content: bytes
    """PNG."""


@dataclass(frozen=True)
class Tail:
    """The end of one worker's log."""

    worker: int
    lines: tuple[str, ...] = ()


@dataclass(frozen=True)
class Page:
    """A run at one moment."""

    status: RunStatus
    curves: Curves = field(default_factory=Curves)
    tail: Tail | None = None
    grid: GridView | None = None
    moment: datetime = field(default_factory=lambda: datetime.now(UTC))
    problem: str = ""
    """Why the last look failed, when it did: all else is then of the look before."""


class Feed:
    """The pages of one run."""

    def __init__(self, located: Located) -> None:
        self._found, self._backend = located
        self._store = self._found.store
        self._curves = CurveReader(self._store)
        self._grid: GridView | None = None
        self._drawn_at: tuple[int | None, str] | None = None
        self._log = _LogTail(self._store)

    def look(self) -> Page:
        """The run now.

        Raises:
            GantryError: its folder or its cluster cannot be read.
        """
        # First: a run that is seen to be over has written everything that is read below.
        status = self._backend.status(self._found)
        return Page(status, self._curves.read(), self._log.read(status), self._newest_grid(status))

    def _newest_grid(self, status: RunStatus) -> GridView | None:
        now = (status.step, status.state)
        if now == self._drawn_at:
            return self._grid
        grids = list_grids(self._store)
        self._drawn_at = now
        if not grids:
            return None
        newest, shown_now = grids[-1], self._grid
        if shown_now is None or (shown_now.step, shown_now.generation) != (newest.step, newest.generation):
            try:
                self._grid = GridView(newest.step, newest.generation, self._store.read(newest.name))
            except ObjectMissing:  # a resumed run begins again before it
                self._drawn_at = None
        return self._grid


class _LogTail:
    """The end of the log of the chief, or of the worker that is in trouble."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._seen: list[Stat] = []
        self._tail: Tail | None = None

    def read(self, status: RunStatus) -> Tail | None:
        """The last lines there are, from one listing and the pieces that changed."""
        attempt = status.attempt or max(log_attempts(self._store), default=None)
        if attempt is None:
            return None
        worker = next((each.worker for each in status.workers if in_trouble(each)), 0)
        pieces = self._pieces(attempt, worker)
        if not pieces and worker:  # the others' logs may be longer in coming than the chief's
            worker, pieces = 0, self._pieces(attempt, 0)
        if pieces != self._seen or self._tail is None or self._tail.worker != worker:
            self._tail = Tail(worker, tuple(self._lines(pieces)))
            self._seen = pieces
        return self._tail

    def _pieces(self, attempt: int, worker: int) -> list[Stat]:
        """The last two pieces of a worker's log, in order."""
        found = []
        for stat in self._store.list(f"logs/{attempt}/worker-{worker}."):
            if parts := layout.worker_log_parts(stat.name):
                found.append((-1 if parts.segment is None else parts.segment, stat))
        return [stat for _, stat in sorted(found, key=_segment)[-2:]]

    def _lines(self, pieces: list[Stat]) -> list[str]:
        content, cut = b"", False
        for stat in reversed(pieces):
            if len(content) >= _TAIL_BYTES:
                break
            start = max(0, stat.size - _TAIL_BYTES)
            try:
                content, cut = self._store.read(stat.name, start) + content, start > 0
            except ObjectMissing:
                continue
        lines = content.split(b"\n")[1 if cut else 0 :]
        return [text for line in lines if (text := shown(line).rstrip())][-_TAIL_LINES:]


def _segment(piece: tuple[int, Stat]) -> int:
    return piece[0]


def in_trouble(worker: WorkerStatus) -> bool:
    """Whether a worker ended badly."""
    return worker.exit_code not in (None, 0)


Look = Callable[[], Page]
