"""A firing of a schedule: which run it is, and for when it was due, from the name of its Job.

The CronJob controller names the Job of a firing ``<schedule>-<minutes since 1970>``, the minutes of the time
it was due, and gives its pods nothing else to tell firings apart. A pod that replaces another of the same Job
therefore comes to the same run, and the Job of the next firing to another one.

A run that a launcher submits has a ``cluster.json`` before any pod. Nobody is there when a schedule fires, so
that the first pod writes it, from the template that the launcher has put into the pods' environment.
"""

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from trainer import layout
from trainer.errors import PreconditionFailed, UserError
from trainer.layout import LABEL
from trainer.status import now
from trainer.storage import Store

JOB, RECORD = "GANTRY_JOB", "GANTRY_RECORD"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


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
    due = re.fullmatch(rf"{re.escape(schedule)}-(\d{{1,9}})", job, re.ASCII)
    if run is not None and due:
        raise UserError(
            f"--run '{run}': expected none, as {JOB} is '{job}', which is a firing of '{schedule}' with a "
            "run of its own"
        )
    if run is not None:
        return Firing(run, schedule, None)
    if not due:
        raise UserError(
            f"{JOB} is '{job}': expected '{schedule}-<minutes since 1970>', as a firing of the schedule is "
            "called, or --run with the name of a run"
        )
    time = _EPOCH + timedelta(minutes=int(due[1]))
    return Firing(f"{schedule}-{time:%Y%m%d-%H%M}", schedule, time.isoformat(timespec="seconds"))


def write_record(store: Store, run: str, environ: Mapping[str, str]) -> None:
    """Write cluster.json for a firing's first pod; a pod that comes later finds it and leaves it.

    Without a template, as when the manifests are somebody's own, there is none.

    Raises:
        UserError: the template is none, or the store refuses us.
        StorageError: the store failed.
    """
    text = environ.get(RECORD)
    if not text or store.stat(layout.CLUSTER):
        return
    try:
        template: dict[str, Any] = json.loads(text)
        spec = {**template["spec"], "name": run}
    except (ValueError, KeyError, TypeError):
        raise UserError(
            f"{RECORD} is {text[:80]!r}: expected a record of a run on a cluster, as JSON"
        ) from None
    values = template | {"job": environ.get(JOB, ""), "submitted": now(), "spec": spec}
    try:
        store.write(layout.CLUSTER, json.dumps(values, indent=2).encode(), if_generation=0)
    except PreconditionFailed:
        return  # by another pod of the same firing, or by the launcher that triggered it
