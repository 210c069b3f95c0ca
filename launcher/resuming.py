"""From the folder of a run to the specification of its next attempt."""

import math
import sys
from typing import Any

from launcher.backends.kubernetes.record import read_record as read_cluster_record
from launcher.backends.local.record import read_record
from launcher.errors import SpecError, Unsupported
from launcher.lookup import Found
from launcher.spec import RunSpec, make_spec
from launcher.status import read_json
from trainer import layout
from trainer.config import RunConfig, conflicts, resolve, validate

# A checkpoint may have to wait for one that is on its way, and then the log's end is uploaded.
_GRACE_FACTOR, _GRACE_MARGIN = 2, 20
_LONGEST_SAVE = 86400.0  # seconds; more is a mistake of a clock


def resumed_spec(found: Found, overrides: tuple[str, ...], **changes: Any) -> RunSpec:
    """What a run was asked for, with `overrides` and changed fields laid over it; None changes nothing.

    Of a field that is a mapping, entries are added or changed.

    Pods get a longer grace, which is told on stderr, where the last checkpoint took too long for theirs.

    Raises:
        UserError: a value other than a higher `steps` and `recovery` would change, or nothing says how it
            began.
    """
    run = read_json(found.store, layout.RUN)
    if run is None:
        _check_not_lost(found)
    asked = _asked(found, run)
    begun = asked.pop("overrides", ())
    before = tuple(begun)
    if run is not None:  # it knows the first attempt's alone of what any attempt may change
        patience = (override for override in begun if override.startswith("recovery."))
        before = merge(_overrides(found, run), tuple(patience))
    for key, value in changes.items():
        if value is not None:
            asked[key] = {**asked.get(key, {}), **value} if isinstance(value, dict) else value
    if "grace_seconds" in asked and changes.get("grace_seconds") is None:
        asked["grace_seconds"] = _enough_grace(found, asked["grace_seconds"])
    spec = make_spec(
        asked.pop("preset"),
        merge(before, overrides),
        **asked | {"name": found.path.name, "root": found.path.root, "experiment": found.path.experiment},
    )
    if run is not None:
        _check_unchanged(_config(found, run), spec.config())
    return spec


def _check_not_lost(found: Found) -> None:
    """Refuse a run that had its record: what would begin is another run, from step 0.

    Raises:
        Unsupported: it had; its trainer has said so.
    """
    said = read_json(found.store, layout.STATUS) or {}
    if said.get("lost"):
        raise Unsupported(
            f"run '{found.path.name}': {said.get('message')}; put the folder back, or submit a new run"
        )


def _asked(found: Found, run: dict[str, Any] | None) -> dict[str, Any]:
    """Fields of the specification that the newest attempt was started with."""
    if cluster := read_cluster_record(found.store):
        return {key: value for key, value in cluster.spec.items() if value is not None}
    if record := read_record(found.store):
        asked = {"preset": record.preset, "overrides": record.overrides, "workers": record.workers}
    elif run is not None:
        asked = {"preset": run["preset"], "overrides": (), "workers": int(run.get("world_size") or 1)}
    else:
        raise Unsupported(f"run '{found.path.name}': {found.store.url} has no {layout.RUN} to go on from")
    return {**asked, "backend": "local"}


def _enough_grace(found: Found, before: int) -> int:
    """The grace that pods had, or a longer one, told on stderr, if the last checkpoint hardly fits in it."""
    took = (read_json(found.store, layout.STATUS) or {}).get("checkpoint_seconds")
    if not isinstance(took, int | float) or not 0 <= took < _LONGEST_SAVE:
        return before
    enough = math.ceil(_GRACE_FACTOR * took) + _GRACE_MARGIN
    if enough <= before:
        return before
    sys.stderr.write(
        f"note: the last checkpoint took {took:.0f} s to save, so pods get {enough} s of grace instead of "
        f"{before}; --grace sets another\n"
    )
    return enough


def _config(found: Found, run: dict[str, Any]) -> RunConfig:
    return validate(run["config"], f"{found.store.url}/{layout.RUN}")


def _overrides(found: Found, run: dict[str, Any]) -> tuple[str, ...]:
    """Overrides that the run was begun with; a run that was resumed with more steps has these by now."""
    steps = _config(found, run).steps
    before = tuple(run["overrides"])
    if resolve(run["preset"], before).steps != steps:
        return merge(before, (f"steps={steps}",))
    return before


def merge(before: tuple[str, ...], overrides: tuple[str, ...]) -> tuple[str, ...]:
    """Both groups of ``key=value``, each key once with its last value, in the order of first mention."""
    values = {override.partition("=")[0]: override for override in (*before, *overrides)}
    return tuple(values.values())


def _check_unchanged(old: RunConfig, new: RunConfig) -> None:
    """Refuse what would make the resumed run another one; the trainer would too, but seconds later."""
    for key, (before, after) in conflicts(old, new).items():
        if key == "steps":
            raise SpecError(f"--set steps={after}: expected at least the {before} steps that the run has")
        raise SpecError(
            f"--set {key}={after}: expected {before}, as a resumed run keeps its values; submit a new one"
        )
