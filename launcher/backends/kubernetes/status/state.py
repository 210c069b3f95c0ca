"""The state of an attempt on a cluster, joined from its Job, its workers' pods and the run's own words.

Pure functions; `observe` gathers what they look at.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from launcher.backends.kubernetes.status import jobs as job_words
from launcher.backends.kubernetes.status.absence import absent, being_replaced, not_begun, too_few
from launcher.backends.kubernetes.status.jobs import attempt_of
from launcher.backends.kubernetes.status.ours import is_orphan
from launcher.backends.kubernetes.status.over import end_of, holding
from launcher.backends.kubernetes.status.pods import NODE_NOT_READY, PodStatus
from launcher.backends.kubernetes.status.reasons import why_failed
from launcher.records.states import (
    COLLAPSED,
    FAILED,
    FINISHED,
    INTERRUPTED,
    LIVE_STATES,
    PENDING,
    QUEUED,
    RESTARTING,
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
from launcher.render.labels import CANCELLED, JOB_NAME, annotation, queue_of
from launcher.spec.durations import spoken
from launcher.wording import counted
from trainer.errors import EXIT_COLLAPSED
from trainer.storage.clock import age

# Seconds between the record of a submission and the moment its Job is there and may begin.
HANDOVER = 10.0
_ROUNDING = 2.0  # seconds: creationTimestamp, Date and Last-Modified are whole ones


class Word(NamedTuple):
    """What the trainer, or the supervisor of it, wrote last about an attempt."""

    state: str
    silent: float | None
    """Seconds since then by the storage's clock, None where it does not tell."""
    message: str
    restarts: int

    @property
    def begun(self) -> bool:
        """Whether training has begun: a worker that is missing now was there before."""
        return self.state != STARTING or self.restarts > 0


class Seen(NamedTuple):
    """What the cluster shows of one attempt."""

    job: Mapping[str, Any] | None
    pods: Sequence[Mapping[str, Any]] | None = None
    """None when nobody looked at them: the Job's own counts are all that is known."""
    events: Sequence[Mapping[str, Any]] = ()
    """About the Job and about pods that cannot start; empty where nothing is unclear."""
    time: datetime | None = None
    """When, by the API server's clock; None where it does not tell."""

    @property
    def job_age(self) -> float | None:
        """Seconds since the Job was created, by the API server's clock; None where that is not known."""
        return age(parse_time((self.job or {"metadata": {}})["metadata"].get("creationTimestamp")), self.time)


class Ages(NamedTuple):
    """How long ago something was written, in seconds, by the clock of the storage that it was written to.

    None where that clock does not tell: neither this machine's clock nor a pod's is put in its place.
    """

    word: float | None = None
    """``status.json``."""
    submitted: float | None = None
    """``cluster.json``; asked for only where there is no Job."""

    @property
    def handing_over(self) -> bool:
        """Whether a submission is so new that its Job may not be there yet."""
        just_now = self.submitted is not None and self.submitted < HANDOVER
        return just_now and (self.word is None or self.word >= (self.submitted or 0.0))


def word_of(seen: Seen, said: Mapping[str, Any] | None, silent: float | None) -> Word | None:
    """What ``status.json`` says of this very Job, None while it speaks of an attempt before.

    A trainer says of which attempt it is. Of one that does not, the ages of Job and word are compared: each
    is a difference of one clock, of the API server's and of the storage's.
    """
    if said is None or seen.job is None:
        return None
    return _word(said, seen.job, str(seen.job["metadata"]["name"]), silent, seen.job_age)


def _word(
    said: Mapping[str, Any], first: Mapping[str, Any], job: str, silent: float | None, begun: float | None
) -> Word | None:
    """The same of the attempt whose first object is `begun` seconds old."""
    attempt = said.get("attempt")
    if attempt is not None and attempt != f"{job} attempt {attempt_of(first)}":
        return None
    if attempt is None and silent is not None and begun is not None and silent > begun + _ROUNDING:
        return None
    message, restarts = str(said.get("message") or ""), said.get("restarts")
    restarts = restarts if isinstance(restarts, int) else 0
    return Word(str(said.get("state", RUNNING)), silent, message, restarts)


def state_of(
    seen: Seen,
    workers: Sequence[PodStatus],
    busy: bool,
    said: Mapping[str, Any] | None,
    ages: Ages,
) -> State:
    """Where an attempt stands; `busy` tells whether pods of it have not ended."""
    job = seen.job
    if job is None:
        if left := [pod for pod in seen.pods or () if is_orphan(pod)]:
            return _orphaned(seen, left, said, ages)
        if busy:
            return State(STOPPING, "its Job was deleted; its pods save and stop")
        return State(STARTING, "it is being submitted") if ages.handing_over else _forgotten(seen, said, ages)
    word = word_of(seen, said, ages.word)
    if end := end_of(job, workers):
        return _decided(end, job, workers, busy, word)
    if word is not None and word.state == FINISHED and not _trains(seen, job, busy):
        return State(FINISHED, holding(workers))
    if job_words.is_deleted(job):
        return State(STOPPING, "its Job is being deleted")
    if job_words.is_suspended(job):
        return _suspended(job, busy, seen.job_age is not None and seen.job_age < HANDOVER, word)
    return _under_way(seen, job, workers, word)


