"""The state of an attempt on a cluster, joined from its Job, its workers' pods and the run's own words.

Pure functions; `observe` gathers what they look at.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from launcher.backends.kubernetes import jobs as job_words
from launcher.backends.kubernetes.absence import absent, being_replaced, not_begun
from launcher.backends.kubernetes.jobs import attempt_of
from launcher.backends.kubernetes.labels import CANCELLED, annotation, queue_of
from launcher.backends.kubernetes.pods import NODE_NOT_READY, PodStatus
from launcher.backends.kubernetes.reasons import why_failed
from launcher.states import (
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
    attempt, job_age = said.get("attempt"), seen.job_age
    if attempt is not None and attempt != f"{seen.job['metadata']['name']} attempt {attempt_of(seen.job)}":
        return None
    if attempt is None and silent is not None and job_age is not None and silent > job_age + _ROUNDING:
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
        if busy:
            return State(STOPPING, "its Job was deleted; its pods save and stop")
        return State(STARTING, "it is being submitted") if ages.handing_over else _forgotten(said)
    word = word_of(seen, said, ages.word)
    if end := job_words.verdict(job):
        return _decided(end, job, workers, busy, word)
    if job_words.is_deleted(job):
        return State(STOPPING, "its Job is being deleted")
    if job_words.is_suspended(job):
        return _suspended(job, busy, seen.job_age is not None and seen.job_age < HANDOVER)
    return _under_way(seen, job, workers, word)


def _forgotten(said: Mapping[str, Any] | None) -> State:
    """The state of a run whose Job is gone, as its own folder tells it."""
    word = str((said or {}).get("state", UNKNOWN))
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
    if asked and (state == STOPPED or (end.succeeded and state != FINISHED)):
        return State(STOPPING, "its pods save and stop") if busy else State(STOPPED)
    return State(FINISHED) if end.succeeded else State(FAILED, why_failed(end, job, workers, busy))


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


def _under_way(seen: Seen, job: Mapping[str, Any], workers: Sequence[PodStatus], word: Word | None) -> State:
    """A Job that is to run: pending, or restarting, until every worker runs; then what its trainer says."""
    begun = word is not None and word.begun
    missing = job_words.missing_workers(job) if seen.pods is None else len(_gone(workers, word))
    if missing:
        if seen.pods is None:
            text = f"{missing} of its {job_words.workers_of(job)} workers do not run"
        else:
            text = (being_replaced if begun else not_begun)(workers, seen.events)
        return State(RESTARTING if begun else PENDING, text)
    return State(STARTING) if word is None else _spoken(word)


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
    minutes = f"{(word.silent or 0.0) / 60:.0f} min"
    if word.state in (RESTARTING, STOPPED):  # it stopped for a pod that is gone, and for nobody else
        text = word.message or "its trainers have stopped and begin again"
        return State(RESTARTING, text + (f"; for {minutes}" if silent else ""))
    if silent:
        return State(RUNNING, f"its trainer has written nothing for {minutes}")
    return State(word.state if word.state in (STARTING, STOPPING) else RUNNING)
