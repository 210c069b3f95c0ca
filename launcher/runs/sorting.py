"""A list of runs, cut down to those that are asked for and put in order; pure functions."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from launcher.errors import SpecError
from launcher.records.states import ALL_STATES
from launcher.records.status import RunStatus
from trainer.metrics import METRICS, OF_SAMPLES
from trainer.run.judged import comparable

FIELDS = ("created", "updated", "run", "experiment", "state", "step", "images_per_second")
"""What runs can be sorted by besides their figures."""
JUDGED = ("best", "judged")
"""Fields that are figures of a checkpoint's images, which are sorted only where they were measured alike."""
FIGURES = frozenset(metric.name for metric in METRICS if metric.panel in OF_SAMPLES)
"""Metrics of a line that are such figures too; by what they were measured, `judged` tells."""
_SHOWN = 20  # figures that an error names

Value = float | str | None


def arranged(
    runs: Iterable[RunStatus],
    *,
    sort: str | None = None,
    reverse: bool = False,
    states: Sequence[str] = (),
    limit: int | None = None,
) -> list[RunStatus]:
    """Runs that are in one of some states, in order, and of these so many.

    `sort` is one of `FIELDS` or a figure such as ``fid``; the lowest comes first, with a ``-`` before it or
    `reverse` the highest, and runs without a value always come last. Without `sort` the order stays as it is,
    the newest word last, and `limit` keeps the newest; with it, the first.

    Raises:
        SpecError: no run has such a figure, there is no such state, or the limit is no number of runs.
    """
    if unknown := [state for state in states if state not in ALL_STATES]:
        raise SpecError(f"--state {unknown[0]}: expected one of {', '.join(sorted(ALL_STATES))}")
    if limit is not None and limit < 1:
        raise SpecError(f"--limit {limit}: expected at least 1")
    runs = list(runs)
    kept = [run for run in runs if not states or run.state in states]
    if sort is None:
        ordered = kept[-limit:] if limit is not None else kept
        return ordered[::-1] if reverse else ordered
    key = sort.removeprefix("-")
    _check_key(sort, key, runs)
    if key in JUDGED or key in FIGURES:
        _check_alike(sort, key if key in JUDGED else "judged", kept)
    down = reverse or sort.startswith("-")
    with_value = [(value, run) for run in kept if (value := value_of(run, key)) is not None]
    without = [run for run in kept if value_of(run, key) is None]
    with_value.sort(key=lambda pair: pair[0], reverse=down)
    return [*(run for _, run in with_value), *without][:limit]


def is_figure(sort: str | None) -> bool:
    """Whether a list is sorted by a figure rather than by a field that every run has."""
    return sort is not None and sort.removeprefix("-") not in FIELDS


def value_of(run: RunStatus, key: str) -> Value:
    """A field of `FIELDS` or a figure of a run; None when it has none, or one that is no number."""
    if key in FIELDS:
        found: Value = getattr(run, key)
        return found
    if key in JUDGED:
        return (getattr(run, key) or {}).get("value")
    figure = run.metrics.get(key)
    if isinstance(figure, bool) or not isinstance(figure, int | float) or not math.isfinite(figure):
        return None
    return float(figure)


def _check_key(sort: str, key: str, runs: Sequence[RunStatus]) -> None:
    """Refuse a figure that no run has, unless there are no runs to tell."""
    figures = sorted({name for run in runs for name in run.metrics})
    if key in (*FIELDS, *JUDGED) or key in figures or not runs:
        return
    known = ", ".join(dict.fromkeys([*FIELDS, *JUDGED, *figures[:_SHOWN]]))
    raise SpecError(f"--sort {sort}: no run has it; expected one of {known}")


def _check_alike(sort: str, key: str, runs: Sequence[RunStatus]) -> None:
    """Refuse to sort figures of different provenance.

    Raises:
        SpecError: with two runs and what theirs were measured by.
    """
    found = [(run, figure) for run in runs if (figure := getattr(run, key))]
    if comparable(figure for _, figure in found):
        return
    (one, first), *others = found
    other, second = next(each for each in others if not comparable([first, each[1]]))
    told = [
        f"{run.experiment}/{run.run} has {figure_origin(each)}"
        for run, each in ((one, first), (other, second))
    ]
    raise SpecError(
        f"--sort {sort}: figures that were measured otherwise are not sorted together: {' and '.join(told)}"
    )


def figure_origin(figure: Mapping[str, Any]) -> str:
    """What a figure was measured by, in words."""
    return f"{figure.get('name')} against {figure.get('reference') or 'images that are not known'}"
