"""The logs of a Job's pods, once or as they are written, with the run's folder for what pods cannot tell.

::

    with PodLogs(Own(connect(), path, "demo-1", attempt=1), store) as logs:
        while not logs.done:
            for line in logs.read(0.25):
                print(line.worker, line.text)

One thread watches the pods; one for each worker reads the pods that were this worker, one after another, so
that a replacement's first line comes after the last one of the pod before. A follow is a connection that is
held open: of a run with more than `MOST` workers only the chief is followed, unless one worker is asked for.
"""

import queue
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from types import TracebackType
from typing import Any, Self

from launcher.backends.kubernetes.logs.job_pods import Pods
from launcher.backends.kubernetes.logs.stored_copy import Copy
from launcher.backends.kubernetes.logs.stream import Begin
from launcher.backends.kubernetes.logs.worker import WorkerLog
from launcher.backends.kubernetes.status.jobs import is_deleted, is_suspended, verdict, workers_of
from launcher.backends.kubernetes.status.ours import Own
from launcher.errors import SpecError
from launcher.records.follow import LogLine, log_attempts
from launcher.records.stored_logs import stored_logs
from launcher.render.labels import CANCELLED, annotation, queue_of
from trainer.storage import Store

__all__ = ["MOST", "Begin", "PodLogs", "read_logs"]

MOST = 64  # workers that are followed at once
_AT_ONCE = 8  # workers that are read at once when nothing is followed
_JOB_SECONDS = 0.5  # between two looks at the Job while no pod has anything to say
_QUEUED = 256  # batches of at most 64 KiB that wait to be read; beyond that the streams wait
_EVERYTHING = Begin()
_DONE = object()


class PodLogs:
    """Follows the pods of one attempt until its Job has ended and all was read."""

    def __init__(
        self,
        own: Own,
        store: Store,
        *,
        worker: int | None = None,
        begin: Begin = _EVERYTHING,
        most: int = MOST,
    ) -> None:
        self.done = False
        """Whether everything was given; never so while the Job may still write."""
        self.note: str | None = None
        """What the user should know about which workers are followed."""
        self._own, self._store = own, store
        self._begin, self._worker = begin, worker
        self._queue: queue.Queue[Any] = queue.Queue(_QUEUED)
        self._failure: Exception | None = None
        self._closed = threading.Event()
        self._logs: dict[int, WorkerLog] = {}
        self._threads: list[threading.Thread] = []
        self._wanted = self._choose(most)
        self._pods = Pods(own, min(self._wanted) if len(self._wanted) == 1 else None)
        self._spawn(lambda: self._pods.watch(self._closed))
        self._spawn(self._attend)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def read(self, wait_seconds: float = 0.25) -> list[LogLine]:
        """Lines that have come; waits for the first of them at most so long.

        Raises:
            GantryError: no more can be read.
        """
        lines: list[LogLine] = []
        with suppress(queue.Empty):
            while not self.done and self._failure is None:
                item = self._queue.get(timeout=0 if lines else wait_seconds)
                if isinstance(item, Exception):
                    self._failure = item
                elif item is _DONE:
                    self.done = True
                else:
                    lines += item
        if self._failure and not lines:
            self.close()
            raise self._failure
        return lines

    def close(self) -> None:
        """End all connections; a thread that waits for the API server ends by itself."""
        self._closed.set()
        with self._pods.changed:
            self._pods.changed.notify_all()
        for log in list(self._logs.values()):
            log.close()

    def _choose(self, most: int) -> set[int]:
        """Which workers to follow."""
        job = self._own.job()
        count = workers_of(job) if job else most  # pods of a Job that was deleted may still be stopping
        if self._worker is not None:
            if job:
                _check_worker(self._worker, count)
            return {self._worker}
        if count > most:
            self.note = f"following worker 0 of {count}; `--worker I` follows another"
            return {0}
        return set(range(count))

    def _spawn(self, target: Callable[[], None]) -> threading.Thread:
        def run() -> None:
            try:
                target()
            except Exception as error:
                self._put(error)

        thread = threading.Thread(target=run, name=f"logs of {self._own.name}", daemon=True)
        thread.start()
        return thread

    def _put(self, item: Any) -> None:
        """Hand over to `read`, waiting for it if need be."""
        while not self._closed.is_set():
            with suppress(queue.Full):
                self._queue.put(item, timeout=0.5)
                return

    def _attend(self) -> None:
        """Start reading each worker's pods when there are any, and end when the Job has."""
        while not self._closed.is_set():
            self._start()
            if self._pods.drained(self._wanted) and self._has_ended():
                self._pods.refresh()
                self._start()
                if self._pods.drained(self._wanted):
                    self._end()
                    return
            with self._pods.changed:
                self._pods.changed.wait_for(lambda: self._closed.is_set() or self._new(), _JOB_SECONDS)

    def _new(self) -> set[int]:
        return (self._pods.workers() & self._wanted) - self._logs.keys()

    def _start(self) -> None:
        for worker in sorted(self._new()):
            copy = Copy(self._store, self._own.attempt, worker)
            log = WorkerLog(self._own.api, self._pods, worker, copy, self._begin, self._emit(worker))
            self._logs[worker] = log
            self._threads.append(self._spawn(log.follow))

    def _emit(self, worker: int) -> Callable[[list[str]], None]:
        return lambda texts: self._put([LogLine(worker, text) for text in texts])

    def _has_ended(self) -> bool:
        """Whether no pod will come any more."""
        job = self._own.job()
        if job is None or verdict(job) or is_deleted(job):
            return True
        if not is_suspended(job):
            return self._pods.done(self._wanted)  # another container may keep them, and so the Job, for ever
        # One without pods may wait to begin; one in a queue may be let in again.
        stopped = bool(self._pods.workers()) and queue_of(job) is None
        return stopped or annotation(job, CANCELLED) is not None

    def _end(self) -> None:
        for log in self._logs.values():
            log.end()
        for thread in self._threads:
            thread.join()
        seen = self._pods.workers()
        chosen = self._wanted if seen else {self._worker} - {None}
        stored = _stored(self._store, self._own.attempt, self._worker, self._begin, bool(seen))
        self._put(
            [line for line in stored if line.worker not in seen and (not chosen or line.worker in chosen)]
        )
        self._put(_DONE)


