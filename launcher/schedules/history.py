"""The firings of a schedule, long after their Jobs are gone: the cluster's Jobs joined with the index.

The index knows each run that has begun, when, how it ended and what its weights began from. A Job knows a
firing that has not begun, or never did. A time that was due and left neither is missed; `missed` says why.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from launcher import backends
from launcher.backends.kubernetes.jobs import replacing
from launcher.backends.kubernetes.jobs.cancellation import was_cancelled
from launcher.backends.kubernetes.status.jobs import is_stopped
from launcher.backends.kubernetes.status.observe import jobs as all_jobs
from launcher.backends.kubernetes.status.overview import Jobs
from launcher.backends.kubernetes.status.reading import Readable
from launcher.errors import CannotAsk, NoSuchSchedule
from launcher.notes import note
from launcher.records.run_folder import experiments
from launcher.records.states import COLLAPSED, FAILED, FINISHED, INTERRUPTED, STOPPED, parse_time
from launcher.records.status import RunStatus, read_json
from launcher.render.labels import annotation, firing_due, firing_time, run_of, schedule_of
from launcher.runs.find import Place
from launcher.runs.table import stand
from launcher.schedules.find import Found, check_name, find, time_of
from launcher.schedules.missed import Busy, Known, Missed, missed
from launcher.schedules.model import path_of, since, suspensions, timing_of
from launcher.spec.next_commands import DEFAULT_ROOT
from trainer.run import index, layout
from trainer.run.index import Entry
from trainer.run.layout import RunPath
from trainer.storage import open_store

MISSED = "missed"
_ENDED = (FINISHED, FAILED, COLLAPSED, STOPPED)
_MANUAL = "cronjob.kubernetes.io/instantiate"

Job = Mapping[str, Any]


@dataclass(frozen=True)
class Firing:
    """One firing of a schedule, or several that were missed for the same reason."""

    scheduled: str | None
    """For when; ISO time, UTC. None for one that was triggered by hand."""
    run: str | None
    """None for one that was missed."""
    state: str
    """As of any run, or ``missed``."""
    explanation: str = ""
    """Why it failed, waits or was missed, as far as that is known."""
    started: str | None = None
    ended: str | None = None
    duration_seconds: float | None = None
    step: int | None = None
    steps: int | None = None
    metrics: dict[str, Any] = field(default_factory=dict)
    """Figures of its last line, such as d_loss."""
    warm_start: dict[str, Any] | None = None
    """Run and step that its weights began from."""
    job: str | None = None
    """While the cluster has it."""
    count: int = 1
    """How many were missed one after another."""
    until: str | None = None
    """For when the last one of them was."""


def history(where: Place, name: str, limit: int = 20) -> list[Firing]:
    """The newest firings of a schedule, the newest first, and those that were missed among them.

    A schedule that was deleted is known by its runs in the bucket, if a root is named.

    Raises:
        NoSuchSchedule: there is none of that name, and no run of one either.
        UserError: the bucket refuses us.
    """
    check_name(name)
    try:
        found = find(where, name)
    except NoSuchSchedule as error:
        return _without_cron(where, name, limit, error)
    except CannotAsk as error:
        found_there = _without_cron(where, name, limit, error)
        note(f"this is what the bucket remembers, since the cluster cannot be asked: {error}")
        return found_there
    return of_found(where, found, limit)


def of_found(where: Place, found: Found, limit: int) -> list[Firing]:
    """The same of a schedule that the cluster has."""
    path = path_of(found.cron)
    entries = recorded(path)
    jobs = all_jobs(found.api)
    now = time_of(found.api)
    known = Readable(jobs, now, found.api.server, frozenset({found.api.namespace}))
    own = {run.name: job for job in jobs if (run := _firing(job, found.name))}
    runs = _newest(found.name, entries, own, limit)
    paths = [path._replace(name=run) for run in runs]
    there = _joined(where, paths, entries, own, known)
    away = missed(_known(found, entries, own, now), now)
    return _merged(found.name, [*_with_replaced(found, entries, there), *map(_missed, away)], limit)


def _with_replaced(found: Found, entries: Mapping[str, Entry], firings: Sequence[Firing]) -> list[Firing]:
    """The firings, and of those that had to make way for another which that was."""
    if timing_of(found.cron).concurrency_policy != replacing.POLICY:
        return list(firings)
    events, due = replacing.events_of(found.api, found.name), [parse_time(each.scheduled) for each in firings]
    times = [*due, *(parse_time(entry.scheduled) for entry in entries.values())]
    times.append(parse_time((found.cron.get("status") or {}).get("lastScheduleTime")))
    known = [time for time in times if time]
    return [_told(found, each, known, events, entries.get(each.run or "")) for each in firings]


def _told(
    found: Found, firing: Firing, times: Sequence[datetime], events: Sequence[Job], entry: Entry | None
) -> Firing:
    due = parse_time(firing.scheduled)
    if due is None or firing.job is not None or firing.state not in (STOPPED, INTERRUPTED):
        return firing
    path = path_of(found.cron)._replace(name=str(firing.run))
    job = f"{found.name}-{int(due.timestamp()) // 60}"
    store = open_store(path.url)
    ended = (entry.ended if entry else None) or (read_json(store, layout.STATUS) or {}).get("updated")
    other = replacing.replaced_by(found.cron, job, parse_time(ended), times, events)
    if other is None or was_cancelled(store, 1):
        return firing
    return replace(firing, explanation=replacing.sentence(other))


def recorded(path: RunPath) -> dict[str, Entry]:
    """What the index of a schedule's experiment has of its firings, by run."""
    entries = index.read(open_store(path.experiment_url))
    return {run: entry for run, entry in entries.items() if entry.schedule == path.name}


