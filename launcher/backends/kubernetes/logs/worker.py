"""One worker's log: that of the pods that were this worker, one after another."""

import threading
from collections.abc import Callable

from launcher.backends.kubernetes.client.api import Api
from launcher.backends.kubernetes.logs.job_pods import Pod, Pods
from launcher.backends.kubernetes.logs.stored_copy import Copy
from launcher.backends.kubernetes.logs.stream import Begin, PodLog


class WorkerLog:
    """Reads in the thread that calls it; `close` and `end` may be called from another."""

    def __init__(
        self,
        api: Api,
        pods: Pods,
        worker: int,
        copy: Copy,
        begin: Begin,
        emit: Callable[[list[str]], None],
    ) -> None:
        self._api, self._pods, self._worker, self._copy, self._emit = api, pods, worker, copy, emit
        self._begin = begin
        self._at_first = pods.of(worker)
        self._last: Pod | None = None
        self._open: PodLog | None = None
        self._ended, self._closed = threading.Event(), threading.Event()

    def follow(self) -> None:
        """Give the logs of all pods that come, until `end`."""
        self._pass_over()
        while pod := self._next():
            self._give_unknown(pod)
            self._log_of(pod).follow()
            self._drained(pod)
        if not self._closed.is_set():
            self._give_unknown(None)

    def once(self) -> None:
        """Give what the pods that are there have written."""
        for pod in self._at_first:
            self._give_unknown(pod)
            self._log_of(pod).once()
            self._drained(pod)

    def end(self) -> None:
        """No more pods will come."""
        self._ended.set()
        self._wake()

    def close(self) -> None:
        """Stop wherever it is."""
        self._closed.set()
        self._wake()
        if log := self._open:
            log.close()

    def _wake(self) -> None:
        with self._pods.changed:
            self._pods.changed.notify_all()

    def _pass_over(self) -> None:
        """Leave out the pods before the newest that has a log, when only its last lines are wanted."""
        started = [pod for pod in self._at_first if pod.started]
        if self._begin.tail is not None and started:
            for pod in self._at_first[: self._at_first.index(started[-1])]:
                pod.drained = True

    def _next(self) -> Pod | None:
        """The oldest pod that was not read, waited for; None at the end."""
        with self._pods.changed:
            while not self._closed.is_set():
                if unread := [pod for pod in self._pods.of(self._worker) if not pod.drained]:
                    return unread[0]
                if self._ended.is_set():
                    return None
                self._pods.changed.wait()
        return None

    def _log_of(self, pod: Pod) -> PodLog:
        begin = self._begin if pod in self._at_first else Begin()
        self._open = PodLog(self._api, self._pods, pod, self._copy, begin, self._emit)
        if self._closed.is_set():
            self._open.close()
        return self._open

    def _drained(self, pod: Pod) -> None:
        self._last = pod
        with self._pods.changed:
            pod.drained = True
            self._pods.changed.notify_all()

    def _give_unknown(self, pod: Pod | None) -> None:
        """Give what the copy holds of pods that came and went while nobody looked."""
        if self._last is None and not self._begin.whole:
            return
        before, after = self._last.name if self._last else None, pod.name if pod else None
        for section in self._copy.between(before, after):
            self._emit(section.lines)
