"""Runs in the order of a figure of their images, where all were measured alike; else why they are in none.

Each run has the place of its newest checkpoint that was judged so: to take the best of several for one run
and of few for another would flatter the first.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from launcher.looking.evaluated import metrics
from trainer.metrics import BY_NAME
from trainer.run.evaluations import Entry, incomparable, provenance

_FIRST = "fd"
_WAY = "`launcher evaluate RUN` with the same options for each makes them comparable"


@dataclass(frozen=True)
class Placed:
    """A run's figure."""

    label: str
    value: float
    step: int
    interval: list[float] | None
    """Where it lies with other draws; None where that is not known."""


@dataclass(frozen=True)
class Ranking:
    """Runs by a figure."""

    metric: str = ""
    name: str = ""
    """Of the figure, with what it was measured by; empty where there is no order."""
    reference: str = ""
    order: list[Placed] = field(default_factory=list)
    """The best first."""
    why: str = ""
    """Why there is no order, or what is uncertain about it."""


def rank(judged: Mapping[str, Sequence[Entry]]) -> Ranking | None:
    """Runs, by their labels, in the order of what their evaluations say; None where none has any."""
    if not any(judged.values()):
        return None
    without = [label for label, entries in judged.items() if not entries]
    if without:
        return Ranking(why=f"{', '.join(without)} was not judged; {_WAY}")
    first, *others = ({provenance(entry): entry for entry in each} for each in judged.values())
    shared = [key for key in first if all(key in other for other in others)]
    if not shared:
        one, other = _apart(judged)
        return Ranking(why=f"{' and '.join(one)}: {other}; {_WAY}")
    key = max(shared, key=lambda each: first[each].get("samples") or 0)
    return _ordered({label: _newest(entries, key) for label, entries in judged.items()})


def _apart(judged: Mapping[str, Sequence[Entry]]) -> tuple[tuple[str, str], str]:
    """Two runs that nobody has judged alike, and in what their newest evaluations differ."""
    (label, entries), *others = judged.items()
    kinds = {provenance(entry) for entry in entries}
    other = next(
        (name for name, each in others if not kinds & {provenance(entry) for entry in each}), others[0][0]
    )
    return (label, other), incomparable(entries[-1], judged[other][-1])


def _newest(entries: Sequence[Entry], key: tuple[Any, ...]) -> Entry:
    return max((each for each in entries if provenance(each) == key), key=lambda entry: entry["step"])


def _ordered(entries: Mapping[str, Entry]) -> Ranking:
    found = {label: metrics(entry) for label, entry in entries.items()}
    shared = [name for name in next(iter(found.values())) if all(name in each for each in found.values())]
    directed = [name for name in shared if name in BY_NAME and BY_NAME[name].direction]
    if not directed:
        return Ranking(why="their evaluations have no figure in common of which more or less is better")
    metric = _FIRST if _FIRST in directed else directed[0]
    placed = [
        Placed(label, figure["value"], int(entries[label]["step"]), figure.get("interval"))
        for label, each in found.items()
        for figure in (each[metric],)
    ]
    order = sorted(placed, key=lambda each: -BY_NAME[metric].direction * each.value)
    one = next(iter(entries.values()))
    name, reference = str(next(iter(found.values()))[metric].get("name")), str(one.get("reference"))
    return Ranking(metric, name, reference, order, _uncertain(order))


def _uncertain(order: Sequence[Placed]) -> str:
    """Which neighbours other draws of latents might put the other way round."""
    for one, other in pairwise(order):
        if one.interval and other.interval and _meet(one.interval, other.interval):
            return f"the intervals of {one.label} and {other.label} overlap"
    return ""


def _meet(one: Sequence[float], other: Sequence[float]) -> bool:
    return max(one[0], other[0]) <= min(one[1], other[1])


def origin(entry: Entry) -> str:
    """What an evaluation was measured by, in words."""
    figure = next(iter(metrics(entry).values()), {})
    return f"{figure.get('name')} against {entry.get('reference')}"
