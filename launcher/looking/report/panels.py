"""The curves of a report: an SVG by matplotlib for each panel, in the page's own colours and letters.

An SVG has numbers alone in it: what a run's files say in words is the template's to escape.
"""

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from launcher.looking import drawing
from launcher.looking.curves import Curves, Points
from trainer.metrics import LOSSES, PANELS, Panel, of_panel, unknown

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_SIZE = (470, 210)  # pixels; the page shows it 340 to 700 wide, so its letters are of 8 to 17 pixels
_BUCKETS = 235  # that a curve is thinned to: 13 kB of text each
_MOST_MORE = 6  # panels of values that this version does not know by name
# Colours are drawn as these, and named in the SVG as the page's style has them, light and dark.
_COLOURS = {
    "#010101": "var(--line0)",
    "#020202": "var(--line1)",
    "#030303": "var(--mark)",
    "#040404": "var(--faded)",
    "#050505": "var(--rule)",
}
_LINE0, _LINE1, _MARK, _FADED, _RULE = _COLOURS
_STYLE = {
    "svg.fonttype": "none",  # text stays text, in the page's font
    "font.size": 11,
    "font.sans-serif": ["DejaVu Sans"],
    "svg.hashsalt": "report",  # or ids would be drawn by lot
    "xtick.color": _RULE,
    "ytick.color": _RULE,
    "xtick.labelcolor": _FADED,
    "ytick.labelcolor": _FADED,
    "text.color": _FADED,
    "axes.edgecolor": _RULE,
    "axes.facecolor": "none",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.xmargin": 0,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "grid.color": _RULE,
}


class Line(NamedTuple):
    """One curve."""

    name: str
    last: str
    """Newest value in a few digits."""


class Picture(NamedTuple):
    """A picture of some curves against steps."""

    title: str
    unit: str
    lines: list[Line]
    """In the order of their colours."""
    guess: bool
    """Whether a line is drawn where a discriminator only guesses."""
    marks: bool
    """Whether it is marked where the run was started again."""
    svg: str
    """An ``<svg>`` element; no two of a page share an id."""


def draw(curves: Curves, restarts: Sequence[int], logistic: bool = True) -> list[Picture]:
    """The pictures that a run's curves allow.

    Args:
        curves: the run's.
        restarts: steps from which it went on.
        logistic: whether its losses are cross-entropies, of which guessing is log 2.

    Raises:
        NotInstalled: matplotlib is missing.
    """
    known = [
        (
            panel if logistic or panel is not LOSSES else panel._replace(guessing=None),
            [(metric.name, metric.legend) for metric in of_panel(panel)],
        )
        for panel in PANELS
    ]
    more = [(Panel(key, key), [(key, key)]) for key in unknown(curves.values)[:_MOST_MORE]]
    found = [
        (panel, {legend: points for key, legend in lines if (points := curves.points(key)).x})
        for panel, lines in [*known, *more]
    ]
    return [
        _Drawing(f"panel{number}", panel, curves, restarts).picture(lines)
        for number, (panel, lines) in enumerate((panel, lines) for panel, lines in found if lines)
    ]


class _Drawing:
    """One picture as it is drawn; every id in it begins with its `name`."""

    def __init__(self, name: str, panel: Panel, curves: Curves, restarts: Sequence[int]) -> None:
        self._name = name
        self._panel = panel
        self._left, self._right = curves.steps[0], max(curves.steps[-1], curves.steps[0] + 1)
        self._marks = {f"mark{step}": step for step in restarts if self._left <= step <= self._right}

    def picture(self, lines: dict[str, Points]) -> Picture:
        """The picture of these curves, by their legends."""
        matplotlib = drawing.matplotlib()
        from matplotlib.figure import Figure

        with matplotlib.rc_context(_STYLE):
            figure = Figure(figsize=(_SIZE[0] / 72, _SIZE[1] / 72), layout="constrained", facecolor="none")
            axes = figure.subplots()
            guess = self._draw(axes, lines)
            content = io.StringIO()
            figure.savefig(
                content, format="svg", metadata=dict.fromkeys(("Date", "Creator", "Format", "Type"))
            )
        told = [Line(legend, f"{self._panel.scale * points.y[-1]:.4g}") for legend, points in lines.items()]
        return Picture(
            self._panel.title,
            self._panel.unit,
            told,
            guess,
            bool(self._marks),
            self._element(content.getvalue()),
        )

    def _draw(self, axes: "Axes", lines: dict[str, Points]) -> bool:
        """Draw all of it; whether the line of a discriminator that guesses is inside."""
        scale = self._panel.scale
        for row, points in enumerate(lines.values()):
            scaled = Points(points.x, [scale * y for y in points.y])
            drawing.curve(axes, scaled, _BUCKETS, (_LINE0, _LINE1)[row % 2], gid=f"mean{row}")
        low, high = axes.get_ylim()
        least = min(scale * min(points.y) for points in lines.values())
        low, high = (0, 100) if self._panel.unit == "%" else (0 if 0 < least < high / 2 else low, high)
        axes.set(xlim=(self._left, self._right), ylim=(low, high))
        for gid, step in self._marks.items():
            axes.axvline(step, color=_MARK, linewidth=1.2, linestyle="--", gid=gid)
        axes.xaxis.set_major_formatter("{x:,.0f}")
        axes.locator_params(axis="x", integer=True, nbins=6)
        axes.locator_params(axis="y", nbins=6)
        guessing = self._panel.guessing
        inside = guessing is not None and low <= scale * guessing <= high
        if guessing is not None and inside:
            axes.axhline(scale * guessing, color=_FADED, linewidth=1, linestyle=":", gid="guess")
        return inside

    def _element(self, svg: str) -> str:
        """The element alone, in the page's colours, each mark with the step that a pointer on it is told."""
        svg = svg[svg.index("<svg") :]
        for drawn, named in _COLOURS.items():
            svg = svg.replace(drawn, named)
        for gid, step in self._marks.items():
            svg = svg.replace(f'<g id="{gid}">', f'<g id="{gid}"><title>went on from step {step:,}</title>')
        for before in (' id="', '"#', "(#"):
            svg = svg.replace(before, f"{before}{self._name}-")
        return svg
