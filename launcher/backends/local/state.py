"""The state of a local run, joined from its trainer's words, the launcher's record and what is alive.

No time of day decides here as long as there is a record: the clock may have been set meanwhile.
"""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from launcher.backends.local.living import Alive
from launcher.backends.local.record import LocalRecord
from launcher.records.states import (
    COLLAPSED,
    FAILED,
    FINISHED,
    INTERRUPTED,
    LIVE_STATES,
    RUNNING,
    STARTING,
    STOPPED,
    STOPPING,
    State,
    by_status,
    parse_time,
)
from launcher.wording import ending
from trainer.errors import EXIT_COLLAPSED, EXIT_DONE, EXIT_FAILED, EXIT_RESTART, EXIT_USER


def join_state(
    record: LocalRecord | None,
    alive: Alive,
    status: Mapping[str, Any] | None,
    silent: float | None,
    writer: bool | None = None,
) -> State:
    """The state of a run.

    Args:
        record: what the launcher wrote down, None for a run that it did not start.
        alive: what lives of it.
        status: the content of ``status.json``, None when there is none.
        silent: seconds since that was written; None where no one clock tells, as of another machine's files.
        writer: whether the process that holds the run's lease lives; None where that cannot be known here.
    """
    if record is None and status is None and alive.held:
        return State(STARTING, "another launcher is about to start it")
    if record is None or went_on_alone(record, status):
        return _by_hand(status, silent, writer)
    said = str(status["state"]) if status and _is_of_attempt(record, status) and "state" in status else None
    if not alive.here:
        state = _by_hand(status, silent, True if alive.held else writer)
        return State(state.name, f"its processes are on {record.host}; {state.explanation}".rstrip("; "))
    if alive.any:
        return _living(record, alive, said)
    return _ended(record, said)


def _by_hand(status: Mapping[str, Any] | None, silent: float | None, writer: bool | None) -> State:
    """The state by the trainer's own words, and by what is known of its process."""
    said = str((status or {}).get("state"))
    if said not in LIVE_STATES or writer is None:
        return by_status(status, silent)
    if writer:
        return State(said, str((status or {}).get("message") or ""))
    return State(INTERRUPTED, "its trainer is gone, and nobody saw it end")


def _is_of_attempt(record: LocalRecord, status: Mapping[str, Any]) -> bool:
    """Whether the trainer has written its status since the attempt began."""
    if record.format > 1:
        return "updated" in status and status["updated"] != record.word_before
    updated, started = parse_time(status.get("updated")), parse_time(record.started)
    return updated is not None and started is not None and updated >= started


def went_on_alone(record: LocalRecord, status: Mapping[str, Any] | None) -> bool:
    """Whether a trainer without this launcher went on after the recorded attempt had ended."""
    if not status or record.ended is None:
        return False
    if record.format > 1:
        return "updated" in status and status["updated"] != record.last_word
    updated, ended = parse_time(status.get("updated")), parse_time(record.ended)
    slack = timedelta(seconds=5)  # the last status and the record of the end are of nearly the same moment
    return bool(updated and ended and updated > ended + slack)


def _living(record: LocalRecord, alive: Alive, said: str | None) -> State:
    explanation = ""
    if alive.held:
        if record.supervisor is None:
            return State(STARTING)
        explanation = "its lock is held by a process that cannot be seen from here"
    elif not alive.supervisor:
        workers = ", ".join(str(worker) for worker, lives in enumerate(alive.workers) if lives)
        explanation = f"the process that supervised it is gone, but worker {workers} lives; cancel ends it"
    elif record.cause is not None:
        explanation = f"{_cause(record)}; the others are being stopped"
    if record.cancelled or record.cause is not None:
        return State(STOPPING, explanation)
    return State(STARTING if said in (None, STARTING) else RUNNING, explanation)


def _ended(record: LocalRecord, said: str | None) -> State:
    if record.exit_code is None:
        if said in (FINISHED, STOPPED, FAILED, COLLAPSED):
            return State(said)
        return State(INTERRUPTED, "none of its processes is alive, and nobody saw them end")
    if record.exit_code == EXIT_DONE:
        return State(FINISHED)
    if record.exit_code == EXIT_COLLAPSED:
        return State(COLLAPSED, "the game of its networks was over")
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
