"""Which checkpoints of a run are to be judged, and what is known of those that were.

Free of TensorFlow: the launcher asks the same before it sends anything.
"""

import json
from collections.abc import Mapping
from typing import Any

from trainer.errors import ObjectMissing, UserError
from trainer.run import evaluations, layout
from trainer.run.evaluations import Entry
from trainer.storage import Store

NEWEST, ALL, BEST = "newest", "all", "best"
WORDS = (NEWEST, ALL, BEST)
"""What may stand for a checkpoint's step."""


def steps(store: Store, wanted: str) -> list[int | None]:
    """Steps of the checkpoints that a word or a number means, oldest first; None for the newest whole one.

    Raises:
        UserError: there is none, or `wanted` is neither.
    """
    if wanted == BEST:
        return [best_step(store)]
    there = complete(store)
    if wanted in (NEWEST, ALL):
        if not there:
            raise UserError(f"--step {wanted}: there is no checkpoint in {store.url} yet")
        return [None] if wanted == NEWEST else [*there]
    if not wanted.isascii() or not wanted.isdigit():
        raise UserError(f"--step {wanted}: expected a checkpoint's step, or {', '.join(WORDS)}")
    if int(wanted) not in there:
        raise UserError(f"--step {wanted}: there are checkpoints at {', '.join(map(str, there)) or 'none'}")
    return [int(wanted)]


def complete(store: Store) -> list[int]:
    """Steps of the complete checkpoints, oldest first, by their manifests alone."""
    manifests = (stat.name for stat in store.list("checkpoints/") if layout.is_complete(stat.name, stat.size))
    return sorted(step for step in map(layout.checkpoint_step, manifests) if step is not None)


def best(store: Store) -> Mapping[str, Any] | None:
    """``best.json``; None where there is none, or none that can be read."""
    try:
        found = json.loads(store.read(layout.BEST))
    except (ObjectMissing, ValueError):
        return None
    return found if isinstance(found, dict) and isinstance(found.get("step"), int) else None


def best_step(store: Store, option: str = "--step best") -> int:
    """Step of the best checkpoint.

    Raises:
        UserError: none is known.
    """
    found = best(store)
    if found is None:
        raise UserError(
            f"{option}: there is no {layout.BEST} in {store.url}, which a run has that is judged while it "
            "trains (evaluation.every_steps); expected --step N, or evaluate --step all to find one"
        )
    return int(found["step"])


def asked_so(store: Store, step: int, asked: Mapping[str, Any]) -> Entry | None:
    """The newest evaluation of a step that was asked for in some way, None where there is none."""
    found = [entry for entry in evaluations.read(store, step) if _is(entry, asked)]
    return max(found, key=lambda entry: str(entry.get("created")), default=None)


def made_by(store: Store, job: str) -> list[Entry]:
    """Evaluations that one Job has made, by step."""
    return [entry for entry in evaluations.every(store) if entry.get("job") == job]


def _is(entry: Entry, asked: Mapping[str, Any]) -> bool:
    """Whether an entry was asked for so; what `asked` leaves out may be anything."""
    said = entry.get("asked")
    return isinstance(said, dict) and all(said.get(name) == value for name, value in asked.items())
