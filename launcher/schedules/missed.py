"""Why firings that were due are not there; pure functions of what the cluster and the bucket remember.

The cluster remembers little: events for an hour, of firings nothing but the newest time. What happened since
is told as far as the evidence goes, and no further.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from itertools import takewhile
from typing import Any

from launcher.backends.kubernetes.status.wording import event_time, one_line
from launcher.records.states import parse_time
from launcher.render.cronjob import Timing
from launcher.schedules.cronline import CronLine
from launcher.schedules.model import Span

MOST = 5_000  # due times that are looked at; half a second
_ON_ITS_WAY = timedelta(seconds=30)  # the controller comes within seconds, and makes the Job a moment later
_EVENTS_LAST = timedelta(minutes=55)  # an API server keeps them for an hour, unless it was told otherwise


@dataclass(frozen=True)
class Missed:
    """One firing that was due, or several after one another with the same cause."""

    due: datetime
    until: datetime
    """The last one; the same as `due` for a single one."""
    count: int
    cause: str


@dataclass(frozen=True)
class Busy:
    """A firing of the controller's and when it ran."""

    run: str
    begin: datetime
    end: datetime | None
    """None while it runs."""


@dataclass(frozen=True)
class Known:
    """What is known of a schedule and its firings."""

    timing: Timing
    since: datetime
    """Since when it has its cron line."""
    last: datetime | None
    """For when the newest firing was that the controller started."""
    fired: frozenset[datetime]
    """Times whose firings left a Job or a record."""
    busy: Sequence[Busy]
    suspensions: Sequence[Span]
    events: Sequence[Mapping[str, Any]]
    """About the CronJob."""


def missed(known: Known, now: datetime, most: int = MOST) -> list[Missed]:
    """Firings that were due and of which there is no trace, latest first.

    Those of one cause that came right after one another are one entry.
    """
    line = CronLine(known.timing.schedule, known.timing.time_zone)
    due = takewhile(lambda time: time > known.since, line.before(now))
    found: list[Missed] = []
    between = False  # whether a firing that is there came in between
    for number, time in zip(range(most), due, strict=False):
        moment = time.astimezone(UTC)
        if moment in known.fired:
            between = True
            continue
        cause = _cause(known, moment, now, newest=number == 0)
        if cause is None:
            continue
        if found and not between and found[-1].cause == cause:
            found[-1] = replace(found[-1], due=moment, count=found[-1].count + 1)
        else:
            found.append(Missed(moment, moment, 1, cause))
        between = False
    return found


def _cause(known: Known, due: datetime, now: datetime, *, newest: bool) -> str | None:
    """Why a firing is not there, None for one that may still come: of those that wait, the newest."""
    if any(span.begin <= due and (span.end is None or due < span.end) for span in known.suspensions):
        return "the schedule was suspended"
    if refused := _refused(known.events, due):
        return refused
    if due in _too_late(known.events):
        return _deadline_over(known, due)
    late, wait = now - due, timedelta(seconds=known.timing.starting_deadline_seconds)
    if newest and late < max(_ON_ITS_WAY, wait) and known.last != due and not known.timing.suspended:
        return None
    if _was_replaced(known, due):
        return "the next firing replaced it before it wrote anything, as the policy is Replace"
    if blocker := _blocker(known, due):
        return f"{blocker.run} was still running, and the policy is Forbid"
    if known.last == due:
        return "it was started, and its Job was removed before it wrote anything"
    if known.timing.suspended:
        return "the schedule is suspended"
    if known.last is None or due > known.last:
        return "the cluster did not start it in time: its controller was away, or the schedule was suspended"
    if late < _EVENTS_LAST:
        return "it was skipped, or its Job was removed before it wrote anything"
    return "no longer known, as the cluster keeps events for an hour only"


def _blocker(known: Known, due: datetime) -> Busy | None:
    """The firing that kept another from starting for as long as it might have started."""
    if known.timing.concurrency_policy != "Forbid":
        return None
    return next(
        (each for each in known.busy if each.begin <= due and (each.end is None or due < each.end)), None
    )


def _was_replaced(known: Known, due: datetime) -> bool:
    """Whether the controller says to have deleted the Job of a firing that another one has followed."""
    if known.timing.concurrency_policy != "Replace" or known.last is None or known.last <= due:
        return False
    deleted = re.compile(rf"Deleted job \S+-{int(due.timestamp()) // 60}")
    return any(
        event.get("reason") == "SuccessfulDelete" and deleted.fullmatch(str(event.get("message") or ""))
        for event in known.events
    )


def _deadline_over(known: Known, due: datetime) -> str:
    seconds = known.timing.starting_deadline_seconds
    blocker = _blocker(known, due)
    because = f", as {blocker.run} was running" if blocker else ""
    return f"its starting deadline of {seconds} s was over before it could start{because}"


def _too_late(events: Iterable[Mapping[str, Any]]) -> set[datetime]:
    """Times for which the controller said that their starting deadline was over."""
    times = set()
    for event in events:
        found = re.search(r"Missed scheduled time to start a job: (.+)", str(event.get("message") or ""))
        if event.get("reason") == "MissSchedule" and found:
            try:
                # "UTC" as Go writes it is "-0000" to Python: a time without a zone.
                times.add(parsedate_to_datetime(found[1].replace("UTC", "GMT")).replace(tzinfo=UTC))
            except ValueError:
                continue
    return times


def _refused(events: Iterable[Mapping[str, Any]], due: datetime) -> str:
    """Why the cluster did not take the Job of a firing, from an event that names it."""
    name = f"-{int(due.timestamp()) // 60}"
    for event in sorted(events, key=event_time, reverse=True):
        message = one_line(event.get("message"))
        when = parse_time(event_time(event))
        about = f'{name}"' in message or (
            when is not None and timedelta(0) <= when - due < timedelta(minutes=1)
        )
        if event.get("reason") == "FailedCreate" and about:
            return f"the cluster refused its Job: {message.removeprefix('Error creating job: ')}"
    return ""
