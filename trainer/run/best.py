"""``best.json``: the checkpoint with the best figure so far, and whether there was a better one lately.

Both are functions of the lines of metrics alone, so that a run that goes on finds them as they were.
"""

import json
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from trainer.config.evaluation import Evaluation
from trainer.errors import ObjectMissing
from trainer.metrics import BY_NAME
from trainer.run import layout
from trainer.storage import Store

CHOSEN_BY, REPORTED = "chosen_by", "reported"
"""In a line: the figure on the first and on the second half of the held-out images."""


class Best(NamedTuple):
    """The best checkpoint so far."""

    step: int
    value: float
    """By which it is the best."""
    reported: float | None
    """The same figure on images that had no part in the choice; None without held-out ones."""
    images: int


class Choice:
    """Hears the lines of a run in their order."""

    def __init__(self, config: Evaluation, lines: Iterable[Mapping[str, Any]] = ()) -> None:
        """`lines`: those so far."""
        self._metric, self._patience = config.metric, config.stop_when_no_better
        self._direction = BY_NAME[config.metric].direction
        self.best: Best | None = None
        self.since = 0
        """Evaluations since the best one."""
        for line in lines:
            self.hear(line)

    def hear(self, line: Mapping[str, Any]) -> bool:
        """Whether it tells of a new best; a line without figures changes nothing."""
        if self._metric not in line:
            return False
        value = line.get(CHOSEN_BY, line[self._metric])
        if self.best is None or self._direction * (value - self.best.value) > 0:
            self.best, self.since = Best(line["step"], value, line.get(REPORTED), line["images"]), 0
            return True
        self.since += 1
        return False

    @property
    def over(self) -> bool:
        """Whether the run is to end as nothing better came for too long."""
        return bool(self._patience) and self.since >= self._patience


def content(best: Best, metric: str, entry: Mapping[str, Any] | None) -> dict[str, Any]:
    """What best.json holds; `entry` is the evaluation of that step."""
    figure = ((entry or {}).get("metrics") or {}).get(metric) or {}
    return {"metric": metric, "name": figure.get("name", metric), **best._asdict(), "entry": entry}


def write(store: Store, values: Mapping[str, Any]) -> None:
    """Write best.json."""
    store.write(layout.BEST, json.dumps(values, indent=2).encode())


def read(store: Store) -> dict[str, Any] | None:
    """What best.json holds; None where there is none, or none that can be read."""
    try:
        found = json.loads(store.read(layout.BEST))
        return found if isinstance(found, dict) and isinstance(found.get("step"), int) else None
    except (ObjectMissing, ValueError):
        return None
