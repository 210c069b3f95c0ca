"""Notices that training stands still: no step for a long time, whatever the reason.

A collective whose peer hangs, a data source that never answers, a deadlock: none of them raises. The watchdog
writes the stacks of all threads to the log and ends the process, which is then started again.
"""

import faulthandler
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Self

_CALLS = 10  # a call of steps may take so many times what the longest before it took
_LEAST_POLL_SECONDS = 0.1


class Watchdog:
    """Calls `act`, once, when `beat` was not called for `seconds`, or for ten times the longest call.

    It begins to watch at the first `beat`: before that, peers may have to be waited for. As a context manager
    it stops at the end, however that comes: an error that ends training is told at leisure.
    """

    def __init__(self, seconds: float, act: Callable[[str], object]) -> None:
        self._least, self._act = seconds, act
        self._longest = 0.0
        self._last: float | None = None
        self._held = 0
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        threading.Thread(target=self._watch, name="watchdog", daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def beat(self) -> None:
        """A call of steps has ended, or training is about to begin."""
        now = time.monotonic()
        with self._lock:
            if self._last is not None:
                self._longest = max(self._longest, now - self._last)
            self._last = now

    def stop(self) -> None:
        """Watch no more: there are no more steps to come."""
        self._stopped.set()

    @contextmanager
    def held(self) -> Iterator[None]:
        """Do not watch meanwhile: what is waited for has a patience of its own."""
        with self._lock:
            self._held += 1
        try:
            yield
        finally:
            with self._lock:
                self._held -= 1
                self._last = time.monotonic() if self._last is not None else None

    def _watch(self) -> None:
        while not _wait(self._stopped, max(_LEAST_POLL_SECONDS, self._least / 20)):
            with self._lock:
                if self._last is None or self._held:
                    continue
                still = time.monotonic() - self._last
                limit = max(self._least, _CALLS * self._longest)
            if still > limit:
                self._act(f"no step for {still:.0f} s (the limit is {limit:.0f} s); the stacks are above")
                return


def _wait(stopped: threading.Event, seconds: float) -> bool:
    return stopped.wait(seconds)


def print_stacks() -> None:
    """Write the stacks of all threads to stdout."""
    sys.stdout.flush()
    faulthandler.dump_traceback(sys.stdout.fileno(), all_threads=True)
