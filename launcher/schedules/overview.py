"""Looking at schedules: all of a namespace, one in full, and when it fires next."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from launcher.errors import NoSuchRun
from launcher.render.labels import SPEC, run_of
from launcher.runs.find import Place
from launcher.schedules.adopting import asked_of
from launcher.schedules.controlling import firings
from launcher.schedules.cronline import CronLine
from launcher.schedules.find import Found, all_schedules, cron_command, find, time_of
from launcher.schedules.history import Firing, of_found, recorded
from launcher.schedules.model import ScheduleStatus, edited, path_of, status_of, timing_of
from launcher.spec.next_commands import schedule_line
from trainer.run.layout import RunPath

_SHOWN = 5


class Time(NamedTuple):
    """One time, as two clocks show it; ISO."""

    schedule: str
    """In the schedule's zone."""
    here: str
    """In the user's."""


@dataclass(frozen=True)
class ScheduleDetail:
    """Everything about a schedule."""

    status: ScheduleStatus
    timing: dict[str, Any]
    spec: dict[str, Any]
    """What its firings are submitted with, so far as it was said."""
    next: list[Time]
    firings: list[Firing]
    """The newest, and what was missed among them."""
    notes: list[str]
    """What others have done to it, and the command that shows or mends that."""


def list_schedules(where: Place) -> list[ScheduleStatus]:
    """Where every schedule of a namespace stands, by name; one request."""
    api = where.connect()
    found = all_schedules(api)
    now = time_of(api)
    return [status_of(cron, now) for cron in found]


def show(where: Place, name: str) -> ScheduleDetail:
    """Everything about a schedule.

    Raises:
        NoSuchSchedule: there is none of that name.
    """
    found = find(where, name)
    now, timing, asked = found.now, timing_of(found.cron), asked_of(found.cron)
    line = CronLine(timing.schedule, timing.time_zone)
    return ScheduleDetail(
        status_of(found.cron, now),
        vars(timing),
        asked.spec,
        [] if timing.suspended else times(line, _SHOWN, now),
        of_found(where, found, _SHOWN),
        _notes(found, read_back=bool(asked.taken)),
    )


def _notes(found: Found, *, read_back: bool) -> list[str]:
    told = []
    if read_back:
        told.append(
            f"its annotation {SPEC} cannot be read, so its settings are those that its pods are told; "
            f"`{cron_command('update', found)}` makes them the schedule's again"
        )
    if fields := edited(found.cron):
        told.append(
            f"others have edited {', '.join(fields)}; `{cron_command('diff', found)}` shows it, and "
            f"`{cron_command('update', found)}` puts it back"
        )
    return told


def next_times(where: Place, name: str, count: int) -> tuple[ScheduleStatus, list[Time]]:
    """When a schedule fires next, or would if it were not suspended.

    Raises:
        NoSuchSchedule: there is none of that name.
        FieldError: it has a line that this launcher cannot read.
    """
    found = find(where, name)
    now = found.now
    timing = timing_of(found.cron)
    return status_of(found.cron, now), times(CronLine(timing.schedule, timing.time_zone), count, now)


def times(line: CronLine, count: int, now: datetime) -> list[Time]:
    """The next times of a line."""
    return [Time(time.isoformat(), time.astimezone().isoformat()) for time in line.next(now, count)]


def newest(where: Place, name: str) -> RunPath:
    """The run of a schedule's newest firing: of its Jobs, else of those that the bucket remembers.

    Raises:
        NoSuchSchedule: there is none of that name.
        NoSuchRun: it has not fired yet.
    """
    found = find(where, name)
    return _by_job(found) or _by_index(found)


def _by_job(found: Found) -> RunPath | None:
    jobs = sorted(
        firings(found.api, found.name), key=lambda job: str(job["metadata"].get("creationTimestamp"))
    )
    return next((path for path in map(run_of, reversed(jobs)) if path), None)


def _by_index(found: Found) -> RunPath:
    path = path_of(found.cron)
    entries = sorted(recorded(path).values(), key=lambda entry: entry.created or "")
    if not entries:
        where = {"context": found.api.context, "namespace": found.api.namespace}
        raise NoSuchRun(
            f"schedule '{found.name}' has not fired yet; `{schedule_line('trigger', found.name, **where)}` "
            f"starts a firing now, `{schedule_line('next', found.name, **where)}` says when it fires"
        )
    return path._replace(name=entries[-1].run)
