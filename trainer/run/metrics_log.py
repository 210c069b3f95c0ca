"""What is known about training over time: lines of JSON in segments.

Objects in a bucket cannot be appended to, so the lines are cut into segments of a fixed number of steps, and
the current segment is written again whole. Where a segment begins depends on the configuration alone, never
on when a run was stopped.
"""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from typing import Any

from trainer.metrics import TIMED
from trainer.run import layout
from trainer.storage import Store

_READERS = 16  # requests at once: a run of 100,000 steps has 100 segments


class MetricsLog:
    """The lines of a run, ready to be written segment by segment."""

    def __init__(self, segment_steps: int, lines: list[dict[str, Any]]) -> None:
        """`lines` are those so far of the segment that the next line is of."""
        self._segment_steps = segment_steps
        self._lines = lines
        self._first = 1 if not lines else self._segment_of(lines[0]["step"])

    @classmethod
    def resume(cls, store: Store, segment_steps: int, step: int) -> "MetricsLog":
        """Go on after `step` steps: later lines are removed, they will be written again.

        One segment is read, however many there are.
        """
        segments = _segments(store)
        for first, name in segments:
            if first > step:
                store.delete(name)
        log = cls(segment_steps, [])
        log._first = log._segment_of(step + 1)
        here = [name for first, name in segments if log._first <= first <= step]
        found = [line for name in here for line in _read(store, name)]
        log._lines = [line for line in found if line["step"] <= step]
        if log._lines and len(log._lines) < len(found):
            store.write(*log.current_segment())
        elif not log._lines:
            for name in here:
                store.delete(name)
        return log

    def append(self, line: dict[str, Any]) -> None:
        """Add the line of one step; steps only grow."""
        self._lines.append(line)

    def complete(self, store: Store, step: int, values: dict[str, float]) -> dict[str, Any]:
        """Add values to the line of a step that was written without them; returns the line.

        The speed stays a line's last value, as it does not tell one run from another.
        """
        name = layout.metrics_segment(self._segment_of(step))
        here = next((line for line in self._lines if line["step"] == step), None)
        lines = self._lines if here else [*_read(store, name)]
        line = here or next(line for line in lines if line["step"] == step)
        speed = {each: line.pop(each) for each in TIMED if each in line}
        line.update(values | speed)
        first = self._segment_of(step)
        text = "".join(json.dumps(each) + "\n" for each in lines if self._segment_of(each["step"]) == first)
        store.write(name, text.encode())
        return line

    def current_segment(self) -> tuple[str, bytes]:
        """Name and content of the segment of the newest line."""
        first = self._segment_of(self._lines[-1]["step"])
        lines = [line for line in self._lines if line["step"] >= first]
        text = "".join(json.dumps(line) + "\n" for line in lines)
        return layout.metrics_segment(first), text.encode()

    @property
    def lines(self) -> list[dict[str, Any]]:
        """Lines of this process, and those before them of the segment that it began in."""
        return self._lines

    def all_lines(self, store: Store) -> list[dict[str, Any]]:
        """All lines of the run; those of the segments that were closed before this process are read."""
        earlier = [name for first, name in _segments(store) if first < self._first]
        with ThreadPoolExecutor(_READERS) as pool:
            return [*chain.from_iterable(pool.map(lambda name: [*_read(store, name)], earlier)), *self._lines]

    def _segment_of(self, step: int) -> int:
        """First step of the segment that a step's line is in."""
        return (step - 1) // self._segment_steps * self._segment_steps + 1


def _segments(store: Store) -> list[tuple[int, str]]:
    """First step and name of every segment, in order."""
    found = [(layout.metrics_first_step(stat.name), stat.name) for stat in store.list("metrics/")]
    return sorted((first, name) for first, name in found if first is not None)


def _read(store: Store, name: str) -> Iterator[dict[str, Any]]:
    yield from (json.loads(line) for line in store.read(name).splitlines())
