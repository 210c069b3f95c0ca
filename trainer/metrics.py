"""What is known about training over time: lines of JSON in segments, and the picture made of them.

Objects in a bucket cannot be appended to, so the lines are cut into segments of a fixed number of steps, and
the current segment is written again whole. Where a segment begins depends on the configuration alone, never
on when a run was stopped.
"""

import io
import json
from collections.abc import Iterator
from typing import Any

from trainer import layout
from trainer.storage import Store

# A line's timing differs from one run to the next; everything else in it is a function of the configuration.
TIMING = ("images_per_second",)


class MetricsLog:
    """The lines of a run, ready to be written segment by segment."""

    def __init__(self, segment_steps: int, lines: list[dict[str, Any]]) -> None:
        self._segment_steps = segment_steps
        self._lines = lines

    @classmethod
    def resume(cls, store: Store, segment_steps: int, step: int) -> "MetricsLog":
        """Go on after `step` steps: later lines are removed, they will be written again."""
        found = list(read_lines(store))
        lines = [line for line in found if line["step"] <= step]
        for stat in list(store.list("metrics/")):
            first = layout.metrics_first_step(stat.name)
            if first is not None and first > step:
                store.delete(stat.name)
        log = cls(segment_steps, lines)
        if lines and len(lines) < len(found):
            store.write(*log.current_segment())
        return log

    def append(self, line: dict[str, Any]) -> None:
        """Add the line of one step; steps only grow."""
        self._lines.append(line)

    def current_segment(self) -> tuple[str, bytes]:
        """Name and content of the segment of the newest line."""
        first = (self._lines[-1]["step"] - 1) // self._segment_steps * self._segment_steps + 1
        lines = [line for line in self._lines if line["step"] >= first]
        text = "".join(json.dumps(line) + "\n" for line in lines)
        return layout.metrics_segment(first), text.encode()

    @property
    def lines(self) -> list[dict[str, Any]]:
        """All lines so far, those of earlier attempts included."""
        return self._lines


def read_lines(store: Store) -> Iterator[dict[str, Any]]:
    """All lines of a run in order of their steps; keys are those of the README's table."""
    segments = []
    for stat in store.list("metrics/"):
        first = layout.metrics_first_step(stat.name)
        if first is not None:
            segments.append((first, stat.name))
    for _, name in sorted(segments):
        yield from (json.loads(line) for line in store.read(name).splitlines())


def loss_curves(lines: list[dict[str, Any]]) -> bytes:
    """A PNG of both losses and the discriminator's accuracies against steps."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 6), layout="constrained")
    losses, accuracies = figure.subplots(2, 1, sharex=True, height_ratios=(3, 2))
    steps = [line["step"] for line in lines]
    _curve(losses, steps, [line["d_loss"] for line in lines], "discriminator")
    _curve(losses, steps, [line["g_loss"] for line in lines], "generator")
    losses.set_ylabel("loss")
    _curve(accuracies, steps, [100 * line["d_accuracy_real"] for line in lines], "on real images")
    _curve(accuracies, steps, [100 * line["d_accuracy_fake"] for line in lines], "on generated images")
    accuracies.axhline(50, color="grey", linewidth=0.8, linestyle=":")  # a discriminator that only guesses
    accuracies.set(ylabel="D accuracy (%)", xlabel="step", ylim=(-2, 102))
    for axes in (losses, accuracies):
        axes.legend(loc="best", frameon=False)
        axes.grid(alpha=0.3)
    content = io.BytesIO()
    figure.savefig(content, format="png", dpi=110)
    return content.getvalue()


def _curve(axes: Any, steps: list[int], values: list[float], label: str) -> None:
    """One curve: every value faintly, and its running mean over a fortieth of the run on top."""
    (faint,) = axes.plot(steps, values, linewidth=0.7, alpha=0.3)
    width = max(1, len(values) // 40)
    means = [sum(values[max(0, i - width + 1) : i + 1]) / min(width, i + 1) for i in range(len(values))]
    axes.plot(steps, means, linewidth=1.8, color=faint.get_color(), label=label)
