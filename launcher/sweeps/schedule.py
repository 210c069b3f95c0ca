"""Which run of a sweep is started when: never more at once than allowed, each one once, in their order.

Pure policy over a `RunHost`, so that it is tested with runs that are lists of states.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, Protocol

from launcher.records.status import RunStatus
from launcher.sweeps.planning import Member


class RunHost(Protocol):
    """Where runs are started and looked at."""

    def start(self, member: Member) -> None:
        """Start a run; one that somebody else has started meanwhile is as good."""

    def look(self, members: Sequence[Member]) -> list[RunStatus]:
        """Where runs stand that were started, in the same order."""

    def refusal(self, member: Member, status: RunStatus) -> str | None:
        """Why a run that has ended was the user's mistake, None when it was not."""

    def pause(self) -> None:
        """Wait until it is worth looking again."""


class Event(NamedTuple):
    """What a person should know."""

    member: Member
    status: RunStatus | None
    """None for a run that was started just now."""
    running: int
    waiting: int


def play(
    members: Sequence[Member],
    known: Mapping[str, RunStatus],
    most: int,
    host: RunHost,
    tell: Callable[[Event], object],
    stopped: Callable[[], bool],
) -> tuple[dict[str, RunStatus], str]:
    """Start runs until all have ended, nothing more may be started, or `stopped` says so.

    `known` are the runs that are there already: those that live count towards `most`, the others are over.

    Returns:
        Where each run stands that was started, by name; and why no more were started, empty when all were.
    """
    now = {member.name: known[member.name] for member in members if member.name in known}
    running = [member for member in members if member.name in now and not now[member.name].over]
    waiting = [member for member in members if member.name not in now]
    refusal = ""
    while not stopped():
        while waiting and len(running) < most and not stopped():
            member = waiting.pop(0)
            host.start(member)
            running.append(member)
            tell(Event(member, None, len(running), len(waiting)))
        if not running:
            break
        for member, status in zip(list(running), host.look(running), strict=True):
            now[member.name] = status
            if not status.over:
                continue
            running.remove(member)
            tell(Event(member, status, len(running), len(waiting)))
            if text := host.refusal(member, status):
                # What is wrong with one is mostly wrong with all: a data source, an image, a quota.
                refusal, waiting = refusal or f"{member.name}: {text}", []
        if running or waiting:
            host.pause()
    if running:
        now |= {member.name: status for member, status in zip(running, host.look(running), strict=True)}
    return now, refusal
