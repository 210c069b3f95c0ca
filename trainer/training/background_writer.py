"""Work for storage, done in order on a thread of its own while training goes on.

Order matters: a checkpoint's manifest says that everything before it is safe too, so the metrics and grids
of earlier steps are handed in first. The training thread waits only when two checkpoints are in flight.
"""

import queue
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from trainer.errors import GantryError
from trainer.storage.limits import told

Task = Callable[[], object]
_IN_FLIGHT = 2  # checkpoints handed in and not yet written; each holds a copy of all variables


class BackgroundWriter:
    """Runs tasks one after another on one thread; an error comes back at the next call."""

    def __init__(self) -> None:
        # Each task with what is done after it, whether it ran, failed or was passed over.
        self._tasks: queue.SimpleQueue[tuple[Task, Task] | None] = queue.SimpleQueue()
        self._places = threading.Semaphore(_IN_FLIGHT)
        self._error: BaseException | None = None
        self._waiting = threading.Event()
        self._thread = threading.Thread(target=self._work, name="writer", daemon=True)
        self._thread.start()

    @property
    def somebody_waits(self) -> bool:
        """Whether another thread can do nothing until something is written."""
        return self._waiting.is_set()

    def submit(self, task: Task) -> None:
        """Hand in a task; returns at once.

        Raises:
            GantryError: an earlier task failed; this one is not taken.
        """
        self._raise()
        self._tasks.put((task, _nothing))

    def submit_large(self, task: Task) -> None:
        """Hand in a checkpoint; waits while two of them are in flight."""
        self._raise()
        with self._wait():
            self._places.acquire()
        self._raise()
        self._tasks.put((task, self._places.release))

    def drain(self) -> None:
        """Wait until everything handed in is written.

        Raises:
            GantryError: a task failed.
        """
        done = threading.Event()
        self._tasks.put((_nothing, done.set))
        with self._wait():
            done.wait()
        self._raise()

    def close(self, seconds: float | None = None) -> None:
        """Finish what was handed in, for so long at most, and end the thread; errors are not raised."""
        self._tasks.put(None)
        with self._wait():
            self._thread.join(seconds)

    @contextmanager
    def _wait(self) -> Iterator[None]:
        self._waiting.set()
        try:
            yield
        finally:
            self._waiting.clear()

    def _work(self) -> None:
        while (item := self._tasks.get()) is not None:
            task, after = item
            try:
                # After a failure nothing more is written: what follows may rely on what failed.
                if self._error is None:
                    task()
            except BaseException as error:
                self._error = error
            finally:
                after()

    def _raise(self) -> None:
        if self._error is None:
            return
        if isinstance(self._error, GantryError):
            raise self._error
        if found := told(self._error):
            raise found from self._error
        raise RuntimeError("writing in the background failed") from self._error


def _nothing() -> None:
    pass
