"""A run's lines of metrics as they were written."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from trainer.metrics import TIMED
from trainer.run import layout
from trainer.storage import Store


def read_lines(store: Store) -> Iterator[dict[str, Any]]:
    """All lines in order of their steps; keys are those of the README's table."""
    segments = [(layout.metrics_first_step(stat.name), stat.name) for stat in store.list("metrics/")]
    for _, name in sorted((first, name) for first, name in segments if first is not None):
        yield from map(json.loads, store.read(name).splitlines())


def without_timing(line: Mapping[str, Any]) -> dict[str, Any]:
    """What of a line is a function of the configuration; its timing differs from one run to the next."""
    return {key: value for key, value in line.items() if key not in TIMED}