def _orphaned(
    seen: Seen, pods: Sequence[Mapping[str, Any]], said: Mapping[str, Any] | None, ages: Ages
) -> State:
    """Pods whose Job was deleted without them: they train, but nobody minds them."""
    first = min(pods, key=lambda pod: str(pod["metadata"].get("creationTimestamp") or ""))
    job = str((first["metadata"].get("labels") or {}).get(JOB_NAME))
    begun = age(parse_time(first["metadata"].get("creationTimestamp")), seen.time)
    word = None if said is None else _word(said, first, job, ages.word, begun)
    spoken = State(STARTING) if word is None else _spoken(word)
    text = "its Job was deleted and its pods were left, which no new ones follow"
    return spoken._replace(explanation="; ".join(filter(None, [text, spoken.explanation])))


def _trains(seen: Seen, job: Mapping[str, Any], busy: bool) -> bool:
    """Whether a run that has finished, by its own word, may still have a pod that ends or is made again.

    The pods of a Job that is suspended or deleted come to no more; where nobody looked at them, the Job's own
    count of those that are ready tells that no trainer is left.
    """
    if job_words.is_deleted(job) or job_words.is_suspended(job):
        return busy
    return seen.pods is not None or not job_words.rests(job)


def _forgotten(seen: Seen, said: Mapping[str, Any] | None, ages: Ages) -> State:
    """The state of a run whose Job is gone, as its own folder tells it."""
    word = str((said or {}).get("state", UNKNOWN))
    if word in LIVE_STATES and seen.pods is None and ages.word is not None and ages.word <= SILENCE:
        return State(
            UNKNOWN, f"its Job is gone, and whether pods that said '{word}' just now are nobody looked"
        )
    if word in LIVE_STATES:
        return State(INTERRUPTED, "its Job is gone from the cluster before it was finished")
    if said is None:
        return State(UNKNOWN, "its Job is gone from the cluster, and its trainer never wrote a word")
    return by_status(said, None)


def _decided(
    end: job_words.Verdict,
    job: Mapping[str, Any],
    workers: Sequence[PodStatus],
    busy: bool,
    word: Word | None,
) -> State:
    """A Job that its controller has decided.

    Pods that a person stopped leave with 0, by which their Job becomes complete; the trainer knows better.
    """
    asked = annotation(job, CANCELLED) is not None or job_words.is_deleted(job)
    state = word.state if word else None
    if (
        state == FINISHED
    ):  # whatever became of its pods then, as of one that a container kept until a deadline
        return State(FINISHED, holding(workers))
    if asked and (state == STOPPED or (end.succeeded and state != FINISHED)):
        return State(STOPPING, "its pods save and stop") if busy else State(STOPPED)
    if end.succeeded:
        return State(FINISHED, holding(workers))
    if state == COLLAPSED or any(worker.exit_code == EXIT_COLLAPSED for worker in workers):
        return State(COLLAPSED, (word.message if word else "") or why_failed(end, job, workers, busy))
    return State(FAILED, why_failed(end, job, workers, busy))


def _suspended(job: Mapping[str, Any], busy: bool, fresh: bool, word: Word | None) -> State:
    if busy:
        return State(STOPPING, "its pods save and stop")
    if queue := queue_of(job):
        return State(QUEUED, f"it waits in queue '{queue}'")
    if annotation(job, CANCELLED):
        return State(STOPPED)
    if fresh:
        return State(STARTING, "it is being submitted")
    if word is None and not job_words.was_released(job):
        return State(INTERRUPTED, "its submission was cut off before its Job was let go")
    return State(STOPPED, "its Job is suspended, and not by this launcher")


def _under_way(seen: Seen, job: Mapping[str, Any], workers: Sequence[PodStatus], word: Word | None) -> State:
    """A Job that is to run: pending, or restarting, until every worker runs; then what its trainer says."""
    begun = word is not None and word.begun
    missing = job_words.missing_workers(job) if seen.pods is None else len(_gone(workers, word))
    if missing and (most := job_words.held_to(job)) is not None:
        return State(PENDING, too_few(most, job_words.workers_of(job)))
    if missing:
        if seen.pods is None:
            text = f"{missing} of its {job_words.workers_of(job)} workers do not run"
        else:
            text = (being_replaced if begun else not_begun)(workers, seen.events)
        return State(RESTARTING if begun else PENDING, text)
    found = State(STARTING) if word is None else _spoken(word)
    if found.name == RUNNING and not found.explanation:
        return State(RUNNING, _more_pods(workers))
    return found


def _more_pods(workers: Sequence[PodStatus]) -> str:
    """What to say of a Job that somebody has given more pods than its run has workers."""
    spare = [worker.worker for worker in workers if worker.spare]
    if not spare:
        return ""
    count = min(spare)
    have = counted(count, "worker")
    return f"its Job asks for {len(workers)} pods, and it has {have}: pods beyond that leave at once"


def _gone(workers: Sequence[PodStatus], word: Word | None) -> list[PodStatus]:
    """Workers that do not run; while the trainer says that it trains, a node not ready has lost none.

    Nor is one missed once it has said that all is done: after an outage of the API server that it trained
    through, nodes are not ready for a while.
    """
    heard = word is not None and word.silent is not None and word.silent <= SILENCE
    trains = heard and word is not None and word.state == RUNNING
    well = trains or (word is not None and word.state == FINISHED)
    return [worker for worker in absent(workers) if not (well and worker.reason == NODE_NOT_READY)]


def _spoken(word: Word) -> State:
    """What the trainer says while all workers run."""
    silent = word.silent is not None and word.silent > SILENCE
    since = spoken(word.silent or 0.0)
    if word.state in (RESTARTING, STOPPED):  # it stopped for a pod that is gone, and for nobody else
        text = word.message or "its trainers have stopped and begin again"
        return State(RESTARTING, text + (f"; for {since}" if silent else ""))
    if silent:
        return State(RUNNING, f"its trainer has written nothing for {since}")
    return State(word.state if word.state in (STARTING, STOPPING) else RUNNING)
