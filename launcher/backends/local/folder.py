"""What the state of a run takes from its folder beside the trainer's word: disk, clock, lease, processes."""

import socket
from pathlib import Path

from launcher.backends.local.living import Alive
from launcher.backends.local.record import LocalRecord, read_record
from launcher.records.run_folder import Found
from launcher.records.states import INTERRUPTED, LIVE_STATES, State
from launcher.records.status import Files, WorkerStatus, read_json
from trainer.run import layout, lease_holder
from trainer.storage import LocalStore, Store
from trainer.storage.limits import trouble


def with_disk(found: Found, state: State) -> State:
    """The state of a run, with why nobody could write down how it ended where its disk shows that now."""
    here = state.name == INTERRUPTED and isinstance(found.store, LocalStore)
    shown = trouble(Path(found.store.url)) if here else None
    return State(state.name, f"{state.explanation}; its disk takes nothing: {shown}") if shown else state


def is_dated_by_us(store: Store, living: Alive, files: Files) -> bool:
    """Whether a run's files are dated by a clock that we know: a bucket's, or in a folder this machine's.

    Whoever trains in a folder dates its files; where no launcher wrote down who that is, the lease tells.
    """
    if not isinstance(store, LocalStore) or files.said is None:
        return True
    if not living.here:
        return False
    if read_record(store) is not None or str(files.said.get("state")) not in LIVE_STATES:
        return True
    holder = (read_json(store, layout.LEASE) or {}).get("holder") or {}
    return holder.get("host") in (None, socket.gethostname())


def writer_lives(store: Store) -> bool | None:
    """Whether the trainer that holds a run's lease lives, None when nothing is known of it here.

    Asked for folders alone: what trains into a bucket is another machine's as a rule, and it takes a request.
    """
    if not isinstance(store, LocalStore):
        return None
    there = lease_holder.find(store)
    return there.lives if there else None


def workers_of(record: LocalRecord, living: Alive) -> list[WorkerStatus]:
    """The workers of an attempt, by their processes."""
    lives = living.workers or (False,) * len(record.processes)
    return [
        WorkerStatus(worker, lives[worker], process.exit_code, pid=process.pid)
        for worker, process in enumerate(record.processes)
    ]
