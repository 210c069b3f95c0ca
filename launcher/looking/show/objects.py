"""What one listing of a run's folder shows; memory grows with checkpoints and attempts, not with objects."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime

from launcher.artifacts.listing import kind_of
from trainer.run import layout
from trainer.storage import Stat
from trainer.storage.clock import age


@dataclass
class SavedCheckpoint:
    """One checkpoint, or the files of one that was never completed."""

    step: int
    bytes: int
    complete: bool
    """Whether its manifest is there: without it nobody resumes from it."""
    updated: str
    """ISO time, UTC, of its newest file."""
    age_seconds: float | None
    """Seconds since then by the storage's clock, None where it does not tell."""


@dataclass
class SavedSamples:
    """The grids."""

    count: int
    first_step: int
    last_step: int
    updated: str
    """ISO time, UTC, of the newest one."""


@dataclass
class Attempt:
    """The logs of one attempt."""

    attempt: int
    workers: int
    """That left a log."""
    bytes: int
    updated: str
    """ISO time, UTC, of the last line."""


@dataclass
class Inventory:
    """All objects of a run, summed up."""

    objects: int = 0
    bytes: int = 0
    by_kind: dict[str, int] = field(default_factory=dict)
    """Bytes by what lies directly below the run's folder, such as ``checkpoints`` and ``run.json``."""
    checkpoints: list[SavedCheckpoint] = field(default_factory=list)
    samples: SavedSamples | None = None
    attempts: list[Attempt] = field(default_factory=list)


class _Sum:
    """Objects of one group."""

    def __init__(self) -> None:
        self.bytes, self.complete, self.workers = 0, False, set[int]()
        self.updated: datetime | None = None

    def add(self, found: Stat) -> None:
        """Take one in."""
        self.bytes += found.size
        self.updated = max(found.updated, self.updated or found.updated)

    @property
    def time(self) -> str:
        """Of the newest, as ISO text."""
        return self.updated.isoformat() if self.updated else ""


def take_stock(objects: Iterable[Stat], clock: Callable[[], datetime | None]) -> Inventory:
    """Sum up a listing of a run's folder; `clock` is the one that dates the objects."""
    whole = Inventory()
    checkpoints: dict[int, _Sum] = {}
    attempts: dict[int, _Sum] = {}
    grids, steps = _Sum(), list[int]()
    for found in objects:
        whole.objects += 1
        whole.bytes += found.size
        kind = kind_of(found.name)
        whole.by_kind[kind] = whole.by_kind.get(kind, 0) + found.size
        if (step := layout.checkpoint_step(found.name)) is not None:
            group = checkpoints.setdefault(step, _Sum())
            group.add(found)
            group.complete |= layout.is_complete(found.name, found.size)
        elif (step := layout.sample_step(found.name)) is not None:
            grids.add(found)
            steps.append(step)
        elif log := layout.worker_log_parts(found.name):
            group = attempts.setdefault(log.attempt, _Sum())
            group.add(found)
            group.workers.add(log.worker)
    now = clock()  # a bucket has told it with the listing
    whole.checkpoints = [
        SavedCheckpoint(step, each.bytes, each.complete, each.time, age(each.updated, now))
        for step, each in sorted(checkpoints.items())
    ]
    whole.attempts = [
        Attempt(attempt, len(each.workers), each.bytes, each.time)
        for attempt, each in sorted(attempts.items())
    ]
    if steps:
        whole.samples = SavedSamples(len(steps), min(steps), max(steps), grids.time)
    return whole