def read_logs(
    own: Own,
    store: Store,
    *,
    worker: int | None = None,
    begin: Begin = _EVERYTHING,
) -> list[LogLine]:
    """What the workers of an attempt have written so far, worker by worker.

    Raises:
        SpecError: there is no such worker, or `begin` asks for times that the copy in the folder lacks.
    """
    found = own.job()
    if found and worker is not None:
        _check_worker(worker, workers_of(found))
    pods = Pods(own)
    pods.refresh()
    live = pods.workers() if worker is None else pods.workers() & {worker}

    def read(one: int) -> list[LogLine]:
        texts: list[str] = []
        WorkerLog(own.api, pods, one, Copy(store, own.attempt, one), begin, texts.extend).once()
        kept = texts if begin.tail is None else texts[max(0, len(texts) - begin.tail) :]
        return [LogLine(one, text) for text in kept]

    with ThreadPoolExecutor(_AT_ONCE) as pool:
        lines = [line for each in pool.map(read, sorted(live)) for line in each]
    stored = _stored(store, own.attempt, worker, begin, bool(live))
    return sorted(
        [*lines, *(line for line in stored if line.worker not in live)], key=lambda line: line.worker
    )


def _stored(store: Store, attempt: int, worker: int | None, begin: Begin, seen: bool) -> list[LogLine]:
    """The copy's lines, for workers whose pods are gone."""
    if begin.since_seconds is not None:
        if seen:
            return []
        raise SpecError("--since: expected none, as the run's pods are gone and the copy holds no times")
    if attempt not in log_attempts(store):
        return []
    return stored_logs(store, attempt, worker, begin.tail)


def _check_worker(worker: int, count: int) -> None:
    if worker >= count:
        raise SpecError(f"--worker {worker}: expected 0 to {count - 1}")
