"""What is known about training over time: lines of JSON in segments.

Objects in a bucket cannot be appended to, so the lines are cut into segments of a fixed number of steps, and
the current segment is written again whole. Where a segment begins depends on the configuration alone, never
on when a run was stopped.
"""

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
