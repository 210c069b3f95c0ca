"""Evaluations of a run's checkpoints, one or all, each in ``evaluations/<step>.json`` as soon as it is made.

Nothing else of the run is touched, so the run may train meanwhile and its lease is not asked for. Of two who
judge a step at once, each has its entry; in the same way, the later one's stays.
"""

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, NamedTuple

from trainer.errors import CheckpointDamaged, GantryError, ObjectMissing, UserError
from trainer.evaluation import told
from trainer.evaluation.evaluate import Evaluation, evaluate
from trainer.evaluation.reference import Say
from trainer.evaluation.request import Request
from trainer.run import evaluations, index, judged, layout
from trainer.run.evaluations import Entry
from trainer.run.status import now
from trainer.storage import Store, open_store


@dataclass(frozen=True)
class Keeping:
    """What becomes of evaluations."""

    write: bool = True
    """Whether they are written into the run's folder."""
    insist: bool = False
    """Whether one that cannot be written ends it, as nobody sees it elsewhere."""
    again: bool = False
    """Whether steps of many are judged that were judged before in the same way."""
    job: str | None = None
    """The Job that this is, which goes into what it writes."""


class Judged(NamedTuple):
    """A checkpoint's figures."""

    entry: Entry
    """As `evaluations/<step>.json` has it."""
    found: Evaluation | None
    """The same as it was found; None where it was found before."""


def judge(
    store: Store, request: Request, steps: Sequence[int | None], keeping: Keeping, say: Say
) -> Iterator[Judged]:
    """Judge checkpoints one after another.

    Of several, one that was judged before in the same way is told and not judged again, and one that was
    removed meanwhile or is damaged is told and left out.

    Args:
        store: the run's folder.
        request: what to judge, and against what; its step is not looked at.
        steps: of the checkpoints; None for the newest whole one.
        keeping: what becomes of them.
        say: takes lines about the work.

    Raises:
        UserError: as `evaluate`.
        GantryError: none of several could be judged, or one could not be written and `keeping` insists.
    """
    made = 0
    kept = False
    for step in steps:
        if len(steps) > 1 and step is not None and (known := _known(store, step, request, keeping)):
            say(f"step {step} was judged in this way {known.get('created')}; --again judges it anew")
            made += 1
            yield Judged(known, None)
            continue
        try:
            found, entry = _entry(store, replace(request, step=step), keeping, say)
        except (CheckpointDamaged, ObjectMissing, UserError) as error:
            if len(steps) == 1 or (isinstance(error, UserError) and step in judged.complete(store)):
                raise
            say(f"warning: step {step} is left out: {error}")
            continue
        kept = _keep(store, entry, keeping, say) or kept
        made += 1
        yield Judged(entry, found)
    if kept:
        experiment, _, run = store.url.rpartition("/")
        index.judged_anew(open_store(experiment), run, say)
    if not made:
        raise GantryError(f"--run-dir {store.url}: none of {len(steps)} checkpoints could be judged")


def asked(request: Request) -> dict[str, Any]:
    """What an evaluation was asked for, but for the step: by this the same one is known again."""
    return {name: value for name, value in asdict(request).items() if name not in ("step", "neighbours")}


def _known(store: Store, step: int, request: Request, keeping: Keeping) -> Entry | None:
    """The step's evaluation in the same way; with `again`, one that this Job's pod before had made."""
    found = judged.asked_so(store, step, asked(request))
    if found is None or not keeping.again:
        return found
    return found if keeping.job and found.get("job") == keeping.job else None


def _entry(store: Store, request: Request, keeping: Keeping, say: Say) -> tuple[Evaluation, dict[str, Any]]:
    begun = time.monotonic()
    folder = open_store(store.url.rpartition("/")[0]) if keeping.write else None
    found = evaluate(store, request, say, folder)
    about: Mapping[str, Any] = {"job": keeping.job} if keeping.job else {}
    values = {
        **told.as_json(found),
        "made": "asked",
        "asked": asked(request),
        "created": now(),
        "seconds": round(time.monotonic() - begun, 3),
        **about,
    }
    return found, json.loads(json.dumps(values))  # as whoever reads the file has it


def _keep(store: Store, entry: Mapping[str, Any], keeping: Keeping, say: Say) -> bool:
    """Write an evaluation; figures that were asked for are worth printing where nothing may be written."""
    if not keeping.write:
        return False
    name = f"{store.url}/{layout.evaluation(entry['step'])}"
    try:
        if store.stat(layout.RUN) is None:  # a folder that was removed is not to come back with figures alone
            raise UserError(f"{store.url}: the run was removed meanwhile")
        evaluations.add(store, judged.joined(store, entry))
    except GantryError as error:
        if keeping.insist:
            raise
        say(f"warning: {name} was not written, so the figures are here alone: {error}")
        return False
    return True
