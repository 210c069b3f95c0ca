"""Rounds in which contestants take turns, and what is made of them."""

import statistics
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import NamedTuple

from bench.contestant import Contestant, Group


class Turn(NamedTuple):
    """What one entry does in each round."""

    group: Group
    steps: int


class Spread(NamedTuple):
    """The median over rounds, with the extremes."""

    middle: float
    low: float
    high: float

    def text(self, digits: int = 2) -> str:
        """Median, then lowest to highest."""
        return f"{self.middle:.{digits}f} ({self.low:.{digits}f} to {self.high:.{digits}f})"


Times = Mapping[str, Sequence[float]]
"""Seconds of one step, for each entry and round."""


def spread(values: Sequence[float]) -> Spread:
    """Median, minimum and maximum."""
    return Spread(statistics.median(values), min(values), max(values))


def ratios(over: Sequence[float], under: Sequence[float], factor: float = 1.0) -> Spread:
    """Ratio within each round, then the spread over rounds."""
    return spread([factor * a / b for a, b in zip(over, under, strict=True)])


def play(turns: Mapping[str, Turn], rounds: int) -> dict[str, list[float]]:
    """All entries one after the other, `rounds` times; seconds of one step."""
    times: dict[str, list[float]] = {name: [] for name in turns}
    for number in range(rounds):
        # Every other round backwards, so that a steady drift favours nobody.
        for name, turn in list(turns.items())[:: -1 if number % 2 else 1]:
            times[name].append(turn.group.run(turn.steps) / turn.steps)
    return times


@contextmanager
def ready(contestants: Mapping[str, Contestant]) -> Iterator[None]:
    """Wait until all are ready; end their processes afterwards, whatever happens."""
    try:
        for contestant in contestants.values():
            contestant.wait_ready()
        yield
    finally:
        for contestant in contestants.values():
            contestant.close()
