"""Where a run on the cluster stands: its Job, pods, the cluster's warnings and the run's own words, joined.

`look` asks the cluster, in two requests or three; `join` is a pure function of what it saw.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from launcher.backends.kubernetes import jobs as job_words
from launcher.backends.kubernetes.api import Api, Object
from launcher.backends.kubernetes.jobs import Verdict
from launcher.backends.kubernetes.labels import CANCELLED, MANAGED, annotation, of_job, queue_of
from launcher.backends.kubernetes.pods import (
    PodStatus,
    event_time,
    is_there,
    newest_pods,
    one_line,
    phase_of,
    pod_status,
)
from launcher.errors import Forbidden
from launcher.states import (
    FAILED,
    FINISHED,
    INTERRUPTED,
    LIVE_STATES,
    PENDING,
    QUEUED,
    RUNNING,
    SILENCE,
    STARTING,
    STOPPED,
    STOPPING,
    UNKNOWN,
    State,
    by_status,
    parse_time,
)

# Between the record of a submission and the moment its Job is there and may begin.
HANDOVER = timedelta(seconds=30)
_STUCK_PODS = 3  # whose events are asked for; what keeps one waiting mostly keeps all


class Seen(NamedTuple):
    """What the cluster shows of one attempt."""

    job: Mapping[str, Any] | None
    pods: Sequence[Mapping[str, Any]] = ()
    events: Sequence[Mapping[str, Any]] = ()
    """About the Job and about pods that cannot start; empty where nothing is unclear."""


@dataclass(frozen=True)
class Observation:
    """Where an attempt stands."""

    state: State
    workers: list[PodStatus] = field(default_factory=list)
    """One for each completion index; empty when the cluster has forgotten the attempt."""
    restarts: int = 0
    """Pods of the attempt that ended badly and were replaced."""
    busy: bool = False
    """Whether pods have not ended yet; true for some seconds after the attempt is decided."""

    @property
    def live(self) -> bool:
        """Whether the attempt is not decided."""
        return self.state.name in LIVE_STATES

    @property
    def ready(self) -> int:
        """Workers that run."""
        return sum(worker.ready for worker in self.workers)


def jobs(api: Api) -> list[Object]:
    """Every Job of the namespace that a launcher made, in one request."""
    found: list[Object] = api.list("Job", MANAGED)["items"]
    return found


def look(api: Api, job: str) -> Seen:
    """What the cluster shows of an attempt now."""
    found = api.get("Job", job)
    pods = api.list("Pod", of_job(job))["items"]
    if found is None or job_words.verdict(found) or job_words.is_suspended(found):
        return Seen(found, pods)
    return Seen(found, pods, _warnings(api, found, pods))


def _warnings(api: Api, job: Object, pods: Sequence[Object]) -> list[Object]:
    """Events that tell why pods are missing or do not start; none when the user may not see events."""
    newest = [each[0] for each in newest_pods(pods).values()]
    stuck = [pod for pod in newest if phase_of(pod) == "Pending" and (pod.get("spec") or {}).get("nodeName")]
    about = [job] if len(newest) < job_words.workers_of(job) else []
    events: list[Object] = []
    try:
        for each in [*about, *stuck[:_STUCK_PODS]]:
            events += api.list("Event", fields=f"involvedObject.uid={each['metadata']['uid']}")["items"]
    except Forbidden:
        return []
    return events


def join(
    seen: Seen,
    said: Mapping[str, Any] | None,
    submitted: datetime | None,
    time: datetime,
    workers: int | None = None,
) -> Observation:
    """Where an attempt stands at a `time`.

    `said` is the content of ``status.json``, `submitted` the time in ``cluster.json`` and `workers` the
    number there, for a Job that is gone.
    """
    job = seen.job
    pods = _own(job, seen.pods)
    count = job_words.workers_of(job) if job is not None else workers or 0
    by_worker = newest_pods(pods)
    if job is None and not pods:
        count = 0
    shown = [pod_status(worker, by_worker.get(worker, ()), seen.events) for worker in range(count)]
    busy = any(map(is_there, pods))
    failed = int(job_words.status(job).get("failed") or 0) if job is not None else 0
    replaced = failed - sum(worker.phase in ("Failed", "Terminating") for worker in shown)
    return Observation(
        state=_state(seen, shown, busy, said, submitted, time),
        workers=shown,
        restarts=max(replaced, sum(worker.restarts for worker in shown)),
        busy=busy,
    )


def _own(job: Mapping[str, Any] | None, pods: Sequence[Mapping[str, Any]]) -> Sequence[Mapping[str, Any]]:
    """Pods of this very Job, not of one that had its name before."""
    if job is None:
        return pods
    uid = job["metadata"].get("uid")
    owners = [pod["metadata"].get("ownerReferences") or [{}] for pod in pods]
    return [pod for pod, owner in zip(pods, owners, strict=True) if owner[0].get("uid") in (uid, None)]


def _state(
    seen: Seen,
    workers: Sequence[PodStatus],
    busy: bool,
    said: Mapping[str, Any] | None,
    submitted: datetime | None,
    time: datetime,
) -> State:
    job = seen.job
    fresh = submitted is not None and time - submitted < HANDOVER
    if job is None:
        if busy:
            return State(STOPPING, "its Job was deleted; its pods save and stop")
        return State(STARTING, "it is being submitted") if fresh else _forgotten(said, time)
    if end := job_words.verdict(job):
        return State(FINISHED) if end.succeeded else State(FAILED, _why(end, job, workers, busy))
    if job_words.is_deleted(job):
        return State(STOPPING, "its Job is being deleted")
    if job_words.is_suspended(job):
        return _suspended(job, busy, fresh)
    return _under_way(seen, workers, said, submitted, time)


def _forgotten(said: Mapping[str, Any] | None, time: datetime) -> State:
    """The state of a run whose Job is gone, as its own folder tells it."""
    word = str((said or {}).get("state", UNKNOWN))
    if word in LIVE_STATES:
        return State(INTERRUPTED, "its Job is gone from the cluster before it was finished")
    if said is None:
        return State(UNKNOWN, "its Job is gone from the cluster, and its trainer never wrote a word")
    return by_status(said, parse_time(said.get("updated")), time)


def _suspended(job: Mapping[str, Any], busy: bool, fresh: bool) -> State:
    if busy:
        return State(STOPPING, "its pods save and stop")
    if queue := queue_of(job):
        return State(QUEUED, f"it waits in queue '{queue}'")
    if annotation(job, CANCELLED):
        return State(STOPPED)
    if fresh:
        return State(STARTING, "it is being submitted")
    return State(STOPPED, "its Job is suspended, and not by this launcher")


def _under_way(
    seen: Seen,
    workers: Sequence[PodStatus],
    said: Mapping[str, Any] | None,
    submitted: datetime | None,
    time: datetime,
) -> State:
    """A Job that is to run: pending until every worker runs, then what its trainer says."""
    waiting = [worker for worker in workers if not (worker.ready or worker.done)]
    if waiting:
        ready = len(workers) - len(waiting)
        refused = _refusal(seen.events) if any(worker.pod is None for worker in waiting) else ""
        text = refused or min(waiting, key=_urgency).explanation
        if len(workers) > 1:
            text += f"; {ready} of {len(workers)} workers run"
        return State(PENDING, text)
    updated = parse_time((said or {}).get("updated"))
    if said is None or updated is None or (submitted is not None and updated < submitted):
        return State(STARTING)
    if time - updated > SILENCE:
        minutes = (time - updated).total_seconds() / 60
        return State(RUNNING, f"its trainer has written nothing for {minutes:.0f} min")
    word = str(said.get("state", RUNNING))
    return State(word if word in (STARTING, STOPPING) else RUNNING)


def _urgency(worker: PodStatus) -> tuple[int, int]:
    """What a person wants to read first: what will not pass by itself."""
    passing = ("ContainerCreating", "Pending", "Terminating", "")
    return (worker.reason in passing, worker.worker)


def _refusal(events: Sequence[Mapping[str, Any]]) -> str:
    """Why the Job could not make a pod, from its newest event."""
    refused = [event for event in events if event.get("reason") == "FailedCreate"]
    if not refused:
        return ""
    text = one_line(max(refused, key=event_time).get("message"))
    for pattern, plain in _REFUSALS:
        if found := re.search(pattern, text):
            return plain.format(*found.groups())
    return f"its pods cannot be made: {text}"


_REFUSALS = (
    (r"exceeded quota: (.*)", "the namespace's quota is used up: {0}"),
    (r"failed quota: (.*)", "the namespace's quota wants more said: {0}"),
    (
        r"error looking up service account ([^/]+)/([^:]+):",
        "service account '{1}' does not exist in namespace '{0}'",
    ),
    (r'violates PodSecurity "([^"]+)": (.*)', 'Pod Security "{0}" of the namespace refuses its pods: {1}'),
    (r"no PriorityClass with name (\S+)", "priority class '{0}' does not exist"),
)


def _why(end: Verdict, job: Mapping[str, Any], workers: Sequence[PodStatus], busy: bool) -> str:
    """Why a Job failed: the controller's reason, and the worker that gave it."""
    cause = _cause(end, workers)
    if end.reason == "PodFailurePolicy":
        text = cause.explanation if cause else one_line(end.message)
    elif end.reason == "BackoffLimitExceeded":
        failed = int(job_words.status(job).get("failed") or 0)
        limit = job["spec"].get("backoffLimit")
        text = f"its workers ended badly {failed} times, more than its limit of {limit}"
        text += f"; {cause.explanation}" if cause else ""
    elif end.reason == "DeadlineExceeded":
        text = f"it ran longer than its deadline of {job['spec'].get('activeDeadlineSeconds')} s"
    else:
        text = f"{end.reason}: {one_line(end.message)}"
    return text + ("; those that are left are being stopped" if busy else "")


def _cause(end: Verdict, workers: Sequence[PodStatus]) -> PodStatus | None:
    """The worker that ended a Job: the one its message names, else the one that says most."""
    failed = [worker for worker in workers if worker.phase == "Failed"]
    named = [worker for worker in failed if worker.pod and f"/{worker.pod} " in f"{end.message} "]
    order = {2: 0, 42: 2, 143: 2}  # the user's mistake explains most, a lost peer least
    return min(named or failed, key=lambda worker: order.get(worker.exit_code or 1, 1), default=None)
