"""What a Job's own words mean; pure functions of the object as the API server shows it."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from launcher.backends.kubernetes.status.endings import conditions_of
from launcher.render.labels import ATTEMPT, queue_of

# The controller decides a Job's end with the first two, then stops the pods that are left, and only when the
# last one is gone says the other two. The decision is final, so it is what counts.
_GOOD = ("SuccessCriteriaMet", "Complete")
_BAD = ("FailureTarget", "Failed")
# On a pod until the controller has taken note of how it ended.
_TRACKED = "batch.kubernetes.io/job-tracking"
_COUNTS = ("active", "terminating", "succeeded", "failed")


class Verdict(NamedTuple):
    """How a Job ended."""

    succeeded: bool
    reason: str
    """The controller's word, such as ``PodFailurePolicy``."""
    message: str


def verdict(job: Mapping[str, Any]) -> Verdict | None:
    """How a Job ended, None while that is open; some of its pods may still be stopping."""
    conditions = {each["type"]: each for each in status(job).get("conditions") or []}
    for kinds, succeeded in ((_BAD, False), (_GOOD, True)):
        for kind in kinds:
            found = conditions.get(kind)
            if found and found.get("status") == "True":
                return Verdict(succeeded, str(found.get("reason") or ""), str(found.get("message") or ""))
    return None


def status(job: Mapping[str, Any]) -> Mapping[str, Any]:
    """The status of an object that may have none yet."""
    found: Mapping[str, Any] = job.get("status") or {}
    return found


def is_suspended(job: Mapping[str, Any]) -> bool:
    """Whether a Job may have no pods: cancelled, waiting in a queue, or not yet begun."""
    return bool(job["spec"].get("suspend"))


def is_deleted(job: Mapping[str, Any]) -> bool:
    """Whether a Job is on its way out."""
    return "deletionTimestamp" in job["metadata"]


def is_stopped(job: Mapping[str, Any]) -> bool:
    """Whether a Job makes no more pods by itself; those it has made may still be stopping."""
    return verdict(job) is not None or (is_suspended(job) and queue_of(job) is None)


def has_pods(job: Mapping[str, Any] | None) -> bool:
    """Whether pods of a Job have not ended, by its own counts, which lag behind by a moment."""
    counts = status(job) if job is not None else {}
    return bool(counts.get("active") or counts.get("terminating"))


def missing_workers(job: Mapping[str, Any]) -> int:
    """How many workers neither run nor are done, by the Job's own counts."""
    counts = status(job)
    there = int(counts.get("ready") or 0) + int(counts.get("succeeded") or 0)
    return max(0, workers_of(job) - there)


def replaced(job: Mapping[str, Any], newest: Sequence[Mapping[str, Any]]) -> int:
    """How many of the pods that count as failed have a successor; `newest` are the workers' newest pods."""
    return int(status(job).get("failed") or 0) - sum(_counts_as_failed(job, pod) for pod in newest)


def _counts_as_failed(job: Mapping[str, Any], pod: Mapping[str, Any]) -> bool:
    """Whether a pod is one of the Job's `failed`: it has ended, was not disrupted, and the controller saw it.

    One that was told to go is not, until it has ended (podReplacementPolicy).
    """
    metadata, about = pod["metadata"], pod.get("status") or {}
    uncounted = (status(job).get("uncountedTerminatedPods") or {}).get("failed") or []
    open_yet = _TRACKED in (metadata.get("finalizers") or []) or metadata.get("uid") in uncounted
    disrupted = (conditions_of(pod).get("DisruptionTarget") or {}).get("status") == "True"
    return about.get("phase") == "Failed" and not (open_yet or disrupted)


def rests(job: Mapping[str, Any]) -> bool:
    """Whether a Job has pods and none of them is ready, by its own counts.

    So it is before they begin, and when all trainers have ended in pods that another container keeps.
    """
    return bool(status(job).get("active")) and not status(job).get("ready")


def held_to(job: Mapping[str, Any]) -> int | None:
    """How many pods a Job may have at a time, where its workers need more; None where they have enough."""
    most = job["spec"].get("parallelism")
    return most if isinstance(most, int) and most < workers_of(job) else None


def was_released(job: Mapping[str, Any]) -> bool:
    """Whether a suspended Job was ever let go: `submit` makes it suspended, and lets it go last.

    Nobody but who made it has then said whether it is suspended, and its controller has made no pod.
    """
    counts = status(job)
    if counts.get("startTime") or any(counts.get(key) for key in _COUNTS):
        return True
    entries = job["metadata"].get("managedFields") or []
    setters = [entry for entry in entries if "f:suspend" in _fields_of_spec(entry)]
    return not setters or any("f:template" not in _fields_of_spec(entry) for entry in setters)


def _fields_of_spec(entry: Mapping[str, Any]) -> Mapping[str, Any]:
    found: Mapping[str, Any] = (entry.get("fieldsV1") or {}).get("f:spec") or {}
    return found


def workers_of(job: Mapping[str, Any]) -> int:
    """How many workers a Job has."""
    return int(job["spec"].get("completions") or job["spec"].get("parallelism") or 1)


def attempt_of(job: Mapping[str, Any]) -> int | None:
    """Which attempt of its run a Job is."""
    text = str((job["metadata"].get("labels") or {}).get(ATTEMPT) or "")
    return int(text) if text.isdigit() else None
