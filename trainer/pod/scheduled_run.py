"""A firing of a schedule: which run it is, and for when it was due, from the name and the uid of its Job.

The CronJob controller names the Job of a firing ``<schedule>-<minutes since 1970>``, the minutes of the time
it was due, and gives its pods nothing else to tell firings apart. Whoever makes a Job of the schedule by hand
calls it as they like, see `firing_names`. A pod that replaces another of the same Job comes to the same run,
and another Job to another one.

A run that a launcher submits has a ``cluster.json`` before any pod. Nobody is there when a schedule fires, so
that the first pod writes it, from the template that the launcher has put into the pods' environment.
"""

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from trainer.errors import PreconditionFailed, UserError
from trainer.run import firing_names, layout
from trainer.run.layout import LABEL
from trainer.run.status import now
from trainer.storage import Store

JOB, JOB_UID, RECORD = "GANTRY_JOB", "GANTRY_JOB_UID", "GANTRY_RECORD"


class Firing(NamedTuple):
    """What a schedule has started."""

    run: str
    """Name of the run."""
    schedule: str | None
    """Name of the schedule; None for a run that has none."""
    scheduled: str | None
    """When it was due, ISO time in UTC; None for a run that a person triggered."""

    def arguments(self) -> list[str]:
        """For ``trainer train``."""
        told = ["--run", self.run]
        for option, value in (("--schedule", self.schedule), ("--scheduled", self.scheduled)):
            told += [option, value] if value else []
        return told


def identify(run: str | None, schedule: str | None, environ: Mapping[str, str]) -> Firing:
    """Which run a pod belongs to: the one it is told, or the firing that its Job is named after.

    Raises:
        UserError: neither says it, or both do.
    """
    if schedule is None:
        if run is None:
            raise UserError("--run is not given: expected the name of the run, or --schedule for a firing's")
        return Firing(run, None, None)
    if not LABEL.fullmatch(schedule):
        raise UserError(
            f"--schedule '{schedule}': expected lower case letters, digits and dashes, at most 63"
        )
    job = environ.get(JOB, "")
    due = firing_names.due(schedule, job)
    if run is not None and due:
        raise UserError(
            f"--run '{run}': expected none, as {JOB} is '{job}', which is a firing of '{schedule}' with a "
            "run of its own"
        )
    if run is not None:
        return Firing(run, schedule, None)
    if due is None:
        return Firing(_made_by_hand(schedule, job, environ), schedule, None)
    return Firing(f"{schedule}-{due:%Y%m%d-%H%M}", schedule, due.isoformat(timespec="seconds"))


def _made_by_hand(schedule: str, job: str, environ: Mapping[str, str]) -> str:
    """The run of a Job that somebody made of the schedule, as ``kubectl create job --from`` does."""
    if not LABEL.fullmatch(job):
        raise UserError(f"{JOB} is '{job}': expected the name of the Job, or --run with the name of a run")
    if uid := environ.get(JOB_UID):
        return firing_names.by_hand(schedule, job, uid)
    raise UserError(
        f"{JOB_UID} is not set: expected the uid of Job '{job}', which somebody made of schedule "
        f"'{schedule}' by hand; `launcher cron update {schedule}` gives it to the pods, and "
        f"`launcher cron trigger {schedule}` needs none"
    )


def write_record(store: Store, run: str, environ: Mapping[str, str]) -> None:
    """Write cluster.json for a firing's first pod; a pod that comes later finds it and leaves it.

    Without a template, as when the manifests are somebody's own, there is none.

    Raises:
        UserError: the template is none, the folder is of a run that is not this firing's, or the store
            refuses us.
        StorageError: the store failed.
    """
    text = environ.get(RECORD)
    if not text:
        return
    try:
        template: dict[str, Any] = json.loads(text)
        spec = {**template["spec"], "name": run}
    except (ValueError, KeyError, TypeError):
        raise UserError(
            f"{RECORD} is {text[:80]!r}: expected a record of a run on a cluster, as JSON"
        ) from None
    values = template | {"job": environ.get(JOB, ""), "submitted": now(), "spec": spec}
    if store.stat(layout.CLUSTER):
        _check_ours(store, run, values)
        return
    try:
        store.write(layout.CLUSTER, json.dumps(values, indent=2).encode(), if_generation=0)
    except PreconditionFailed:  # by another pod of the same firing, or by a launcher that cancels it
        _check_ours(store, run, values)


def _check_ours(store: Store, run: str, mine: Mapping[str, Any]) -> None:
    """Refuse a folder whose record is of another Job: somebody gave a run the name that this firing has, or
    a schedule of this name in another namespace fires into the same root."""
    try:
        found = json.loads(store.read(layout.CLUSTER))
        job, namespace = str(found["job"]), str(found["namespace"])
    except (ValueError, KeyError, TypeError):  # damaged, which whoever needs it tells
        return
    if (job, namespace) != (mine["job"], str(mine.get("namespace"))):
        raise UserError(
            f"run '{run}': by {store.url}/{layout.CLUSTER} it is of Job '{job}' in namespace '{namespace}', "
            f"and this pod is of Job '{mine['job']}' in namespace '{mine.get('namespace')}': expected a "
            "folder that is nobody's; it is left as it is"
        )
