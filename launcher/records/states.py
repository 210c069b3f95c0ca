"""The words for where a run stands, and what its own ``status.json`` says of it when nothing else does."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

from launcher.spec.durations import spoken

PENDING = "pending"  # the cluster has not started its workers: no node, no image, no quota, too few pods
QUEUED = "queued"  # suspended until a queue admits it
STARTING = "starting"  # processes are alive, no word from the trainer yet
RUNNING = "running"
RESTARTING = "restarting"  # a worker was lost; those left wait for it and all go on from the last checkpoint
STOPPING = "stopping"  # asked to save and stop, not yet gone
STOPPED = "stopped"  # saved and stopped because it was asked to
FINISHED = "finished"
FAILED = "failed"  # ended on an error of its own
COLLAPSED = "collapsed"  # ended as the game of its networks was over, by `health.on_collapse`
INTERRUPTED = "interrupted"  # cut off: resuming it is all it needs
UNKNOWN = "unknown"

LIVE_STATES = frozenset({PENDING, QUEUED, STARTING, RUNNING, RESTARTING, STOPPING})
ALL_STATES = LIVE_STATES | {STOPPED, FINISHED, FAILED, COLLAPSED, INTERRUPTED, UNKNOWN}
# The trainer writes its status every few seconds; a run that nobody supervises is taken for dead after this.
SILENCE = 60.0  # seconds
_RESTART_SILENCE = 660.0  # a pod waits ten minutes for the others, and says so when it begins


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


def by_status(status: Mapping[str, Any] | None, silent: float | None) -> State:
    """The state as the run's own folder tells it.

    `silent` is for how many seconds nothing was written there, by the one clock that dates it; None where
    there is no such clock.
    """
    if status is None:
        return State(UNKNOWN, "nothing is written about how it stands")
    said = _word(status)
    if said not in LIVE_STATES:
        return State(said, str(status.get("message") or ""))
    if silent is None:
        return State(UNKNOWN, f"its trainer said '{said}' last, and no clock tells how long ago")
    if silent > (_RESTART_SILENCE if said == RESTARTING else SILENCE):
        span = "ten minutes" if said == RESTARTING else "a minute"
        return State(INTERRUPTED, f"its trainer has written nothing for over {span}")
    return State(said, str(status.get("message") or ""))


def unasked(status: Mapping[str, Any] | None, silent: float | None, why: str) -> State:
    """The state of a run whose cluster was not asked, and `why` not.

    That nobody asked does not mean that it is gone: what its folder says counts while it is being written,
    and once it has ended. `silent` is as for `by_status`.
    """
    if status is None:
        return State(UNKNOWN, f"nothing is written about how it stands, and {why}")
    said = _word(status)
    if said in LIVE_STATES and (silent is None or silent > SILENCE):
        ago = ", nobody can say when" if silent is None else f" {spoken(silent)} ago"
        return State(UNKNOWN, f"its trainer said '{said}'{ago}, and {why}")
    return State(said, f"as its folder says; {why}")


def _word(status: Mapping[str, Any]) -> str:
    return str(status.get("state", UNKNOWN))
