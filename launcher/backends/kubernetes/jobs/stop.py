"""Stopping a run's pods, with or without its Job.

A Job is cancelled by suspending it: its pods get SIGTERM and their grace, save, and leave; the Job stays as
the record of what ran. A queue would only admit it again, and a schedule wait for its end, so that a queued
Job and that of a firing are deleted, and the run's folder is the record. Before either it is announced, so
that pods can tell a person's wish from a drained node.
"""

import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from datetime import UTC, datetime

from launcher.backends.kubernetes.client.api import Api, Object
from launcher.backends.kubernetes.status.evaluations import evaluations_of, under_way
from launcher.backends.kubernetes.status.jobs import is_deleted, verdict
from launcher.backends.kubernetes.status.ours import Own, is_orphan, jobs_of, pods_of
from launcher.backends.kubernetes.status.pods import is_there, phase_of
from launcher.errors import Forbidden, NotFound
from launcher.render.labels import CANCELLED, belongs, queue_of, schedule_of
from trainer.errors import GantryError
from trainer.run.layout import RunPath

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


def request_stop(own: Own, *, kill: bool = False, announce: Callable[[], None] = _silently) -> bool:
    """Ask an attempt's pods to save and leave, or kill them, and return at once; False when there are none.

    `announce` is called before, unless the Job has ended.
    """
    found = own.job()
    if found is not None and verdict(found) is None:
        announce()
        try:
            _suspend(own.api, found)
            _end_left_over(own.api, own.pods())
        except NotFound:
            found = None
    pods = own.living()
    if found is None and (left := [pod for pod in pods if is_orphan(pod)]):
        announce()
        _ask(own.api, left)
    if kill:
        _kill(own.api, pods, grace_seconds=1)  # the kubelet confirms it, which it would not with 0
    return bool(pods) or (found is not None and verdict(found) is None)


def _suspend(api: Api, job: Object) -> None:
    if queue_of(job) is not None or schedule_of(job) is not None:
        api.delete("Job", job, "Foreground")
        return
    now = datetime.now(UTC).isoformat(timespec="seconds")
    api.patch("Job", job, {"metadata": {"annotations": {CANCELLED: now}}, "spec": {"suspend": True}})


def _ask(api: Api, pods: list[Object]) -> None:
    """Ask pods to leave that no controller minds any more; they have their own grace."""
    for pod in pods:
        api.delete("Pod", pod)


def wait_gone(own: Own, seconds: float | None = None, *, kill: bool = False) -> bool:
    """Wait until no pod of an attempt is left that has not ended; False when some are, after `seconds`.

    `seconds` is by default the pods' own grace and a margin, from the time on when all were asked to leave.
    With `kill`, pods of a node that is lost are struck off the cluster's books after a while.
    """
    begun, asked = time.monotonic(), False
    while pods := own.living():
        if not asked and all(pod["metadata"].get("deletionTimestamp") for pod in pods):
            begun, asked = time.monotonic(), True
        waited = time.monotonic() - begun
        patience = _grace(pods) + GRACE_MARGIN + (0.0 if asked else _CONTROLLER_SECONDS)
        if waited > (patience if seconds is None else seconds):
            return False
        if kill and waited > _KILL_SECONDS:
            _kill(own.api, pods, grace_seconds=0)
        time.sleep(_POLL_SECONDS)
    return True


def cancel(own: Own, *, kill: bool = False, announce: Callable[[], None] = _silently) -> bool:
    """Stop an attempt's pods and wait until they are gone; False when some did not go."""
    request_stop(own, kill=kill, announce=announce)
    if not wait_gone(own, kill=kill):
        return False
    deadline = time.monotonic() + _COLLECT_SECONDS
    while (found := own.job()) and is_deleted(found) and time.monotonic() < deadline:
        time.sleep(_POLL_SECONDS)
    return True


def end_evaluations(api: Api, path: RunPath) -> list[str]:
    """Remove the Jobs that judge a run and have not ended; what they have found is kept. Their names."""
    going = under_way(api, path)
    for job in going:
        api.delete("Job", job)
    return [str(job["metadata"]["name"]) for job in going]


def delete(api: Api, path: RunPath, sent: Iterable[Object] = ()) -> list[str]:
    """Remove the Jobs of all attempts of a run with all they own, and wait; the names of what was removed.

    Those of its evaluations go too, as they would write into a folder that is about to be removed.
    Pods that run get SIGTERM and their grace, those too that lost their Job. Objects of a namesake are left
    alone. `sent` are manifests of the run, whose objects do not go with their Job if that was deleted without
    them.

    Raises:
        GantryError: a pod does not go, as when its node is lost.
    """
    jobs = [*jobs_of(api, path), *evaluations_of(api, path)]
    for job in jobs:
        api.delete("Job", job, "Foreground")
    pods = pods_of(api, path)
    _end_left_over(api, pods)
    left = [("Pod", pod) for pod in pods if not pod["metadata"].get("ownerReferences")]
    left += _left_children(api, path, sent)
    for kind, each in left:
        api.delete(kind, each)
    removed = [("Job", job) for job in jobs] + left
    for kind, each in removed:
        _wait_deleted(api, kind, each)
    return [f"{kind}/{each['metadata']['name']}" for kind, each in removed]


def _left_children(api: Api, path: RunPath, sent: Iterable[Object]) -> list[tuple[str, Object]]:
    """Objects beside the Job that nobody owns any more; those that may not be looked at are left."""
    found: list[tuple[str, Object]] = []
    for kind, name in ((each["kind"], each["metadata"]["name"]) for each in sent if each["kind"] != "Job"):
        with suppress(Forbidden):
            child = api.get(kind, name)
            if child is not None and belongs(child, path) and not child["metadata"].get("ownerReferences"):
                found.append((kind, child))
    return found


def _end_left_over(api: Api, pods: Iterable[Object]) -> None:
    """End pods whose trainers have left and that another container keeps; their Job must make no more.

    They have nothing to save, and would take all of the grace that a trainer has for it.
    """
    for pod in pods:
        if phase_of(pod) not in ("Succeeded", "Failed") and not is_there(pod):
            _kill(api, [pod], _HELD_SECONDS)


def _wait_deleted(api: Api, kind: str, gone: Object) -> None:
    """Wait until an object and what it owned are gone: a Job that is deleted in the foreground is last."""
    name, uid = gone["metadata"]["name"], gone["metadata"]["uid"]
    spec = gone.get("spec") or {}
    pod = spec["template"]["spec"] if kind == "Job" else spec
    deadline = time.monotonic() + float(pod.get("terminationGracePeriodSeconds") or 30) + GRACE_MARGIN
    while (found := api.get(kind, name)) and found["metadata"]["uid"] == uid:
        if time.monotonic() > deadline:
            still = ", but its pods are still there" if kind == "Job" else " and still there"
            raise GantryError(f"{kind} '{name}' in namespace '{api.namespace}' is being deleted{still}")
        time.sleep(_POLL_SECONDS)


def _kill(api: Api, pods: list[Object], grace_seconds: int) -> None:
    for pod in pods:
        api.delete("Pod", pod, grace_seconds=grace_seconds)


def _grace(pods: list[Object]) -> float:
    return max(float(pod["spec"].get("terminationGracePeriodSeconds") or 0) for pod in pods)
