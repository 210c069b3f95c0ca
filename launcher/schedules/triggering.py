"""A firing now, by hand: a Job from the schedule's template, as ``kubectl create job --from`` makes one."""

import copy
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

from launcher.backends.kubernetes.client.api import Object
from launcher.backends.kubernetes.status.jobs import is_stopped
from launcher.errors import AlreadyExists, SpecError
from launcher.render.labels import CONTAINER, run_of, triggered_run
from launcher.runs.find import Place
from launcher.schedules.controlling import firings
from launcher.schedules.find import find
from launcher.schedules.model import path_of
from trainer.run.layout import RunPath

_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"
_MANUAL = {"cronjob.kubernetes.io/instantiate": "manual"}
_TRIES = 5  # names are of whole seconds


class Triggered(NamedTuple):
    """A firing that the cluster has taken over."""

    path: RunPath
    schedule: str
    job: str
    namespace: str
    beside: list[str]
    """Runs of the schedule that have not ended either: no policy holds a firing by hand back."""


def trigger(where: Place, name: str) -> Triggered:
    """Start a firing at once, whether or not the schedule is suspended.

    Raises:
        NoSuchSchedule: there is none of that name.
        SpecError: the CronJob of that name is not this launcher's.
        ApiRejected: the cluster refuses the Job.
    """
    found = find(where, name)
    others = [run_of(job) for job in firings(found.api, name) if not is_stopped(job)]
    for _ in range(_TRIES):
        seconds = int(found.now.timestamp())
        job = manual_job(found.cron, seconds)
        try:
            found.api.create(job)
            break
        except AlreadyExists:
            time.sleep(1)
    else:
        raise SpecError(f"schedule '{name}': others trigger it every second; try again")
    made = str(job["metadata"]["name"])
    path = path_of(found.cron)._replace(name=_run(name, seconds))
    beside = sorted(other.name for other in others if other)
    return Triggered(path, name, made, found.api.namespace, beside)


def manual_job(cron: Mapping[str, Any], seconds: int) -> Object:
    """The Job of a firing that is triggered so many seconds after 1970; the trainer is told its run's name.

    Raises:
        SpecError: the template has not our container.
    """
    name, template = str(cron["metadata"]["name"]), cron["spec"]["jobTemplate"]
    job, spec = f"{name}-t{base36(seconds)}", copy.deepcopy(template["spec"])
    containers = spec["template"]["spec"]["containers"]
    trainer = next((each for each in containers if each.get("name") == CONTAINER), None)
    if trainer is None:
        raise SpecError(f"CronJob '{name}': its pods have no container '{CONTAINER}'")
    trainer["args"] = [*trainer.get("args", ()), "--run", _run(name, seconds)]
    about = template.get("metadata") or {}
    owner = {
        "apiVersion": "batch/v1",
        "kind": "CronJob",
        "name": name,
        "uid": cron["metadata"]["uid"],
        "controller": True,
        "blockOwnerDeletion": True,
    }
    metadata = {
        "name": job,
        "namespace": cron["metadata"]["namespace"],
        "labels": dict(about.get("labels") or {}),
        "annotations": {**(about.get("annotations") or {}), **_MANUAL},
        "ownerReferences": [owner],
    }
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "spec": spec}


def _run(schedule: str, seconds: int) -> str:
    return triggered_run(schedule, datetime.fromtimestamp(seconds, UTC))


def base36(number: int) -> str:
    """A number that is not negative, in digits and lower case letters."""
    text = ""
    while True:
        number, digit = divmod(number, len(_DIGITS))
        text = _DIGITS[digit] + text
        if not number:
            return text
