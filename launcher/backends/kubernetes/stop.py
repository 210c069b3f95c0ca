"""Stopping a run's pods, with or without its Job.

A Job is cancelled by suspending it: its pods get SIGTERM and their grace, save, and leave; the Job stays as
the record of what ran. A queue would only admit it again, and a schedule wait for its end, so that a queued
Job and that of a firing are deleted, and the run's folder is the record. Before either it is announced, so
that pods can tell a person's wish from a drained node.
"""

import time
from collections.abc import Callable
from datetime import UTC, datetime

from launcher.backends.kubernetes.api import Api, Object
from launcher.backends.kubernetes.jobs import is_deleted, verdict
from launcher.backends.kubernetes.labels import CANCELLED, belongs, of_job, of_run, queue_of, schedule_of
from launcher.backends.kubernetes.pods import is_there, phase_of
from launcher.errors import NotFound
from trainer.errors import GantryError
from trainer.layout import RunPath

GRACE_MARGIN = 30.0  # seconds beyond the grace of the pods until they are missed
_POLL_SECONDS = 0.25
# For the controllers to ask the pods: after an outage of the API server they are back after 20 to 90 s.
_CONTROLLER_SECONDS = 120.0
_COLLECT_SECONDS = 20.0  # for the cluster to remove a deleted Job whose pods are gone
# For what a mesh puts beside a trainer that has ended: Istio's proxy drains for 5 s when it is told to go.
_HELD_SECONDS = 6
# Seconds that a kubelet has to kill a pod itself; from one that is lost nothing would ever be heard.
_KILL_SECONDS = 15.0


def _silently() -> None:
    """Announce nothing."""


def request_stop(api: Api, job: str, *, kill: bool = False, announce: Callable[[], None] = _silently) -> bool:
    """Ask a Job's pods to save and leave, or kill them, and return at once; False when there are none.

    `announce` is called before, unless the Job has ended.
    """
    found = api.get("Job", job)
    if found is not None and verdict(found) is None:
        announce()
        try:
            _suspend(api, found)
            _end_left_over(api, found)
        except NotFound:
            found = None
    pods = _living(api, job)
    if kill:
        _kill(api, pods, grace_seconds=1)  # the kubelet confirms it, which it would not with 0
    return bool(pods) or (found is not None and verdict(found) is None)


def _suspend(api: Api, job: Object) -> None:
    name = job["metadata"]["name"]
    if queue_of(job) is not None or schedule_of(job) is not None:
        api.delete("Job", name, "Foreground", uid=job["metadata"]["uid"])
        return
    now = datetime.now(UTC).isoformat(timespec="seconds")
    api.patch("Job", name, {"metadata": {"annotations": {CANCELLED: now}}, "spec": {"suspend": True}})


def wait_gone(api: Api, job: str, seconds: float | None = None, *, kill: bool = False) -> bool:
    """Wait until no pod of a Job is left that has not ended; False when some are, after `seconds`.

    `seconds` is by default the pods' own grace and a margin, from the time on when all were asked to leave.
    With `kill`, pods of a node that is lost are struck off the cluster's books after a while.
    """
    begun, asked = time.monotonic(), False
    while pods := _living(api, job):
        if not asked and all(pod["metadata"].get("deletionTimestamp") for pod in pods):
            begun, asked = time.monotonic(), True
        waited = time.monotonic() - begun
        patience = _grace(pods) + GRACE_MARGIN + (0.0 if asked else _CONTROLLER_SECONDS)
        if waited > (patience if seconds is None else seconds):
            return False
        if kill and waited > _KILL_SECONDS:
            _kill(api, pods, grace_seconds=0)
        time.sleep(_POLL_SECONDS)
    return True


def cancel(api: Api, job: str, *, kill: bool = False, announce: Callable[[], None] = _silently) -> bool:
    """Stop a Job's pods and wait until they are gone; False when some did not go."""
    request_stop(api, job, kill=kill, announce=announce)
    if not wait_gone(api, job, kill=kill):
        return False
    deadline = time.monotonic() + _COLLECT_SECONDS
    while (found := api.get("Job", job)) and is_deleted(found) and time.monotonic() < deadline:
        time.sleep(_POLL_SECONDS)
    return True


def delete(api: Api, path: RunPath) -> list[str]:
    """Remove the Jobs of all attempts of a run with all they own, and wait; the names of what was removed.

    Pods that run get SIGTERM and their grace. Objects of a namesake in another root are left alone.

    Raises:
        GantryError: a pod does not go, as when its node is lost.
    """
    jobs = [job for job in api.list("Job", of_run(path))["items"] if belongs(job, path)]
    for job in jobs:
        api.delete("Job", job["metadata"]["name"], "Foreground", uid=job["metadata"]["uid"])
        _end_left_over(api, job)
    names = [str(job["metadata"]["name"]) for job in jobs]
    for job in jobs:
        _wait_deleted(api, job)
    return [f"Job/{name}" for name in names]


def _end_left_over(api: Api, job: Object) -> None:
    """End pods whose trainers have left and that another container keeps; their Job must make no more.

    They have nothing to save, and would take all of the grace that a trainer has for it.
    """
    for pod in api.list("Pod", of_job(job["metadata"]["name"]))["items"]:
        owners = {owner.get("uid") for owner in pod["metadata"].get("ownerReferences") or []}
        ended = phase_of(pod) in ("Succeeded", "Failed")
        if job["metadata"]["uid"] in owners and not ended and not is_there(pod):
            _kill(api, [pod], _HELD_SECONDS)


def _wait_deleted(api: Api, job: Object) -> None:
    """Wait until a Job and what it owned are gone; a Job is last, as its deletion is in the foreground."""
    name, uid = job["metadata"]["name"], job["metadata"]["uid"]
    grace = float(job["spec"]["template"]["spec"].get("terminationGracePeriodSeconds") or 30)
    deadline = time.monotonic() + grace + GRACE_MARGIN
    while (found := api.get("Job", name)) and found["metadata"]["uid"] == uid:
        if time.monotonic() > deadline:
            raise GantryError(
                f"Job '{name}' in namespace '{api.namespace}' is being deleted, but its pods are still there"
            )
        time.sleep(_POLL_SECONDS)


def _living(api: Api, job: str) -> list[Object]:
    return [pod for pod in api.list("Pod", of_job(job))["items"] if is_there(pod)]


def _kill(api: Api, pods: list[Object], grace_seconds: int) -> None:
    for pod in pods:
        metadata = pod["metadata"]
        api.delete("Pod", metadata["name"], uid=metadata["uid"], grace_seconds=grace_seconds)


def _grace(pods: list[Object]) -> float:
    return max(float(pod["spec"].get("terminationGracePeriodSeconds") or 0) for pod in pods)
