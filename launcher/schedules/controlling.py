"""Suspending a schedule, letting it go on, and removing it with all that is its own."""

import time
from datetime import datetime
from typing import NamedTuple

from launcher.backends.kubernetes.client.api import Api, Object
from launcher.backends.kubernetes.jobs.cancellation import announce_cancel
from launcher.backends.kubernetes.status.jobs import is_stopped
from launcher.records.states import parse_time
from launcher.render.labels import of_schedule, run_of
from launcher.runs.find import Place
from launcher.schedules.cronline import CronLine
from launcher.schedules.find import Found, find
from launcher.schedules.model import ScheduleStatus, asked_timing, since, status_of, suspend_patch, timing_of
from trainer.errors import GantryError
from trainer.storage import open_store

_POLL_SECONDS = 0.25
_MARGIN_SECONDS = 60.0  # beyond the pods' grace, for the cluster's collector


class Resumed(NamedTuple):
    """A schedule that goes on."""

    status: ScheduleStatus
    due: str | None
    """For when the firing is that starts at once, as its starting deadline is not over; None mostly."""


class Deleted(NamedTuple):
    """What a delete removed."""

    name: str
    namespace: str
    objects: list[str]
    """As ``Kind/name``; what else the schedule owned went with it."""


def suspend(where: Place, name: str) -> ScheduleStatus:
    """Start no more firings; those that run go on. One that is suspended already stays as it is.

    Raises:
        NoSuchSchedule: there is none of that name.
        SpecError: the CronJob of that name is not this launcher's.
    """
    found = find(where, name)
    now = found.now
    if timing_of(found.cron).suspended and asked_timing(found.cron).suspended:
        return status_of(found.cron, now)
    return status_of(found.api.patch("CronJob", found.cron, suspend_patch(found.cron, True, now)), now)


def resume(where: Place, name: str) -> Resumed:
    """Start firings again; of those missed meanwhile only the last, if its starting deadline is not over.

    Raises:
        NoSuchSchedule: there is none of that name.
        SpecError: the CronJob of that name is not this launcher's.
    """
    found = find(where, name)
    now, suspended = found.now, timing_of(found.cron).suspended
    if not suspended and not asked_timing(found.cron).suspended:
        return Resumed(status_of(found.cron, now), None)
    due = _due(found, now) if suspended else None
    cron = found.api.patch("CronJob", found.cron, suspend_patch(found.cron, False, now))
    return Resumed(status_of(cron, now), due.isoformat() if due else None)


def _due(found: Found, now: datetime) -> datetime | None:
    """For when the firing is that the controller starts as soon as it may."""
    timing = timing_of(found.cron)
    last = next(CronLine(timing.schedule, timing.time_zone).before(now), None)
    started = parse_time((found.cron.get("status") or {}).get("lastScheduleTime")) or since(found.cron)
    if last is None or (now - last).total_seconds() > timing.starting_deadline_seconds:
        return None
    return last if started is None or last > started else None


def running(where: Place, name: str) -> list[str]:
    """Runs of a schedule's firings that have not ended, as ``experiment/run``.

    Raises:
        NoSuchSchedule: there is none of that name.
    """
    found = find(where, name)
    paths = [run_of(job) for job in firings(found.api, found.name) if not is_stopped(job)]
    return sorted(f"{path.experiment}/{path.name}" for path in paths if path)


def firings(api: Api, name: str) -> list[Object]:
    """The Jobs of a schedule's firings, those that were triggered by hand too."""
    found: list[Object] = api.list("Job", of_schedule(name))["items"]
    return found


def delete(where: Place, name: str) -> Deleted:
    """Remove a schedule, what it owns and its firings' Jobs, and wait; all files in the bucket stay.

    Pods of firings that run get SIGTERM and their grace, save, and leave.

    Raises:
        NoSuchSchedule: there is none of that name.
        SpecError: the CronJob of that name is not this launcher's.
        GantryError: a pod does not go, as when its node is lost.
    """
    found = find(where, name)
    api, uid = found.api, found.cron["metadata"]["uid"]
    jobs = [job for job in firings(found.api, name) if _owner(job, uid)]
    for job in jobs:
        if not is_stopped(job) and (path := run_of(job)):
            announce_cancel(open_store(path.url), 1)
    api.delete("CronJob", found.cron, "Foreground")
    for job in jobs:
        if not _owner(job, uid).get("blockOwnerDeletion"):  # kubectl's, for which the CronJob does not wait
            api.delete("Job", job, "Foreground")
    pods = found.cron["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    deadline = time.monotonic() + float(pods.get("terminationGracePeriodSeconds") or 30) + _MARGIN_SECONDS
    while _is_there(api, found.cron, "CronJob") or any(_is_there(api, job, "Job") for job in jobs):
        if time.monotonic() > deadline:
            raise GantryError(
                f"schedule '{name}' in namespace '{api.namespace}' is being deleted, but its pods are still "
                "there"
            )
        time.sleep(_POLL_SECONDS)
    owned = [f"Job/{job['metadata']['name']}" for job in jobs]
    return Deleted(name, api.namespace, [f"CronJob/{name}", *owned])


def _owner(job: Object, uid: str) -> Object:
    """The reference of a Job to the CronJob with this uid; empty for a Job of another's."""
    owners = job["metadata"].get("ownerReferences") or []
    return next((each for each in owners if each.get("uid") == uid), {})


def _is_there(api: Api, known: Object, kind: str) -> bool:
    """Whether the cluster still has this very object."""
    metadata = known["metadata"]
    left = api.get(kind, metadata["name"])
    return left is not None and left["metadata"]["uid"] == metadata["uid"]
