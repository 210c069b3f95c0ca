"""Where one of many runs stands, with as few questions as its index entry and the backends leave open.

The index is written by the run's chief when it begins and when it ends. So an entry that says how the run
ended is the last word, unless a newer attempt is under way; that the backends tell, by a cluster's Jobs or
the record of processes on this machine.
"""

from collections.abc import Sequence
from typing import Any

from launcher import backends
from launcher.backends.base import Overview
from launcher.backends.place import Place
from launcher.records.run_folder import Found, is_run
from launcher.records.states import COLLAPSED, FAILED, FINISHED, STOPPED, UNKNOWN, State, by_status
from launcher.records.status import Files, RunStatus, assemble, read_json, read_word
from trainer.errors import GantryError
from trainer.run import layout
from trainer.run.index import Entry

Overviews = Sequence[Overview]
"""Of every backend, or of those that can have some runs, in the order in which they are asked."""


def overviews(place: Place, everywhere: bool = False) -> Overviews:
    """What all backends know of runs; nothing is asked yet."""
    return [provider.overview(place, everywhere) for provider in backends.providers()]


def standing(found: Found, entry: Entry | None, known: Overviews) -> RunStatus | None:
    """Where a run stands, None for a folder that is no run; damaged files must not hide the other runs."""
    try:
        status = look(found, entry, known)
    except GantryError as error:
        state = State(UNKNOWN, str(error))
        status = assemble(found, Files({}, None), state, attempt=None, backend=None, checkpoint=False)
    return None if status.state == UNKNOWN and entry is None and not is_run(found.store) else status


def look(found: Found, entry: Entry | None, known: Overviews) -> RunStatus:
    """Where a run stands; `entry` is the index's.

    Raises:
        GantryError: its folder cannot be read, or a file there is damaged.
    """
    settled = _from_index(entry) if entry is not None and _is_settled(entry) else None
    for each in known:
        if status := each.status(found, settled, lambda: _newest(found, entry)):
            return status
    files = settled or _newest(found, entry)
    by_whom = entry.backend if entry is not None else None
    return assemble(
        found, files, by_status(files.said, None), attempt=None, backend=by_whom, checkpoint=False
    )


def _is_settled(entry: Entry) -> bool:
    """Whether the run has ended, as far as its own words go.

    The Job of a schedule's firing does not name its run, so one that may go on is asked about.
    """
    return entry.state == FINISHED or (entry.state in (FAILED, COLLAPSED, STOPPED) and entry.schedule is None)


def _from_index(entry: Entry) -> Files:
    """What the index says, as if it had been read from the run's folder."""
    said = {"state": entry.state, "step": entry.step, "steps": entry.steps, "metrics": entry.metrics}
    said["figures"] = entry.model_dump(include={"best", "judged"})
    return Files(_begun(entry), {**said, "updated": entry.ended})


def _begun(entry: Entry) -> dict[str, Any]:
    about = {"created": entry.created, "preset": entry.preset, "world_size": entry.world_size}
    return {**about, "config": {"steps": entry.steps}}


def _newest(found: Found, entry: Entry | None) -> Files:
    """What the folder says of a run that is under way; how it began is in the index once it trains."""
    begun = _begun(entry) if entry is not None else read_json(found.store, layout.RUN) or {}
    return Files(begun, *read_word(found.store))
