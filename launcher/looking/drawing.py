"""Curves by matplotlib, whoever draws them: every value faintly, and its running mean on top.

Of long runs only each bucket's lowest and highest value is drawn, so that a spike stays one.
"""

from types import ModuleType
from typing import TYPE_CHECKING

from launcher.errors import NotInstalled
from launcher.looking.curves import Points, running_means, thin
from trainer.environment import surroundings

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_FEW = 40  # points whose mean is themselves: nothing is faint


def matplotlib() -> ModuleType:
    """The library, with its own defaults.

    Raises:
        NotInstalled: it is missing.
    """
    try:
        return surroundings.import_matplotlib()
    except ModuleNotFoundError:
        raise NotInstalled("matplotlib is not installed: pip install 'gantry[look]'") from None


def curve(
    axes: "Axes",
    points: Points,
    pixels: int,
    colour: str,
    style: str = "-",
    label: str | None = None,
    gid: str | None = None,
) -> None:
    """Draw one curve.

    Args:
        axes: where.
        points: in order of x.
        pixels: about how wide the panel is.
        colour: of both lines.
        style: matplotlib's, of the running mean.
        label: for a legend.
        gid: the id of the running mean in an SVG.
    """
    means = thin(Points(points.x, running_means(points.y)), pixels)
    if len(points.x) > _FEW:
        raw = thin(points, pixels)
        axes.plot(raw.x, raw.y, linewidth=0.7, alpha=0.3, color=colour)
    marker = "o" if len(points.x) == 1 else None
    axes.plot(
        means.x, means.y, linewidth=1.8, color=colour, linestyle=style, marker=marker, label=label, gid=gid
    )
