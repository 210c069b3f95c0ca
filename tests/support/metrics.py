"""A run's lines of metrics as they were written."""

import json
from collections.abc import Iterator
from typing import Any

from trainer.run import layout
from trainer.storage import Store

# A line's timing differs from one run to the next; everything else in it is a function of the configuration.
TIMING = ("images_per_second",)


def read_lines(store: Store) -> Iterator[dict[str, Any]]:
    """All lines in order of their steps; keys are those of the README's table."""
    segments = [(layout.metrics_first_step(stat.name), stat.name) for stat in store.list("metrics/")]
    for _, name in sorted((first, name) for first, name in segments if first is not None):
        yield from map(json.loads, store.read(name).splitlines())
