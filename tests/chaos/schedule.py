"""What happens to a run, drawn from a seed: which processes are killed, stopped or paused and when.

Events are tied to the run's progress, not to a clock, so that the same seed does the same to a slow machine.
Where they are tied to a checkpoint's step, they fall into its upload or just after; an event that follows
another one after some seconds falls into the recovery from it.
"""

import random
from dataclasses import dataclass
from enum import StrEnum

from tests.support.faults import Rates

STEPS = 100
CHECKPOINT_STEPS = 20
PRINT_STEPS = 5  # the grain of progress: steps between two printed lines

HEAVY = Rates().times(2)


class Kind(StrEnum):
    """What can happen."""

    KILL_TRAINER = "kill trainer"
    """SIGKILL to a pod's trainer; its first process lives."""
    KILL_POD = "kill pod"
    """SIGKILL to everything in a pod, which is replaced."""
    TERMINATE_POD = "terminate pod"
    """SIGTERM to a pod's first process, as Kubernetes does when it evicts; the pod is replaced."""
    PAUSE_TRAINER = "pause trainer"
    """SIGSTOP to a pod's trainer, SIGCONT after some seconds."""
    PAUSE_POD = "pause pod"
    """The same to everything in a pod: a node that hangs."""
    OUTAGE = "outage"
    """Storage answers every request with 503 for some seconds."""


_WEIGHTS = {
    Kind.KILL_TRAINER: 3,
    Kind.KILL_POD: 3,
    Kind.TERMINATE_POD: 3,
    Kind.PAUSE_TRAINER: 2,
    Kind.PAUSE_POD: 2,
    Kind.OUTAGE: 2,
}
# Shorter and longer than a heartbeat; a pod's longest is as long as the run's lease.
_LONGEST_SECONDS = {Kind.PAUSE_TRAINER: 9.0, Kind.PAUSE_POD: 16.0, Kind.OUTAGE: 10.0}


@dataclass(frozen=True)
class Event:
    """One thing that happens, when the run has printed a step and some seconds have passed."""

    kind: Kind
    step: int
    """0 for the very beginning."""
    after: float
    """Seconds after that, or after the event before this one if that was later."""
    worker: int | None
    """None for an outage."""
    seconds: float
    """How long it lasts; 0 for what happens at once."""

    def __str__(self) -> str:
        whom = "" if self.worker is None else f" {self.worker}"
        lasting = f" for {self.seconds:.1f} s" if self.seconds else ""
        return f"{self.kind}{whom} at {self.step}+{self.after:.1f}{lasting}"


@dataclass(frozen=True)
class Schedule:
    """Everything that happens to one run."""

    rates: Rates
    """Of the storage's faults, all along."""
    events: tuple[Event, ...]


def schedule(seed: int, workers: int) -> Schedule:
    """The schedule of a seed: 3 to 5 events in order."""
    draws = random.Random(f"{seed} {workers}")
    rates = draws.choice((Rates(), Rates(), HEAVY))
    steps = sorted(_step(draws) for _ in range(draws.randint(3, 5)))
    events: list[Event] = []
    for step in steps:
        follows = bool(events) and draws.random() < 0.25
        if follows:
            step = events[-1].step
        after = draws.uniform(0.2, 9.0) if follows or step == 0 else draws.uniform(0.0, 0.8)
        events.append(_event(draws, workers, step, round(after, 1)))
    return Schedule(rates, tuple(events))


def _step(draws: random.Random) -> int:
    """Half of the events fall on a checkpoint, the last one of the run included."""
    every = CHECKPOINT_STEPS if draws.random() < 0.5 else PRINT_STEPS
    return draws.randrange(0, STEPS + 1, every)


def _event(draws: random.Random, workers: int, step: int, after: float) -> Event:
    kind = draws.choices(list(_WEIGHTS), list(_WEIGHTS.values()))[0]
    worker = None if kind is Kind.OUTAGE else draws.randrange(workers)
    seconds = draws.uniform(0.5, _LONGEST_SECONDS[kind]) if kind in _LONGEST_SECONDS else 0.0
    return Event(kind, step, after, worker, round(seconds, 1))
