"""The labels and annotations by which a run's objects are found, and nobody else's."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from trainer.layout import RunPath

APP = "gantry"
NAME, INSTANCE = "app.kubernetes.io/name", "app.kubernetes.io/instance"
PART_OF, MANAGED_BY = "app.kubernetes.io/part-of", "app.kubernetes.io/managed-by"
ATTEMPT = "gantry/attempt"
ROOT = "gantry/root"  # annotation: a root is no label's value
OWNER = "gantry/owner"  # annotation: who submitted it, or made the schedule, as the cluster calls them
CANCELLED = "gantry/cancelled"  # annotation: since when, so that a stopped Job differs from one not yet begun
SCHEDULE = "gantry/schedule"  # of a schedule, and of all that it owns: `instance` is its name there
SPEC = "gantry/spec"  # annotation of a schedule: what it was created with, as JSON
SINCE = "gantry/since"  # annotation of a schedule: when its cron line or its zone was changed last
SUSPENDED = "gantry/suspended"  # annotation of a schedule: since when it is suspended
SUSPENSIONS = "gantry/suspensions"  # annotation of a schedule: when it was before, as JSON
QUEUE = "kueue.x-k8s.io/queue-name"
JOB_NAME = "batch.kubernetes.io/job-name"
COMPLETION_INDEX = "batch.kubernetes.io/job-completion-index"

_FIRING = re.compile(r"(.+)-([0-9]{8})-([0-9]{4})([0-9]{2})?")  # the run of one, see `firing_run`

MANAGED = f"{MANAGED_BY}={APP}"
"""Selects everything that this launcher made."""


def of_run(path: RunPath) -> str:
    """Selects the objects of one run's attempts; see `belongs` for the root, and for a schedule's firings."""
    schedule = schedule_of_run(path.name)
    instance = f"{INSTANCE} in ({path.name},{schedule})" if schedule else f"{INSTANCE}={path.name}"
    return f"{NAME}={APP},{instance},{PART_OF}={path.experiment}"


def of_schedule(name: str) -> str:
    """Selects a schedule and all that it owns, its firings' Jobs and pods too."""
    return f"{NAME}={APP},{SCHEDULE}={name},{MANAGED_BY}={APP}"


def of_job(job: str) -> str:
    """Selects the pods of one Job."""
    return f"{JOB_NAME}={job}"


def belongs(found: Mapping[str, Any], path: RunPath) -> bool:
    """Whether an object is of a run and not of its namesake in another root."""
    labels, root = found["metadata"].get("labels") or {}, annotation(found, ROOT)
    same_root = root is not None and root.rstrip("/") == path.root.rstrip("/")
    ours = labels.get(NAME) == APP and labels.get(PART_OF) == path.experiment
    return same_root and ours and _run_name(found) == path.name


def run_of(found: Mapping[str, Any]) -> RunPath | None:
    """The run that an object belongs to, None for one that does not say."""
    labels, root = found["metadata"].get("labels") or {}, annotation(found, ROOT)
    name, experiment = _run_name(found), labels.get(PART_OF)
    return RunPath(root, experiment, name) if root and name and experiment else None


def _run_name(found: Mapping[str, Any]) -> str | None:
    """The run of a Job or a pod; firings of a schedule share their labels, so their Job's name tells."""
    metadata = found["metadata"]
    labels = metadata.get("labels") or {}
    if schedule := labels.get(SCHEDULE):
        return firing_run(schedule, str(labels.get(JOB_NAME) or metadata.get("name") or ""))
    name = labels.get(INSTANCE)
    return None if name is None else str(name)


def firing_run(schedule: str, job: str) -> str | None:
    """The run of a firing from the name of its Job, None for a Job of another name.

    The CronJob controller calls Jobs ``<schedule>-<minutes since 1970>``, and `trigger` those that it makes
    ``<schedule>-t<seconds since 1970 in base 36>``.
    """
    if due := firing_due(schedule, job):
        return f"{schedule}-{due:%Y%m%d-%H%M}"
    found = re.fullmatch(rf"{re.escape(schedule)}-t([0-9a-z]{{1,7}})", job)
    return f"{schedule}-{datetime.fromtimestamp(int(found[1], 36), UTC):%Y%m%d-%H%M%S}" if found else None


def firing_due(schedule: str, job: str) -> datetime | None:
    """For when a firing's Job is, None for one that was triggered by hand, or has another name."""
    found = re.fullmatch(rf"{re.escape(schedule)}-([0-9]{{1,9}})", job)
    return datetime.fromtimestamp(60 * int(found[1]), UTC) if found else None


def firing_time(schedule: str, run: str) -> datetime | None:
    """When a firing was due, or was asked for by hand, from its run's name; None for another name."""
    found = _FIRING.fullmatch(run)
    if found is None or found[1] != schedule:
        return None
    try:
        return datetime.strptime(f"{found[2]}{found[3]}{found[4] or '00'}Z", "%Y%m%d%H%M%S%z")
    except ValueError:
        return None


def schedule_of_run(run: str) -> str | None:
    """The schedule that a run would be a firing of, going by its name; None for any other name."""
    found = _FIRING.fullmatch(run)
    return found[1] if found else None


def schedule_of(found: Mapping[str, Any]) -> str | None:
    """The schedule that an object belongs to, None for a run's own."""
    value = (found["metadata"].get("labels") or {}).get(SCHEDULE)
    return None if value is None else str(value)


def annotation(found: Mapping[str, Any], key: str) -> str | None:
    """An annotation of an object."""
    value = (found["metadata"].get("annotations") or {}).get(key)
    return None if value is None else str(value)


def queue_of(job: Mapping[str, Any]) -> str | None:
    """The queue that decides when a Job begins, None for one that begins at once."""
    value = (job["metadata"].get("labels") or {}).get(QUEUE)
    return None if value is None else str(value)
