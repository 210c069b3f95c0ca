"""Threads that take items from a bounded queue; the first error ends the work."""

import queue
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Generic, TypeVar

T = TypeVar("T")
_WAITING = 2  # items for each thread that are handed in and not done
_GRACE_SECONDS = 1.0  # for threads to notice that the work is over; one may hang in a request for minutes


class Crew(Generic[T]):
    """Threads that call `work` on every item, inside a ``with``.

    They are daemons: after Ctrl-C the program ends although one of them still waits for an answer.
    """

    def __init__(
        self, jobs: int, work: Callable[[T], object], stopped: threading.Event | None = None
    ) -> None:
        """`stopped` is set when the work is over; whoever works for long looks at it now and then."""
        self._stopped, self._work = stopped or threading.Event(), work
        self._items: queue.SimpleQueue[T | None] = queue.SimpleQueue()
        self._places = threading.BoundedSemaphore(_WAITING * jobs)
        self._count = _WAITING * jobs
        self._error: BaseException | None = None
        self._threads = [
            threading.Thread(target=self._run, name=f"crew-{number}", daemon=True) for number in range(jobs)
        ]

    def __enter__(self) -> "Crew[T]":
        for thread in self._threads:
            thread.start()
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
        self._places.acquire()
        self._items.put(item)
        self._raise()

    def drain(self) -> None:
        """Wait until everything handed in is done. Raises what a thread raised."""
        for _ in range(self._count):
            self._places.acquire()
        self._places.release(self._count)
        self._raise()

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
