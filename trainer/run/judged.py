"""Which checkpoints of a run are to be judged, and what is known of those that were.

Free of TensorFlow: the launcher asks the same before it sends anything.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from trainer.errors import UserError
from trainer.run import best, evaluations, layout
from trainer.run.evaluations import Entry, provenance
from trainer.storage import Store

NEWEST, ALL, BEST = "newest", "all", "best"
WORDS = (NEWEST, ALL, BEST)
"""What may stand for a checkpoint's step."""
_UNASKED: list[str] = []  # metrics of a request that leaves them to the network
_FIRST = "fd"  # of several metrics, the one that stands for all


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


def best_step(store: Store, option: str = "--step best") -> int:
    """Step of the best checkpoint.

    Raises:
        UserError: none is known.
    """
    found = best.read(store)
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


def summary(store: Store) -> dict[str, Any]:
    """The best checkpoint and what was found last, in a few values each, as an index and a status have them.

    ``{"best": {"metric", "name", "value", "step", "reference"} or None, "judged": the same or None}``
    """
    found = best.read(store)
    chosen = None
    if found is not None:
        about = found.get("entry") or {}
        chosen = _told(found, about, str(found.get("metric")), found.get("value"), found["step"])
    return {"best": chosen, "judged": _last(store)}


def comparable(figures: Iterable[Mapping[str, Any] | None]) -> bool:
    """Whether figures of a `summary` were measured alike: others are not to be sorted together."""
    return len({(each.get("name"), each.get("reference")) for each in figures if each is not None}) <= 1


def _last(store: Store) -> dict[str, Any] | None:
    """The figure of the newest step that was judged, as it was judged last."""
    steps = (layout.evaluation_step(stat.name) for stat in store.list(layout.EVALUATIONS))
    for step in sorted((step for step in steps if step is not None), reverse=True):
        entries = evaluations.read(store, step)
        entry = max(entries, key=lambda entry: str(entry.get("created")), default={})
        metrics = entry.get("metrics")
        if isinstance(metrics, dict) and metrics:
            metric = _FIRST if _FIRST in metrics else next(iter(metrics))
            if isinstance(figure := metrics[metric], dict):
                return _told(figure, entry, metric, figure.get("value"), step)
    return None


def _told(
    figure: Mapping[str, Any], entry: Mapping[str, Any], metric: str, value: Any, step: int
) -> dict[str, Any] | None:
    if not isinstance(value, int | float) or isinstance(value, bool):
        return None
    reference = str(entry.get("reference") or "")
    name = str(figure.get("name") or metric)
    return {"metric": metric, "name": name, "value": float(value), "step": step, "reference": reference}


def joined(store: Store, entry: Entry) -> Entry:
    """An entry with the figures of the one in whose place it comes, so that asking for others loses none."""
    same = (each for each in evaluations.read(store, entry["step"]) if provenance(each) == provenance(entry))
    before = next((each for each in same if isinstance(each.get("metrics"), dict)), None)
    if before is None:
        return entry
    asked, was = dict(entry.get("asked") or {}), before.get("asked") or {}
    if _UNASKED in (asked.get("metrics"), was.get("metrics")):
        asked["metrics"] = _UNASKED
    elif "metrics" in asked:
        asked["metrics"] = [*dict.fromkeys([*was.get("metrics", ()), *asked["metrics"]])]
    return {**entry, "asked": asked, "metrics": {**before["metrics"], **entry["metrics"]}}


def _is(entry: Entry, asked: Mapping[str, Any]) -> bool:
    """Whether an entry was asked for so; what `asked` leaves out may be anything."""
    said = entry.get("asked")
    if not isinstance(said, dict):
        return False
    named = asked.get("metrics")
    if named and set(named) <= set(entry.get("metrics") or ()):  # others may be there as well
        asked = {name: value for name, value in asked.items() if name != "metrics"}
    return all(said.get(name) == value for name, value in asked.items())
