"""``evaluations/<step>.json``: the figures of one checkpoint, each with what it was measured with.

A step can have been judged more than once, against other images, in other features, with another number of
samples. Each way has its entry; judged again in the same way, an entry is replaced::

    {"format": 1, "step": 3200, "evaluations": [
        {"step": 3200, "average": true, "samples": 10000, "made": "training" or "asked",
         "created": "2026-01-02T03:04:05+00:00", "seconds": 12.3,
         "features": "digits@1b34", "reference": "…", "held_out": null,
         "metrics": {"fd": {"name": …, "value": …, …}, …}, "copies": {…}}]}
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from trainer.errors import ObjectMissing, PreconditionFailed, StorageError
from trainer.run import layout
from trainer.storage import Store

_FORMAT = 1
_TRIES = 5  # of a write that another evaluation of the same step has come before
_PROVENANCE = {
    "average": "weights",
    "samples": "samples",
    "features": "features",
    "reference": "reference",
    "held_out": "held-out images",
    "latents": "latents",
}
"""Fields of an entry, and what they are called."""

Entry = Mapping[str, Any]
"""What was found in one evaluation."""


def provenance(entry: Entry) -> tuple[Any, ...]:
    """What two entries have to have in common for their figures to be compared."""
    return tuple(entry.get(name) for name in _PROVENANCE)


def incomparable(entry: Entry, other: Entry) -> str:
    """Why figures of two entries are not to be compared, in a sentence; empty where they may be."""
    pairs = [
        f"{said}: {_told(name, entry)} and {_told(name, other)}"
        for name, said in _PROVENANCE.items()
        if entry.get(name) != other.get(name)
    ]
    return f"not comparable, they differ in {'; '.join(pairs)}" if pairs else ""


def _told(name: str, entry: Entry) -> str:
    value = entry.get(name)
    if name == "average":
        return "the average" if value else "the last"
    return "none" if value is None else str(value)


def read(store: Store, step: int) -> list[Entry]:
    """Every evaluation of a step; none where there is no file, or none that can be read."""
    try:
        return _parsed(store.read(layout.evaluation(step)))
    except ObjectMissing:
        return []


def every(store: Store) -> Iterator[Entry]:
    """Every evaluation of a run, by step."""
    steps = {layout.evaluation_step(stat.name) for stat in store.list(layout.EVALUATIONS)}
    for step in sorted(step for step in steps if step is not None):
        yield from read(store, step)


def add(store: Store, entry: Entry) -> None:
    """Keep an evaluation beside those of the same step, in the place of one of the same provenance.

    Raises:
        StorageError: others wrote each time.
    """
    name = layout.evaluation(entry["step"])
    for _ in range(_TRIES):
        found = store.stat(name)
        others = read(store, entry["step"]) if found else []
        kept = [other for other in others if provenance(other) != provenance(entry)]
        content = {"format": _FORMAT, "step": entry["step"], "evaluations": [*kept, dict(entry)]}
        try:
            store.write(name, json.dumps(content, indent=2).encode(), found.generation if found else 0)
        except PreconditionFailed:
            continue
        return
    raise StorageError(f"{store.url}/{name}: others wrote it {_TRIES} times meanwhile")


def _parsed(text: bytes) -> list[Entry]:
    try:
        found = json.loads(text)["evaluations"]
    except (ValueError, KeyError, TypeError):
        return []
    return [entry for entry in found if isinstance(entry, dict)] if isinstance(found, list) else []
