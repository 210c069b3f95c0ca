"""Curves as SVG paths: numbers alone, which the page stretches to its width and labels with its own text.

A path lies in a box of 1000 by 1000, y downward, and is drawn with strokes that do not scale; ticks and marks
are places in percent. So a chart is sharp and its text readable at any width, on paper too.
"""

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

from launcher.looking.curves import Curves, Points, running_means, thin
from trainer.metrics import PANELS, Panel, of_panel, unknown

_BOX = 1000
_POINTS = 400  # buckets that a curve is thinned to: a chart is some 900 pixels wide
_MOST_MORE = 6  # charts of values that this version does not know by name


class Tick(NamedTuple):
    """A label beside a chart."""

    place: float
    """Percent of the chart's width from the left, or of its height from the top."""
    text: str


class Line(NamedTuple):
    """One curve: every value faintly, and its running mean on top."""

    name: str
    values: str
    """Path of the values."""
    mean: str
    """Path of the running mean."""
    last: str
    """Newest value in a few digits."""


class Chart(NamedTuple):
    """A picture of some curves against steps."""

    title: str
    unit: str
    lines: list[Line]
    x: list[Tick]
    y: list[Tick]
    marks: list[Tick]
    """Where the run was started again."""
    guess: float | None
    """Percent from the top of a discriminator that only guesses; None where that means nothing."""


def draw(curves: Curves, restarts: Sequence[int]) -> list[Chart]:
    """The charts that a run's curves allow; `restarts` are steps from which it went on."""
    known = [(panel, [(metric.name, metric.legend) for metric in of_panel(panel)]) for panel in PANELS]
    more = [(Panel(key, key), [(key, key)]) for key in unknown(curves.values)[:_MOST_MORE]]
    charts = (_chart(curves, restarts, panel, lines) for panel, lines in [*known, *more])
    return [chart for chart in charts if chart is not None]


def _chart(
    curves: Curves, restarts: Sequence[int], panel: Panel, keys: Sequence[tuple[str, str]]
) -> Chart | None:
    found = {name: curves.points(key) for key, name in keys}
    found = {
        name: Points(each.x, [panel.scale * y for y in each.y]) for name, each in found.items() if each.x
    }
    if not found:
        return None
    left, right = curves.steps[0], max(curves.steps[-1], curves.steps[0] + 1)
    low, high = (0.0, 100.0) if panel.unit == "%" else _range([y for each in found.values() for y in each.y])
    lines = [
        Line(
            name,
            _path(thin(points, _POINTS), left, right, low, high),
            _path(thin(Points(points.x, running_means(points.y)), _POINTS), left, right, low, high),
            f"{points.y[-1]:.4g}",
        )
        for name, points in found.items()
    ]
    inside = [step for step in restarts if left <= step <= right]
    return Chart(
        panel.title,
        panel.unit,
        lines,
        [Tick(_percent(x, left, right), f"{x:,.0f}") for x in nice(left, right, min(6, right - left))],
        [Tick(100 - _percent(y, low, high), f"{y:,.6g}") for y in nice(low, high, 5)],
        [Tick(_percent(step, left, right), f"went on from step {step:,}") for step in inside],
        _guess(panel, low, high),
    )


def _guess(panel: Panel, low: float, high: float) -> float | None:
    if panel.guessing is None or not low <= panel.scale * panel.guessing <= high:
        return None
    return 100 - _percent(panel.scale * panel.guessing, low, high)


def nice(low: float, high: float, about: int) -> list[float]:
    """About so many round numbers from `low` to `high`; their distance is 1, 2 or 5 times a power of 10."""
    rough = (high - low) / about
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough * (1 - 1e-9))
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [number * step for number in range(first, last + 1)]


def _range(values: Sequence[float]) -> tuple[float, float]:
    """What a chart of these shows: from zero where that costs little, and room above."""
    low, high = min(values), max(values)
    if low > 0 and low < high / 2:
        low = 0.0
    if high - low <= 1e-12 * max(abs(high), abs(low), 1e-300):
        return low - (abs(low) / 2 or 1.0), high + (abs(high) / 2 or 1.0)
    return low - (0.0 if low == 0 else 0.05 * (high - low)), high + 0.05 * (high - low)


def _path(points: Points, left: float, right: float, low: float, high: float) -> str:
    if len(points.x) == 1:  # one point is a short dash, or nothing would be seen
        points = Points([points.x[0], points.x[0] + 1], [points.y[0]] * 2)
    places = [
        (round(_BOX * (x - left) / (right - left)), round(_BOX * (high - y) / (high - low)))
        for x, y in zip(points.x, points.y, strict=True)
    ]
    kept = [places[0], *(after for before, after in pairwise(places) if after != before)]
    return "M" + "L".join(f"{x} {y}" for x, y in kept)


def _percent(value: float, low: float, high: float) -> float:
    return round(100 * (value - low) / (high - low), 3)
