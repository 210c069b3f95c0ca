"""Threads that take items from a bounded queue; the first error ends the work."""

import queue
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Generic, TypeVar

T = TypeVar("T")
_WAITING = 2  # items for each thread that are handed in and not done
_FIRST = 2  # threads to begin with
_BUSY = 0.8  # processors in use, from which on another thread would only wait for the interpreter's lock
_LOOK_SECONDS = 0.03  # between two looks at that, about as long as a bucket takes to begin an answer
_GRACE_SECONDS = 1.0  # for threads to notice that the work is over; one may hang in a request for minutes


class Crew(Generic[T]):
    """Threads that call `work` on every item, inside a ``with``.

    There are two, and more as long as they wait rather than compute: eight that compute spend a quarter of
    their time on handing the interpreter's lock around, eight that wait for a far bucket none.

    They are daemons: after Ctrl-C the program ends although one of them still waits for an answer.
    """

    def __init__(
        self, jobs: int, work: Callable[[T], object], stopped: threading.Event | None = None
    ) -> None:
        """At most `jobs` threads. `stopped` is set when the work is over; whoever works long looks at it."""
        self._stopped, self._work, self._jobs = stopped or threading.Event(), work, jobs
        self._items: queue.SimpleQueue[T | None] = queue.SimpleQueue()
        self._places = threading.BoundedSemaphore(_WAITING * jobs)
        self._count = _WAITING * jobs
        self._error: BaseException | None = None
        self._threads: list[threading.Thread] = []
        self._looked, self._used = time.monotonic(), time.process_time()

    def __enter__(self) -> "Crew[T]":
        for _ in range(min(_FIRST, self._jobs)):
            self._start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopped.set()
        for _ in self._threads:
            self._items.put(None)
        deadline = time.monotonic() + _GRACE_SECONDS
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))

    def put(self, item: T) -> None:
        """Hand in an item; waits while too many are waiting. Raises what a thread raised."""
        self._take_place()
        self._items.put(item)
        self._raise()

    def drain(self) -> None:
        """Wait until everything handed in is done. Raises what a thread raised."""
        for _ in range(self._count):
            self._take_place()
        self._places.release(self._count)
        self._raise()

    def _take_place(self) -> None:
        self._grow()
        while not self._places.acquire(timeout=_LOOK_SECONDS):
            self._grow()

    def _grow(self) -> None:
        """Add a thread if items wait for one and the process waited too since the last look."""
        now, used = time.monotonic(), time.process_time()
        if now - self._looked < _LOOK_SECONDS:
            return
        busy = (used - self._used) / (now - self._looked)
        self._looked, self._used = now, used
        if busy < _BUSY and len(self._threads) < self._jobs and not self._items.empty():
            self._start()

    def _start(self) -> None:
        name = f"crew-{len(self._threads)}"
        self._threads.append(threading.Thread(target=self._run, name=name, daemon=True))
        self._threads[-1].start()

    def _run(self) -> None:
        while (item := self._items.get()) is not None:
            try:
                if not self._stopped.is_set():
                    self._work(item)
            except BaseException as error:
                # What comes after the first error is a consequence of it, such as having been stopped.
                self._error = self._error or error
                self._stopped.set()
            finally:
                self._places.release()

    def _raise(self) -> None:
        if self._error is not None:
            raise self._error
