"""A run's metrics as columns: read from the segments of ``metrics/``, only those that changed, and thinned
out for drawing.

Where two segments hold the same step, the later segment's line counts: it was written by the attempt that
went on. What is no line of metrics, such as the torn end of one that is being written, is left out and named.
"""

import json
import math
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import accumulate, pairwise
from typing import Any, NamedTuple

from trainer.errors import ObjectMissing
from trainer.run import layout
from trainer.storage import LocalStore, Stat, Store

_SMOOTHED = 40  # a running mean is over this part of a run, as in the trainer's loss.png
_READERS = 8  # segments at once from a bucket, whose answers take some 30 ms each to begin
_PLACES = frozenset({"step", "images"})  # where a line belongs; everything else in it is a value


@dataclass(frozen=True)
class Curves:
    """All lines of a run in order of their steps, each step once."""

    steps: list[int] = field(default_factory=list)
    images: list[int] = field(default_factory=list)
    """Images seen by then, one entry for each step."""
    values: dict[str, list[float | None]] = field(default_factory=dict)
    """By key such as ``d_loss``, one entry for each step; None where a line has no finite number."""
    damaged: list[str] = field(default_factory=list)
    """Lines that could not be read, as ``metrics/1.jsonl line 7``."""

    def __bool__(self) -> bool:
        return bool(self.steps)

    def points(self, key: str, by: str = "steps") -> "Points":
        """The finite values of one key against ``steps`` or ``images``; none for a key that there is not."""
        places = self.images if by == "images" else self.steps
        found = [(x, y) for x, y in zip(places, self.values.get(key, ()), strict=False) if y is not None]
        return Points([x for x, _ in found], [y for _, y in found])

    def last(self, key: str) -> float | None:
        """The newest finite value of a key, None when there is none."""
        return next((value for value in reversed(self.values.get(key, ())) if value is not None), None)


class Points(NamedTuple):
    """What a line is drawn through."""

    x: list[int]
    y: list[float]


def read_curves(store: Store) -> Curves:
    """The metrics of a run; empty for one that has none."""
    return CurveReader(store).read()


class CurveReader:
    """The metrics of a run as they grow: a `read` costs one listing and the segments that changed since."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._pieces: dict[str, tuple[int, _Piece]] = {}
        self._curves = Curves()

    def read(self) -> Curves:
        """All lines there are now."""
        found = {stat.name: stat for stat in self._store.list("metrics/") if _first_step(stat) is not None}
        changed = [stat for stat in found.values() if self._known(stat.name) != stat.generation]
        if not changed and found.keys() == self._pieces.keys():
            return self._curves
        self._pieces = {name: piece for name, piece in self._pieces.items() if name in found}
        for stat, piece in zip(changed, self._load(changed), strict=True):
            self._pieces[stat.name] = (stat.generation, piece)
        ordered = sorted(self._pieces, key=lambda name: layout.metrics_first_step(name) or 0)
        self._curves = _joined([self._pieces[name][1] for name in ordered])
        return self._curves

    def _known(self, name: str) -> int | None:
        return self._pieces[name][0] if name in self._pieces else None

    def _load(self, changed: Sequence[Stat]) -> "list[_Piece]":
        if len(changed) < 2 or isinstance(self._store, LocalStore):  # a disk gains nothing from threads
            return [self._read(stat.name) for stat in changed]
        with ThreadPoolExecutor(min(_READERS, len(changed)), thread_name_prefix="metrics") as readers:
            return list(readers.map(lambda stat: self._read(stat.name), changed))

    def _read(self, name: str) -> "_Piece":
        try:
            return _parse(name, self._store.read(name))
        except ObjectMissing:  # a resumed run removed it meanwhile
            return _Piece()


@dataclass
class _Piece:
    """The lines of one segment as columns: a tenth of the memory of as many dictionaries."""

    steps: list[int] = field(default_factory=list)
    images: list[int] = field(default_factory=list)
    values: dict[str, list[float | None]] = field(default_factory=dict)
    damaged: list[str] = field(default_factory=list)

    def add(self, line: dict[str, Any]) -> None:
        """Take one line in."""
        count = len(self.steps)
        self.steps.append(line["step"])
        self.images.append(line["images"])
        for key, value in line.items():
            if key not in _PLACES:
                column = self.values.setdefault(key, [])
                if len(column) < count:
                    column.extend([None] * (count - len(column)))
                column.append(value if _is_number(value) else None)

    def closed(self) -> "_Piece":
        """Itself, with every column as long as there are steps."""
        for column in self.values.values():
            column.extend([None] * (len(self.steps) - len(column)))
        return self


def _first_step(stat: Stat) -> int | None:
    return layout.metrics_first_step(stat.name)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _parse(name: str, content: bytes) -> _Piece:
    texts = [text for text in content.split(b"\n") if text.strip()]
    piece = _Piece()
    for number, line in enumerate(_lines(texts), 1):
        if isinstance(line, dict) and all(type(line.get(place)) is int for place in _PLACES):
            piece.add(line)
        else:
            piece.damaged.append(f"{name} line {number}")
    return piece.closed()


def _lines(texts: Sequence[bytes]) -> Iterator[Any]:
    """Each line's JSON, None for one that is none; all in one call of the parser unless one is damaged."""
    try:
        whole = json.loads(b"[" + b",".join(texts) + b"]")
        if len(whole) == len(texts):
            yield from whole
            return
    except ValueError:
        pass
    for text in texts:
        try:
            yield json.loads(text)
        except ValueError:
            yield None


