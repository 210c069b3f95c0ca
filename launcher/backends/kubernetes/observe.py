"""Where a run on the cluster stands: its Job, pods, the cluster's warnings and the run's own words, joined.

`look` asks the cluster, in two requests or three; `join` is a pure function of what it saw.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from launcher.backends.kubernetes import jobs as job_words
from launcher.backends.kubernetes.api import Api, Object
from launcher.backends.kubernetes.labels import CANCELLED, MANAGED, annotation, of_job, queue_of
from launcher.backends.kubernetes.pods import (
    PodStatus,
    is_there,
    newest_pods,
    phase_of,
    pod_status,
)
from launcher.backends.kubernetes.reasons import refusal, why_failed
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
HANDOVER = timedelta(seconds=10)
_STUCK_PODS = 3  # whose events are asked for; what keeps one waiting mostly keeps all


class Seen(NamedTuple):
    """What the cluster shows of one attempt."""

    job: Mapping[str, Any] | None
    pods: Sequence[Mapping[str, Any]] | None = None
    """None when nobody looked at them: the Job's own counts are all that is known."""
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
    pods = _own(job, seen.pods or ())
    count = job_words.workers_of(job) if job is not None else workers or 0
    by_worker = newest_pods(pods)
    if seen.pods is None or (job is None and not pods):
        count = 0
    shown = [pod_status(worker, by_worker.get(worker, ()), seen.events) for worker in range(count)]
    busy = any(map(is_there, pods)) or (seen.pods is None and job_words.has_pods(job))
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
    updated = parse_time((said or {}).get("updated"))
    fresh = submitted is not None and time - submitted < HANDOVER and (updated is None or updated < submitted)
    if job is None:
        if busy:
            return State(STOPPING, "its Job was deleted; its pods save and stop")
        return State(STARTING, "it is being submitted") if fresh else _forgotten(said, time)
    if end := job_words.verdict(job):
        return State(FINISHED) if end.succeeded else State(FAILED, why_failed(end, job, workers, busy))
    if job_words.is_deleted(job):
        return State(STOPPING, "its Job is being deleted")
    if job_words.is_suspended(job):
        return _suspended(job, busy, fresh)
    return _under_way(seen, job, workers, said, updated, time)


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
    job: Mapping[str, Any],
    workers: Sequence[PodStatus],
    said: Mapping[str, Any] | None,
    updated: datetime | None,
    time: datetime,
) -> State:
    """A Job that is to run: pending until every worker runs, then what its trainer says."""
    waiting = [worker for worker in workers if not (worker.ready or worker.done)]
    if seen.pods is None and (missing := job_words.missing_workers(job)):
        return State(PENDING, f"{missing} of its {job_words.workers_of(job)} workers do not run")
    if waiting:
        ready = len(workers) - len(waiting)
        refused = refusal(seen.events) if any(worker.pod is None for worker in waiting) else ""
        text = refused or min(waiting, key=_urgency).explanation
        if len(workers) > 1:
            text += f"; {ready} of {len(workers)} workers run"
        return State(PENDING, text)
    # The cluster's clock and not ours: the trainer's runs with it.
    created = parse_time(job["metadata"].get("creationTimestamp"))
    if said is None or updated is None or (created is not None and updated < created):
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
