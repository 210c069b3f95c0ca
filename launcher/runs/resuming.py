"""From the folder of a run to the specification of its next attempt."""

import math
from contextlib import suppress
from typing import Any

from launcher.errors import SpecError, Unsupported
from launcher.notes import note
from launcher.records.run_folder import Found, is_claimed
from launcher.records.status import read_json
from launcher.runs.recorded import asked, begun_with, configuration, merge
from launcher.spec.kinds import has_pods
from launcher.spec.runspec import RunSpec, make_spec
from trainer.config import RunConfig, conflicts, may_change, overlaid
from trainer.errors import ConfigError
from trainer.run import layout

# A checkpoint may have to wait for one that is on its way, and then the log's end is uploaded.
_GRACE_FACTOR, _GRACE_MARGIN = 2, 20
_LONGEST_SAVE = 86400.0  # seconds; more is a mistake of a clock


def resumed_spec(
    found: Found, overrides: tuple[str, ...], accept_changed_data: bool = False, **changes: Any
) -> RunSpec:
    """What a run was asked for, with `overrides` and changed fields laid over it; None changes nothing.

    Of a field that is a mapping, entries are added or changed.

    Pods get a longer grace, which is told on stderr, where the last checkpoint took too long for theirs.

    A run that a submission has claimed and no trainer has begun may have any value otherwise: its data was
    refused, say.

    Raises:
        UserError: a value would change that is no higher `steps` and not `may_change`, or nothing says how it
            began.
    """
    run = read_json(found.store, layout.RUN)
    if run is None:
        _check_not_lost(found)
    known = None if run is None else configuration(found, run)
    fields = _asked(found, run)
    begun = fields.pop("overrides", ())
    before = tuple(begun)
    if (
        run is not None and known is not None
    ):  # it knows the first attempt's alone of what any attempt may change
        free = (override for override in begun if may_change(override.partition("=")[0]))
        more = _more_steps(known, begun)
        before = merge(begun_with(found, run), (*free, *more))
    for key, value in changes.items():
        if value is not None:
            fields[key] = {**fields.get(key, {}), **value} if isinstance(value, dict) else value
    pods = has_pods(fields["backend"]) and "grace_seconds" in fields
    if pods and changes.get("grace_seconds") is None:
        fields["grace_seconds"] = _enough_grace(found, fields["grace_seconds"])
    spec = make_spec(
        fields.pop("preset"),
        merge(before, overrides),
        **fields | {"name": found.path.name, "root": found.path.root, "experiment": found.path.experiment},
    )
    if run and known and not is_claimed(run):
        spec = spec.going_on_from(known)
        _check_unchanged(known, spec.config(), found.path.name)
    return spec.accepting_changed_data() if accept_changed_data else spec


def _more_steps(known: RunConfig, begun: tuple[str, ...]) -> tuple[str, ...]:
    """The steps that the newest attempt was to take, where its trainer has not written them down."""
    asked_for = [override for override in begun if override.startswith("steps=")][-1:]
    with suppress(ConfigError):
        if asked_for and overlaid(known, asked_for).steps > known.steps:
            return tuple(asked_for)
    return ()


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
    fields = asked(found, run)
    if not fields:
        raise Unsupported(f"run '{found.path.name}': {found.store.url} has no {layout.RUN} to go on from")
    return {key: value for key, value in fields.items() if value is not None}


def _enough_grace(found: Found, before: int) -> int:
    """The grace that pods had, or a longer one, told on stderr, if the last checkpoint hardly fits in it."""
    took = (read_json(found.store, layout.STATUS) or {}).get("checkpoint_seconds")
    if not isinstance(took, int | float) or not 0 <= took < _LONGEST_SAVE:
        return before
    enough = math.ceil(_GRACE_FACTOR * took) + _GRACE_MARGIN
    if enough <= before:
        return before
    note(
        f"the last checkpoint took {took:.0f} s to save, so pods get {enough} s of grace instead of "
        f"{before}; --grace sets another"
    )
    return enough


def _check_unchanged(old: RunConfig, new: RunConfig, name: str) -> None:
    """Refuse what would make the resumed run another one; the trainer would too, but seconds later."""
    for key, (before, after) in conflicts(old, new).items():
        if key == "steps":
            raise SpecError(f"--set steps={after}: expected at least the {before} steps that the run has")
        raise SpecError(
            f"--set {key}={after}: expected {before}, as a resumed run keeps its values; a new run with "
            f"others begins from its weights with `launcher submit --warm-start {name}`"
        )
