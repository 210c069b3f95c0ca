"""The curves of several runs as one picture, a panel for each metric."""

import io

from launcher.looking import drawing
from launcher.looking.compare.runs import Comparison
from trainer.metrics import BY_NAME, label

SUFFIXES = (".png", ".svg", ".pdf")
_PIXELS = 1000  # across a panel
_STYLES = ("-", "--", ":", "-.")


def draw(comparison: Comparison, by: str = "steps", kind: str = "png") -> bytes:
    """The picture.

    Args:
        comparison: the runs, in the order of their colours.
        by: ``steps`` or ``images``, along x.
        kind: ``png``, ``svg`` or ``pdf``.

    Raises:
        NotInstalled: matplotlib is missing.
    """
    drawing.matplotlib()
    from matplotlib.figure import Figure

    count = len(comparison.metrics)
    figure = Figure(figsize=(9, 1.2 + 2.9 * count), layout="constrained")
    panels = figure.subplots(count, 1, sharex=True, squeeze=False)[:, 0]
    for key, panel in zip(comparison.metrics, panels, strict=True):
        for row, curves in enumerate(comparison.curves):
            style = _STYLES[row // 10 % len(_STYLES)]
            points, name = curves.points(key, by), comparison.runs[row].label
            drawing.curve(panel, points, _PIXELS, f"C{row % 10}", style, name)
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