def _firing(job: Job, schedule: str) -> RunPath | None:
    return run_of(job) if schedule_of(job) == schedule else None


def _newest(schedule: str, entries: Mapping[str, Entry], own: Mapping[str, Job], limit: int) -> list[str]:
    """The newest runs: each costs a request or two if its index entry does not settle it."""

    def asked(run: str) -> datetime:
        created = entries[run].created if run in entries else own[run]["metadata"].get("creationTimestamp")
        return _asked(schedule, run, created)

    return sorted({*entries, *own}, key=asked, reverse=True)[:limit]


def _joined(
    where: Place,
    paths: Sequence[RunPath],
    entries: Mapping[str, Entry],
    own: Mapping[str, Job],
    known: Readable,
) -> list[Firing]:
    """Where these runs stand: by the index if they have ended, else by their Jobs and folders."""
    open_yet = [path for path in paths if not _is_settled(entries.get(path.name), own.get(path.name))]
    jobs = Jobs(where)
    jobs.take(known, complete=True)
    there = [jobs, backends.rest().overview(where)]  # of a run without a record its files tell
    standing = {status.run: status for status in stand(open_yet, there)} if open_yet else {}
    return [
        _of_run(path.name, entries.get(path.name), own.get(path.name), standing.get(path.name))
        for path in paths
    ]


def _is_settled(entry: Entry | None, job: Job | None) -> bool:
    return entry is not None and entry.state in _ENDED and (job is None or is_stopped(job))


def _of_run(run: str, entry: Entry | None, job: Job | None, status: RunStatus | None) -> Firing:
    """One firing that left a record, a Job, or both."""
    started, ended = _times(entry, job)
    seconds = (ended - started).total_seconds() if started and ended else None
    warm = entry.warm_start.model_dump() if entry is not None and entry.warm_start else None
    return Firing(
        scheduled=_due(run, entry, job),
        run=run,
        state=status.state if status else str(entry.state if entry else ""),
        explanation=status.explanation if status else "",
        started=started.isoformat(timespec="seconds") if started else None,
        ended=ended.isoformat(timespec="seconds") if ended else None,
        duration_seconds=seconds,
        step=status.step if status else entry.step if entry else None,
        steps=status.steps if status else entry.steps if entry else None,
        metrics=dict(status.metrics if status else entry.metrics if entry else {}),
        warm_start=warm,
        job=str(job["metadata"]["name"]) if job else None,
    )


def _due(run: str, entry: Entry | None, job: Job | None) -> str | None:
    if entry is not None and entry.scheduled:
        time = parse_time(entry.scheduled)
    elif job is not None and annotation(job, _MANUAL) is None:
        time = firing_due(str(schedule_of(job)), str(job["metadata"]["name"]))
    else:
        time = None
    return time.isoformat(timespec="seconds") if time else None


def _times(entry: Entry | None, job: Job | None) -> tuple[datetime | None, datetime | None]:
    """When a firing began and ended, the Job's own times where the run has none."""
    status = (job or {}).get("status") or {}
    ends = [each.get("lastTransitionTime") for each in status.get("conditions") or [] if _is_end(each)]
    begun = (entry.created if entry else None) or status.get("startTime")
    ended = (entry.ended if entry else None) or status.get("completionTime") or (ends[0] if ends else None)
    return parse_time(begun), parse_time(ended)


def _is_end(condition: Mapping[str, Any]) -> bool:
    return (
        condition.get("type") in ("Complete", "Failed", "FailureTarget") and condition.get("status") == "True"
    )


def _known(found: Found, entries: Mapping[str, Entry], own: Mapping[str, Job], now: datetime) -> Known:
    fired, busy = set(), []
    for run in {*entries, *own}:
        entry, job = entries.get(run), own.get(run)
        due = parse_time(_due(run, entry, job))
        begun, ended = _times(entry, job)
        if due is not None:
            fired.add(due)
            # A run that was killed for good never says that it ended; without a Job it is not running.
            over = ended or (None if job is not None and not is_stopped(job) else begun)
            busy += [Busy(run, begun, over)] if begun else []
    last = parse_time((found.cron.get("status") or {}).get("lastScheduleTime"))
    begin = since(found.cron) or now
    events = replacing.events_of(found.api, found.name)
    return Known(timing_of(found.cron), begin, last, frozenset(fired), busy, suspensions(found.cron), events)


def _missed(each: Missed) -> Firing:
    until = each.until.isoformat(timespec="seconds") if each.count > 1 else None
    due = each.due.isoformat(timespec="seconds")
    return Firing(due, None, MISSED, each.cause, count=each.count, until=until)


def _merged(schedule: str, firings: Sequence[Firing], limit: int) -> list[Firing]:
    """The newest first: by when they were due or asked for, as pods of two may begin in another order."""

    def asked(firing: Firing) -> datetime:
        return _asked(schedule, firing.run or "", firing.until or firing.scheduled or firing.started)

    return sorted(firings, key=asked, reverse=True)[:limit]


def _asked(schedule: str, run: str, otherwise: str | None) -> datetime:
    """When a firing was due or asked for by its run's name, else another time, else after all others."""
    return firing_time(schedule, run) or parse_time(otherwise) or datetime.max.replace(tzinfo=UTC)


def _without_cron(where: Place, name: str, limit: int, error: Exception) -> list[Firing]:
    """What the bucket remembers of a schedule that is gone, or whose cluster does not answer."""
    root = where.root or DEFAULT_ROOT
    store = open_store(root)
    paths = [RunPath(root, experiment, name) for experiment in experiments(store)]
    entries = {run: entry for path in paths for run, entry in recorded(path).items()}
    if not entries:
        raise error
    runs = _newest(name, entries, {}, limit)
    return _merged(name, [_of_run(run, entries[run], None, None) for run in runs], limit)
