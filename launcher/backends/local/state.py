"""The state of a local run, joined from its trainer's words, the launcher's record and what is alive."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from launcher.backends.local.processes import ending
from launcher.backends.local.record import LocalRecord
from launcher.states import (
    FAILED,
    FINISHED,
    INTERRUPTED,
    RUNNING,
    STARTING,
    STOPPED,
    STOPPING,
    State,
    by_status,
    parse_time,
)
from trainer.errors import EXIT_DONE, EXIT_FAILED, EXIT_RESTART, EXIT_USER

# Between the first record of an attempt and the moment its supervisor has written itself down.
HANDOVER = timedelta(seconds=10)


class Alive(NamedTuple):
    """Which processes of an attempt live."""

    supervisor: bool
    workers: tuple[bool, ...]
    here: bool = True
    """False when the attempt is another machine's, so that nothing can be known."""

    @property
    def any(self) -> bool:
        """Whether one of them lives."""
        return self.supervisor or any(self.workers)


def join_state(
    record: LocalRecord | None,
    alive: Alive,
    status: Mapping[str, Any] | None,
    silent: float | None,
    time: datetime,
) -> State:
    """The state of a run.

    Args:
        record: what the launcher wrote down, None for a run that it did not start.
        alive: what lives of it.
        status: the content of ``status.json``, None when there is none.
        silent: seconds since that was written; None where no one clock tells, as of another machine's files.
        time: now by this machine's clock, for an attempt that was begun on it.
    """
    updated = parse_time((status or {}).get("updated"))
    if record is None or _went_on_elsewhere(record, status, updated):
        return by_status(status, silent)
    if not alive.here:
        state = by_status(status, silent)
        return State(state.name, f"its processes are on {record.host}; {state.explanation}".rstrip("; "))
    started = parse_time(record.started)
    fresh = updated is not None and started is not None and updated >= started
    said = str(status["state"]) if status and fresh and "state" in status else None
    if alive.any:
        return _living(record, alive, said)
    if record.supervisor is None and started is not None and time - started < HANDOVER:
        return State(STARTING)
    return _ended(record, said)


def _went_on_elsewhere(
    record: LocalRecord, status: Mapping[str, Any] | None, updated: datetime | None
) -> bool:
    """Whether a trainer without this launcher went on after the recorded attempt had ended."""
    ended = parse_time(record.ended)
    slack = timedelta(seconds=5)  # the last status and the record of the end are of nearly the same moment
    return bool(status and updated and ended and updated > ended + slack)


def _living(record: LocalRecord, alive: Alive, said: str | None) -> State:
    explanation = ""
    if not alive.supervisor:
        workers = ", ".join(str(worker) for worker, lives in enumerate(alive.workers) if lives)
        explanation = f"the process that supervised it is gone, but worker {workers} lives; cancel ends it"
    elif record.cause is not None:
        explanation = f"{_cause(record)}; the others are being stopped"
    if record.cancelled or record.cause is not None:
        return State(STOPPING, explanation)
    return State(STARTING if said in (None, STARTING) else RUNNING, explanation)


def _ended(record: LocalRecord, said: str | None) -> State:
    if record.exit_code is None:
        if said in (FINISHED, STOPPED, FAILED):
            return State(said)
        return State(INTERRUPTED, "none of its processes is alive, and nobody saw them end")
    if record.exit_code == EXIT_DONE:
        return State(FINISHED)
    if record.exit_code in (EXIT_FAILED, EXIT_USER):
        return State(FAILED, _cause(record))
    if record.cause is None or (said == STOPPED and _cause_code(record) == EXIT_RESTART):
        return State(STOPPED)
    return State(INTERRUPTED, _cause(record))


def _cause_code(record: LocalRecord) -> int | None:
    return None if record.cause is None else record.processes[record.cause].exit_code


def _cause(record: LocalRecord) -> str:
    """Which worker ended the attempt and how."""
    if record.cause is None:
        return "its workers could not be started" if not record.processes else "a worker ended unseen"
    return f"worker {record.cause} {ending(_cause_code(record))}"
