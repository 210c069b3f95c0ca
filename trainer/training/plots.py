"""``export/loss.png``: the losses of a run against its steps, drawn by a process of its own.

No picture is worth a run. What a library of pictures does when it is imported, and what it finds in
folders, fonts and variables, stays in that process, as does how it ends: the run's own lives on.

``python -m trainer.training.plots`` reads a title, lines of metrics and whether their losses are
cross-entropies in JSON from stdin and writes a PNG to stdout.
"""

import io
import json
import os
import subprocess
import sys
from typing import Any

from trainer.environment import surroundings
from trainer.errors import GantryError
from trainer.metrics import LOSSES, PANELS, of_panel

_SECONDS = 120.0  # it takes 1 on an idle machine; a library that builds its list of fonts takes some more


class NotDrawn(GantryError):
    """There is no picture; the text is one line that says why."""


def loss_curves(lines: list[dict[str, Any]], title: str, logistic: bool = True) -> bytes:
    """A PNG of both losses and the discriminator's accuracies against steps, under a title.

    `logistic`: whether the losses are cross-entropies, of which guessing is log 2.

    Raises:
        NotDrawn: whatever the reason.
    """
    try:
        done = subprocess.run(
            [sys.executable, "-m", "trainer.training.plots"],
            input=json.dumps([title, lines, logistic]).encode(),
            capture_output=True,
            cwd=surroundings.PLAIN,
            env=surroundings.environment(os.environ),
            timeout=_SECONDS,
            check=False,
        )
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        raise NotDrawn(f"the process that draws it: {error}") from error
    if done.returncode or not done.stdout:
        said = done.stderr.decode(errors="replace").strip().splitlines()
        raise NotDrawn(said[-1] if said else f"the process that draws it ended with {done.returncode}")
    return done.stdout


def draw(title: str, lines: list[dict[str, Any]], logistic: bool = True) -> bytes:
    """The picture as a PNG, drawn in this process."""
    surroundings.import_matplotlib()
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 6), layout="constrained")
    figure.suptitle(title.replace("$", r"\$"))  # between two of which it would be mathematics
    panels = [panel for panel in PANELS if panel.guessing is not None]  # what tells how the game goes
    ratios = [2 if panel.unit == "%" else 3 for panel in panels]
    drawn = figure.subplots(len(panels), 1, sharex=True, height_ratios=ratios)
    steps = [line["step"] for line in lines]
    for panel, axes in zip(panels, drawn, strict=True):
        for metric in of_panel(panel):
            _curve(axes, steps, [panel.scale * line[metric.name] for line in lines], metric.legend)
        if logistic or panel is not LOSSES:
            _level(axes, panel.scale * (panel.guessing or 0), "D guesses")
        axes.set_ylabel(panel.axis)
        if panel.unit == "%":
            axes.set_ylim(-2, 102)
        # Beside the curves, of which it would cover some wherever it lay among them.
        axes.legend(loc="center left", bbox_to_anchor=(1, 0.5), frameon=False)
        axes.grid(alpha=0.3)
    drawn[-1].set_xlabel("step")
    content = io.BytesIO()
    figure.savefig(content, format="png", dpi=110)
    return content.getvalue()


def _level(axes: Any, value: float, label: str) -> None:
    axes.axhline(value, color="grey", linewidth=0.9, linestyle=":", label=label)


def _curve(axes: Any, steps: list[int], values: list[float], label: str) -> None:
    """One curve: every value faintly, and its running mean over a fortieth of the run on top."""
    (faint,) = axes.plot(steps, values, linewidth=0.7, alpha=0.3)
    width = max(1, len(values) // 40)
    means = [sum(values[max(0, i - width + 1) : i + 1]) / min(width, i + 1) for i in range(len(values))]
    axes.plot(steps, means, linewidth=1.8, color=faint.get_color(), label=label)


if __name__ == "__main__":
    sys.stdout.buffer.write(draw(*json.load(sys.stdin)))
