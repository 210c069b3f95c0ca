"""The words for where a run stands, and what its own ``status.json`` says of it when nothing else does."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

PENDING = "pending"  # the cluster has not started its workers: no node, no image, no quota, too few pods
QUEUED = "queued"  # suspended until a queue admits it
STARTING = "starting"  # processes are alive, no word from the trainer yet
RUNNING = "running"
RESTARTING = "restarting"  # a worker was lost; those left wait for it and all go on from the last checkpoint
STOPPING = "stopping"  # asked to save and stop, not yet gone
STOPPED = "stopped"  # saved and stopped because it was asked to
FINISHED = "finished"
FAILED = "failed"  # ended on an error of its own
INTERRUPTED = "interrupted"  # cut off: resuming it is all it needs
UNKNOWN = "unknown"

LIVE_STATES = frozenset({PENDING, QUEUED, STARTING, RUNNING, RESTARTING, STOPPING})
ALL_STATES = LIVE_STATES | {STOPPED, FINISHED, FAILED, INTERRUPTED, UNKNOWN}
# The trainer writes its status every few seconds; a run that nobody supervises is taken for dead after this.
SILENCE = timedelta(seconds=60)
_RESTART_SILENCE = timedelta(minutes=11)  # a pod waits ten minutes for the others, and says so when it begins


class State(NamedTuple):
    """A state and, where the word is not enough, one sentence about it."""

    name: str
    explanation: str = ""


def parse_time(text: object) -> datetime | None:
    """An ISO time as the run's files hold it, None for anything else."""
    try:
        time = datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return time if time.tzinfo else time.replace(tzinfo=UTC)


def by_status(status: Mapping[str, Any] | None, updated: datetime | None, time: datetime) -> State:
    """The state as the run's own folder tells it; `updated` is the time of that word."""
    if status is None:
        return State(UNKNOWN, "nothing is written about how it stands")
    said = str(status.get("state", UNKNOWN))
    silence = _RESTART_SILENCE if said == RESTARTING else SILENCE
    if said in LIVE_STATES and (updated is None or time - updated > silence):
        span = "ten minutes" if said == RESTARTING else "a minute"
        return State(INTERRUPTED, f"its trainer has written nothing for over {span}")
    return State(said, str(status.get("message") or ""))