def _joined(pieces: Sequence[_Piece]) -> Curves:
    """Pieces in order as one, each step once."""
    keys = dict.fromkeys(key for piece in pieces for key in piece.values)
    steps = [step for piece in pieces for step in piece.steps]
    images = [count for piece in pieces for count in piece.images]
    values = {key: [value for piece in pieces for value in _column(piece, key)] for key in keys}
    damaged = [name for piece in pieces for name in piece.damaged]
    if any(later <= earlier for earlier, later in pairwise(steps)):
        rows = {step: row for row, step in enumerate(steps)}  # the last row of a step stays
        order = [rows[step] for step in sorted(rows)]
        steps, images = [steps[row] for row in order], [images[row] for row in order]
        values = {key: [column[row] for row in order] for key, column in values.items()}
    return Curves(steps, images, values, damaged)


def _column(piece: _Piece, key: str) -> Iterable[float | None]:
    return piece.values.get(key) or [None] * len(piece.steps)


def thin(points: Points, buckets: int) -> Points:
    """At most ``2 * buckets + 2`` of the points, for a picture about `buckets` pixels wide.

    The lowest and the highest of each bucket stay, so a spike is never drawn away; the first and the last
    point stay too.

    Args:
        points: in order of x.
        buckets: parts of equally many points, at least 1.
    """
    count = len(points.x)
    if count <= 2 * buckets + 2:
        return points
    kept = {0, count - 1}
    for bucket in range(buckets):
        rows = range(bucket * count // buckets, (bucket + 1) * count // buckets)
        kept.add(min(rows, key=points.y.__getitem__))
        kept.add(max(rows, key=points.y.__getitem__))
    chosen = sorted(kept)
    return Points([points.x[row] for row in chosen], [points.y[row] for row in chosen])


class Figure(NamedTuple):
    """A metric of a run in few numbers; which of them is good, no loss of a GAN tells."""

    last: float | None
    """The newest finite value."""
    lowest: float | None
    lowest_step: int | None
    highest: float | None
    highest_step: int | None


def figures(curves: Curves) -> dict[str, Figure]:
    """Every metric of a run in few numbers, by key; the first step of those that have an extreme."""
    found = {}
    for key in curves.values:
        x, y = curves.points(key)
        rows = range(len(x))
        low, high = (each(rows, key=y.__getitem__, default=None) for each in (min, max))
        if low is None or high is None:
            found[key] = Figure(None, None, None, None, None)
        else:
            found[key] = Figure(y[-1], y[low], x[low], y[high], x[high])
    return found


def running_means(values: Sequence[float]) -> list[float]:
    """The mean of each value and those before it, over a fortieth of all."""
    width = max(1, len(values) // _SMOOTHED)
    sums = [0.0, *accumulate(values)]
    return [
        (sums[row + 1] - sums[max(0, row + 1 - width)]) / min(width, row + 1) for row in range(len(values))
    ]
