"""The labels and annotations by which a run's objects are found, and nobody else's."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

from trainer.run import firing_names
from trainer.run.layout import LABEL, RunPath

APP = "gantry"
CONTAINER = "trainer"
"""Of a pod: the one that trains."""
NAME, INSTANCE = "app.kubernetes.io/name", "app.kubernetes.io/instance"
PART_OF, MANAGED_BY = "app.kubernetes.io/part-of", "app.kubernetes.io/managed-by"
COMPONENT = "app.kubernetes.io/component"  # what part of Gantry it is, for dashboards; nothing selects by it
ATTEMPT = "gantry/attempt"
ROOT = "gantry/root"  # annotation: a root is no label's value
OWNER = "gantry/owner"  # annotation: who submitted it, or made the schedule, as the cluster calls them
CANCELLED = "gantry/cancelled"  # annotation: since when, so that a stopped Job differs from one not yet begun
CLAIMED = "gantry/claimed"  # annotation of pods: the run's record was written before there was a Job
EVALUATION = (
    "gantry/evaluation"  # of the Job that judges a run's checkpoints, and of its pods: which one it is
)
ASKED = "gantry/asked"  # annotation of such a Job: what its trainer is told, as JSON
SCHEDULE = "gantry/schedule"  # of a schedule, and of all that it owns: `instance` is its name there
SPEC = "gantry/spec"  # annotation of a Job and of a schedule: what it was asked for, as JSON
TIMING = "gantry/timing"  # annotation of a schedule: the fields of its `Timing` that were asked for, as JSON
SINCE = "gantry/since"  # annotation of a schedule: when its cron line or its zone was changed last
SUSPENDED = "gantry/suspended"  # annotation of a schedule: since when it is suspended
SUSPENSIONS = "gantry/suspensions"  # annotation of a schedule: when it was before, as JSON
QUEUE = "kueue.x-k8s.io/queue-name"
JOB_NAME = "batch.kubernetes.io/job-name"
JOB_UID = "batch.kubernetes.io/controller-uid"  # of a pod: its Job's uid, kept when the Job is gone
COMPLETION_INDEX = "batch.kubernetes.io/job-completion-index"

_TIME = re.compile(r"([0-9]{8})-([0-9]{4})([0-9]{2})?")  # at the end of the run of a firing
_PREFIX = re.compile(r"(?=-)")

MANAGED = f"{MANAGED_BY}={APP}"
"""Selects everything that this launcher made."""


def of_run(path: RunPath) -> str:
    """Selects the objects of one run's attempts and some more: `belongs` says which of them are the run's.

    A schedule's firings have its name where a run has its own, and no name tells that it is a firing's.
    """
    names = ",".join([path.name, *schedules_of(path.name)])
    return f"{NAME}={APP},{INSTANCE} in ({names}),{PART_OF}={path.experiment}"


def of_schedule(name: str) -> str:
    """Selects a schedule and all that it owns, its firings' Jobs and pods too."""
    return f"{NAME}={APP},{SCHEDULE}={name},{MANAGED_BY}={APP}"


def of_job(job: str) -> str:
    """Selects the pods of one Job."""
    return f"{JOB_NAME}={job}"


def evaluates(found: Mapping[str, Any], path: RunPath) -> bool:
    """Whether an object is of an evaluation of a run, which is none of the run's own."""
    labels, root = found["metadata"].get("labels") or {}, annotation(found, ROOT)
    same_root = root is not None and root.rstrip("/") == path.root.rstrip("/")
    ours = labels.get(NAME) == APP and labels.get(PART_OF) == path.experiment
    return same_root and ours and EVALUATION in labels and labels.get(INSTANCE) == path.name


def belongs(found: Mapping[str, Any], path: RunPath) -> bool:
    """Whether an object is of a run and not of its namesake in another root, nor of an evaluation."""
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
    """The run of a Job or a pod; firings of a schedule share their labels.

    Their pods are told the run's name, or know it from their Job, see `firing_names`.
    """
    metadata = found["metadata"]
    labels = metadata.get("labels") or {}
    if EVALUATION in labels:
        return None
    if (schedule := labels.get(SCHEDULE)) is None:
        name = labels.get(INSTANCE)
        return None if name is None else str(name)
    if told := _told(found):
        return told
    job, uid = labels.get(JOB_NAME) or metadata.get("name"), labels.get(JOB_UID) or metadata.get("uid")
    return firing_run(str(schedule), str(job), str(uid)) if job and uid else None


def _told(found: Mapping[str, Any]) -> str | None:
    """The run that the trainer of a Job or a pod is told by ``--run``."""
    spec = found.get("spec") or {}
    containers = ((spec.get("template") or {}).get("spec") or spec).get("containers") or ()
    args = next((each.get("args") or () for each in containers if each.get("name") == CONTAINER), ())
    return next((str(value) for word, value in pairwise(args) if word == "--run"), None)


def firing_run(schedule: str, job: str, uid: str) -> str:
    """The run of a schedule's Job whose pods are not told another; the same as its pods come to."""
    return firing_names.by_controller(schedule, job) or firing_names.by_hand(schedule, job, uid)


def triggered_run(schedule: str, time: datetime) -> str:
    """The run of a firing that `trigger` starts at a time, which its pods are told."""
    return f"{schedule}-{time.astimezone(UTC):%Y%m%d-%H%M%S}"


def firing_due(schedule: str, job: str) -> datetime | None:
    """For when a firing's Job is, None for one that was made by hand."""
    return firing_names.due(schedule, job)


def firing_time(schedule: str, run: str) -> datetime | None:
    """When a run that is a schedule's firing was due, or was asked for, by its name; None where that has no
    time."""
    found = _TIME.fullmatch(run, len(schedule) + 1) if run.startswith(f"{schedule}-") else None
    if found is None:
        return None
    try:
        return datetime.strptime(f"{found[1]}{found[2]}{found[3] or '00'}Z", "%Y%m%d%H%M%S%z")
    except ValueError:
        return None


def schedules_of(run: str) -> list[str]:
    """Names of the schedules that a run could be a firing of: the beginnings of its name, up to each dash.

    Whether it is one, its Job's label and the run's own record say.
    """
    ends = [found.start() for found in _PREFIX.finditer(run)]
    return [run[:end] for end in ends if LABEL.fullmatch(run[:end])]


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
