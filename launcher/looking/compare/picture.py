"""The curves of several runs as one picture, a panel for each metric.

Every value is drawn faintly and its running mean on top, as in a run's own ``export/loss.png``. Of long runs
only each pixel's lowest and highest value is drawn, so that a spike stays one.
"""

import io
from typing import TYPE_CHECKING, Any

from launcher.errors import NotInstalled
from launcher.looking.compare.runs import Comparison
from launcher.looking.curves import Points, running_means, thin
from trainer.environment import surroundings
from trainer.metrics import BY_NAME, label

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SUFFIXES = (".png", ".svg", ".pdf")
_PIXELS = 1000  # across a panel
_STYLES = ("-", "--", ":", "-.")


def check_installed() -> None:
    """Refuse to go on without matplotlib.

    Raises:
        NotInstalled: it is missing.
    """
    try:
        surroundings.import_matplotlib()
    except ModuleNotFoundError:
        raise NotInstalled("matplotlib is not installed: pip install 'gantry[look]'") from None


def draw(comparison: Comparison, by: str = "steps", kind: str = "png") -> bytes:
    """The picture.

    Args:
        comparison: the runs, in the order of their colours.
        by: ``steps`` or ``images``, along x.
        kind: ``png``, ``svg`` or ``pdf``.

    Raises:
        NotInstalled: matplotlib is missing.
    """
    check_installed()
    from matplotlib.figure import Figure

    count = len(comparison.metrics)
    figure = Figure(figsize=(9, 1.2 + 2.9 * count), layout="constrained")
    panels = figure.subplots(count, 1, sharex=True, squeeze=False)[:, 0]
    for key, panel in zip(comparison.metrics, panels, strict=True):
        for row, curves in enumerate(comparison.curves):
            _curve(panel, curves.points(key, by), row, comparison.runs[row].label)
        panel.set_ylabel(label(key))
        panel.grid(alpha=0.3)
        shared = BY_NAME[key].panel if key in BY_NAME else None
        if shared and shared.unit == "%":
            panel.axhline(shared.guessing or 0, color="grey", linewidth=0.8, linestyle=":")
            panel.set_ylim(-0.02, 1.02)
    panels[-1].set_xlabel("step" if by == "steps" else "images")
    panels[-1].xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    handles, labels = panels[0].get_legend_handles_labels()
    columns = max(1, min(len(labels), 90 // (max(map(len, labels)) + 6)))
    figure.legend(handles, labels, loc="outside upper center", ncols=columns, frameon=False)
    content = io.BytesIO()
    figure.savefig(content, format=kind, dpi=110)
    return content.getvalue()


def _curve(panel: "Axes", points: Points, row: int, label: str) -> None:
    colour: Any = f"C{row % 10}"
    style = _STYLES[row // 10 % len(_STYLES)]
    raw, means = thin(points, _PIXELS), thin(Points(points.x, running_means(points.y)), _PIXELS)
    marker = "o" if len(points.x) == 1 else None
    if len(points.x) > 40:
        panel.plot(raw.x, raw.y, linewidth=0.7, alpha=0.25, color=colour)
    panel.plot(means.x, means.y, linewidth=1.8, color=colour, linestyle=style, marker=marker, label=label)
