"""Where a run on the cluster stands: its Job, pods, the cluster's warnings and the run's own words, joined.

`look` asks the cluster, in two requests or three; `join` is a pure function of what it saw.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from launcher.backends.kubernetes.client.api import Api, Object
from launcher.backends.kubernetes.status import jobs as job_words
from launcher.backends.kubernetes.status.ours import Own
from launcher.backends.kubernetes.status.over import workers_seen
from launcher.backends.kubernetes.status.pods import PodStatus, is_there, newest_pods, phase_of
from launcher.backends.kubernetes.status.state import Ages, Seen, state_of, word_of
from launcher.errors import Forbidden
from launcher.records.states import LIVE_STATES, State
from launcher.render.labels import MANAGED

__all__ = ["Ages", "Observation", "Seen", "jobs", "join", "look"]


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
    told: bool = True
    """Whether ``status.json`` is of this attempt and not of the one before."""

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


def all_jobs(api: Api) -> list[Object]:
    """The same of all namespaces.

    Raises:
        Forbidden: the user may not.
    """
    found: list[Object] = api.list("Job", MANAGED, everywhere=True)["items"]
    return found


def look(own: Own, known: Object | None = None) -> Seen:
    """What the cluster shows of an attempt now; `known` is its Job if that was seen a moment ago."""
    found = own.seen(known) or own.job()
    pods = own.pods()
    if found is None or job_words.verdict(found) or job_words.is_suspended(found):
        return Seen(found, pods, time=own.api.now)
    return Seen(found, pods, _warnings(own.api, found, pods), own.api.now)


def _warnings(api: Api, job: Object, pods: Sequence[Object]) -> list[Object]:
    """Events that tell why pods are missing or do not start; none when the user may not see events.

    One request whatever is wrong: about the only object in question, or all warnings of the namespace when
    there are several, as with 1,000 pods that wait for their image.
    """
    newest = [each[0] for each in newest_pods(pods).values()]
    about = [pod for pod in newest if phase_of(pod) == "Pending" and (pod.get("spec") or {}).get("nodeName")]
    if len(newest) < job_words.workers_of(job):
        about.append(job)
    uids = {each["metadata"]["uid"] for each in about}
    if not uids:
        return []
    fields = f"involvedObject.uid={next(iter(uids))}" if len(uids) == 1 else "type=Warning"
    try:
        events = api.list("Event", fields=fields)["items"]
    except Forbidden:
        return []
    return [event for event in events if (event.get("involvedObject") or {}).get("uid") in uids]


def join(
    seen: Seen,
    said: Mapping[str, Any] | None,
    ages: Ages,
    workers: int | None = None,
) -> Observation:
    """Where an attempt stands.

    `said` is the content of ``status.json``, `ages` tells how old that is, and `workers` is the number in
    ``cluster.json``, for a Job that is gone.
    """
    job = seen.job
    pods = seen.pods or ()
    count = job_words.workers_of(job) if job is not None else workers or 0
    if seen.pods is None or (job is None and not pods):
        count = 0
    shown = workers_seen(count, pods, seen.events)
    busy = any(map(is_there, pods)) or (seen.pods is None and job_words.has_pods(job))
    newest = [found[0] for found in newest_pods(pods).values()]
    replaced = 0 if job is None else job_words.replaced(job, newest)
    return Observation(
        state=state_of(seen, shown, busy, said, ages),
        workers=shown,
        restarts=max(replaced, sum(worker.restarts for worker in shown)),
        busy=busy,
        told=job is None or word_of(seen, said, ages.word) is not None,
    )
