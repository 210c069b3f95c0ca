"""The Jobs that tell where many runs stand, each namespace asked for once and only when a run wants it."""

import threading
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple, TypeGuard

from launcher.backends.base import Overview
from launcher.backends.kubernetes.jobs.record import ClusterRecord, read_record, record_of
from launcher.backends.kubernetes.status.jobs import attempt_of, is_stopped
from launcher.backends.kubernetes.status.reading import HEARD, Readable
from launcher.backends.place import Place
from launcher.errors import CannotAsk
from launcher.notes import note
from launcher.records.run_folder import Found
from launcher.records.states import RUNNING, STARTING
from launcher.records.status import Files, RunStatus
from launcher.render.labels import run_of, schedule_of
from trainer.run.layout import RunPath
from trainer.storage import LocalStore

if TYPE_CHECKING:
    from launcher.backends.kubernetes.backend import KubernetesBackend

Job = dict[str, Any]


class Known(NamedTuple):
    """The Jobs of a namespace."""

    by_name: Mapping[str, Job]
    time: datetime | None = None
    """When they were so, by the API server's clock."""


class Jobs(Overview):
    """The Jobs of a cluster, asked for once for each namespace and only when a run wants them.

    That is the place's namespace, or with `everywhere` all that the user may read, and of each run the one
    that it was submitted to. A namespace that was not asked has not lost a run.
    """

    def __init__(self, place: Place, everywhere: bool = False) -> None:
        self._place, self._everywhere = place, everywhere
        self._lock = threading.RLock()
        self._found: list[Job] | None = None
        self._by_run: dict[RunPath, Job] = {}
        self._home: Readable | None = None
        self._all_there = False
        self._answers: dict[tuple[str, str], Known | CannotAsk] = {}

    @property
    def all(self) -> list[Job]:
        """Jobs of the place that a launcher made; none where no cluster answers, which is said on stderr."""
        with self._lock:
            if self._found is None:
                self._found = []
                self._ask()
            return self._found

    def take(self, read: Readable, complete: bool = False) -> None:
        """Take this for what the place has instead of asking.

        `complete`: what is not among these Jobs is not there, wherever it says that it was submitted to.
        """
        self._keep(read)
        self._all_there = complete

    def of(self, path: RunPath) -> Job | None:
        """The Job of a run's newest attempt, None when the cluster has none."""
        return self._by_run.get(_plain(path)) if self.all else None

    def at(self, record: ClusterRecord) -> Known:
        """The Jobs of the namespace that a run was submitted to.

        Raises:
            CannotAsk: it cannot be asked.
        """
        with self._lock:
            if self._all_there or self._is_home(record):
                return self._own(record.namespace)
            where = (record.server, record.namespace)
            if where not in self._answers:
                self._answers[where] = self._answer(record)
                told = self._home.error if self._home is not None else None
                if isinstance(self._answers[where], CannotAsk) and self._answers[where] is not told:
                    where_from = f"in namespace '{record.namespace}' of {record.server}"
                    note(f"runs {where_from} are told of by their files alone: {self._answers[where]}")
            answer = self._answers[where]
        if isinstance(answer, CannotAsk):
            raise answer
        return answer

    @property
    def time(self) -> datetime | None:
        """When the place's Jobs were so, by its API server's clock."""
        return self._home.time if self.all and self._home else None

    @property
    def roots(self) -> list[str]:
        """Roots of the runs that the Jobs are of."""
        return sorted({path.root for path in map(run_of, self.all) if path})

    def expected(self, root: str) -> list[RunPath]:
        """Runs of schedules below a root that Jobs are of; a root on a disk has none."""
        if "://" not in root:
            return []
        own = [job for job in self.all if schedule_of(job) is not None]
        return [path for path in map(run_of, own) if path and _is_below(path, root)]

    def runs(self, root: str) -> list[RunPath]:
        """Runs below a root that Jobs are of."""
        return [path for path in self._by_run if _is_below(path, root)] if self.all else []

    def alone(self, path: RunPath) -> RunStatus | None:
        """Where a run stands whose folder cannot be read, which is what its Job says."""
        job = self.of(path)
        return None if job is None else self.by_job(path, job)

    def by_job(self, path: RunPath, job: Job) -> RunStatus:
        """The same for a Job of it."""
        nowhere = LocalStore(path.url)  # never read, as there is a Job and what the folder says is given
        status = self._of_job(Found(path, nowhere), job, Files({}, None))
        if status.state != STARTING:
            return status
        return replace(
            status, state=RUNNING, explanation="its pods run; what its trainer says cannot be read"
        )

    def status(self, found: Found, settled: Files | None, newest: Callable[[], Files]) -> RunStatus | None:
        """Where a run stands by its newest Job, or by where its record says that it is."""
        job = self.of(found.path) if "://" in found.path.root else None
        if job is not None:
            return self._of_job(found, job, settled if settled and is_stopped(job) else newest())
        record = read_record(found.store) if settled is None else None
        if record is None:
            return None
        return self._backend(record).listed(found, lambda: self.at(record))

    def _of_job(self, found: Found, job: Job, files: Files) -> RunStatus:
        known = Known({str(job["metadata"]["name"]): job}, self.time)
        return self._backend(record_of(job)).listed(found, lambda: known, files)

    def _backend(self, record: ClusterRecord) -> "KubernetesBackend":
        from launcher.backends.kubernetes.backend import KubernetesBackend

        return KubernetesBackend(record, self._place.context, self._place.namespace)

    def _keep(self, read: Readable) -> None:
        self._home, self._found = read, read.jobs
        self._by_run = _newest_attempts(read.jobs)

    def _ask(self) -> None:
        """What the place has; why it was not asked, or not all of it, is said on stderr."""
        from launcher.backends.kubernetes.status.reading import read_jobs

        with suppress(CannotAsk):  # a damaged kubeconfig, which is told below
            if not self._place.has_cluster:
                return
        read = read_jobs(self._place.connect, self._everywhere)
        self._keep(read)
        for text in read.notes:
            note(text)

    def _is_home(self, record: ClusterRecord) -> bool:
        """Whether the place's own answer is about the namespace that a run was submitted to."""
        if not record.server:  # it is of a Job that was seen there
            return True
        home = self._home if self.all is not None else None
        return home is not None and record.server == home.server and home.has(record.namespace)

    def _own(self, namespace: str) -> Known:
        home = self._home
        if home is not None and home.error is not None:
            raise home.error
        own = [job for job in self.all if self._all_there or job["metadata"]["namespace"] == namespace]
        return Known({str(job["metadata"]["name"]): job for job in own}, home.time if home else None)

    def _answer(self, record: ClusterRecord) -> Known | CannotAsk:
        """What another namespace or another cluster has; one that does not answer is asked once."""
        from launcher.backends.kubernetes.jobs.context import context_of
        from launcher.backends.kubernetes.status.reading import read_jobs

        same = (answer for (server, _), answer in self._answers.items() if server == record.server)
        if error := next((each for each in same if _is_silent(each)), None):
            return error
        home = self._home
        if home is not None and home.server in (None, record.server) and _is_silent(home.error):
            return home.error
        try:
            context = context_of(record)
        except CannotAsk as error:
            return error
        read = read_jobs(lambda: replace(self._place, context=context, namespace=record.namespace).connect())
        by_name = {str(job["metadata"]["name"]): job for job in read.jobs}
        return read.error or Known(by_name, read.time)


def _is_silent(answer: object) -> TypeGuard[CannotAsk]:
    """Whether nothing was heard of a cluster, so that to ask it of another namespace is of no use."""
    return isinstance(answer, CannotAsk) and not isinstance(answer, HEARD)


def _is_below(path: RunPath, root: str) -> bool:
    return path.root.rstrip("/") == root.rstrip("/")


def _newest_attempts(jobs: Iterable[Job]) -> dict[RunPath, Job]:
    named = [(path, job) for job in jobs if (path := run_of(job)) and attempt_of(job) is not None]
    named.sort(key=lambda each: attempt_of(each[1]) or 0)
    return {_plain(path): job for path, job in named}


def _plain(path: RunPath) -> RunPath:
    return path._replace(root=path.root.rstrip("/"))
