"""Which firing a schedule's run had to make way for: the CronJob controller deletes its Job then.

With ``concurrencyPolicy: Replace`` the controller deletes the Job that is active when a firing is due, and
says so in an event that the cluster keeps for an hour. Later the times tell: a run that had not ended when
the next firing was due was replaced by it.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any

from launcher.backends.kubernetes.client.api import Api
from launcher.backends.kubernetes.status.wording import event_time
from launcher.errors import Transient
from launcher.records.states import parse_time
from launcher.render.labels import firing_due, firing_run, of_schedule, schedule_of
from trainer.errors import GantryError
from trainer.run import firing_names, index
from trainer.run.layout import RunPath
from trainer.storage import open_store

POLICY = "Replace"
_AT_ONCE = timedelta(seconds=60)  # the controller deletes a Job when the next firing is due, in its next look
_SKEW = timedelta(seconds=5)  # between the clocks of a node and of the controller

Object = Mapping[str, Any]


def replaced_by(
    cron: Object, job: str, ended: datetime | None, times: Iterable[datetime], events: Iterable[Object] = ()
) -> str | None:
    """The run for which a firing's Job was deleted, None where nothing shows that it was; a pure function.

    Args:
        cron: the schedule's CronJob.
        job: name of the Job that is gone, which had not finished.
        ended: the run's last word, None where it never said one.
        times: for when firings of the schedule were that are known.
        events: about the CronJob.
    """
    schedule, events = str(cron["metadata"]["name"]), list(events)
    due = firing_due(schedule, job)
    if due is None or cron["spec"].get("concurrencyPolicy") != POLICY:
        return None
    known = [*times, *_created(schedule, events)]
    following = min((time for time in known if time > due), default=None)
    if following is None:
        return None
    deleted = any(following - _SKEW <= time <= following + _AT_ONCE for time in _deleted(job, events))
    if not deleted and (ended is None or ended < following - _SKEW):
        return None
    return firing_run(schedule, f"{schedule}-{int(following.timestamp()) // 60}", "")


def _created(schedule: str, events: Iterable[Object]) -> Iterator[datetime]:
    """For when firings were whose Jobs the controller says to have made."""
    for event in events:
        name = re.fullmatch(r"Created job (\S+)", str(event.get("message") or ""))
        if event.get("reason") == "SuccessfulCreate" and name and (due := firing_due(schedule, name[1])):
            yield due


def _deleted(job: str, events: Iterable[Object]) -> Iterator[datetime]:
    """When the controller says to have deleted a Job."""
    for event in events:
        said = event.get("reason") == "SuccessfulDelete" and event.get("message") == f"Deleted job {job}"
        if said and (time := parse_time(event_time(event))):
            yield time


def look(api: Api, path: RunPath, job: str, ended: datetime | None) -> str | None:
    """The same for a run whose Job is gone, from the cluster and the experiment's index.

    Where one of them cannot be asked there is less to tell.
    """
    schedule, _, _ = job.rpartition("-")
    if firing_names.by_controller(schedule, job) != path.name:
        return None  # not of the controller's firings, whatever it is called
    with suppress(GantryError, Transient):
        cron = api.get("CronJob", schedule)
        if cron is None or schedule_of(cron) != schedule or cron["spec"].get("concurrencyPolicy") != POLICY:
            return None
        entries = index.read(open_store(path.experiment_url)).values()
        times = [parse_time(entry.scheduled) for entry in entries if entry.schedule == schedule]
        jobs = api.list("Job", of_schedule(schedule))["items"]
        times += [firing_due(schedule, str(each["metadata"]["name"])) for each in jobs]
        times.append(parse_time((cron.get("status") or {}).get("lastScheduleTime")))
        return replaced_by(cron, job, ended, [time for time in times if time], events_of(api, schedule))
    return None


def events_of(api: Api, schedule: str) -> list[Object]:
    """Events about a CronJob; none where they may not be seen."""
    with suppress(GantryError, Transient):
        about = f"involvedObject.kind=CronJob,involvedObject.name={schedule}"
        return list(api.list("Event", fields=about)["items"])
    return []


def sentence(other: str) -> str:
    """How a state says it."""
    return f"its schedule's controller replaced it by firing '{other}' (concurrencyPolicy {POLICY})"
