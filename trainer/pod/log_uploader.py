"""Passes a log on to stdout at once and to the run's folder in segments, from a thread of its own.

The copy is for the time after the pods are gone. It never holds up or stops training: a store that fails is
asked again, is complained about once, and what it never takes is lost.
"""

import os
import threading
import time
from collections import deque
from contextlib import suppress

from trainer.errors import PreconditionFailed
from trainer.pod.log_segments import Segment, SegmentQueue
from trainer.run import layout
from trainer.storage import Store

_BEAT_SECONDS = 5.0  # between two writes of the open segment; a bucket allows one a second to one object
_RETRY_SECONDS = 1.0  # once the log is at its end and somebody waits


class LogCopy:
    """One pod's log. `say` may be called from any thread, `write`, `tick` and `close` from one."""

    def __init__(self, store: Store, attempt: int, worker: int, output: int = 1) -> None:
        self._output = output
        self._queue = SegmentQueue()
        self._lock = threading.Lock()  # of the queue
        self._lines = threading.RLock()  # of the output: a line is whole, whoever says it
        self._at_line_start = True
        self._notes: deque[str] = deque()
        self._sender = _Sender(store, attempt, worker)
        self._warned = False
        self._wake, self._done = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._work, name="log copy", daemon=True)
        self._thread.start()

    def write(self, data: bytes) -> None:
        """Pass on some bytes, whole lines or not."""
        self._emit(data)
        self.tick()

    def say(self, text: str) -> None:
        """Add a line of our own."""
        with self._lines:
            self._emit((b"" if self._at_line_start else b"\n") + text.encode() + b"\n")

    def tick(self) -> None:
        """Say what the thread has to say, where that does not cut a line in two."""
        while self._notes and self._at_line_start:
            self.say(self._notes.popleft())

    def close(self, seconds: float) -> None:
        """End the log and wait at most so long until the store has all of it."""
        if not self._at_line_start:
            self._emit(b"\n")
        self.tick()
        with self._lock:
            self._queue.finish()
        self._done.set()
        self._wake.set()
        self._thread.join(seconds)
        if unsent := self._unsent():
            self._print(f"warning: the last {unsent} bytes of this log are not in the bucket\n".encode())

    def _emit(self, data: bytes) -> None:
        if not data:
            return
        with self._lines:
            self._print(data)
            self._at_line_start = data.endswith(b"\n")
            with self._lock:
                self._queue.append(data)
                closed = self._queue.has_closed
        if closed:
            self._wake.set()

    def _print(self, data: bytes) -> None:
        with suppress(OSError):  # nobody listens any more, which is no reason to stop
            while data:
                data = data[os.write(self._output, data) :]

    def _unsent(self) -> int:
        with self._lock:
            return self._queue.unsent

    def _work(self) -> None:
        beat = time.monotonic() + _BEAT_SECONDS
        while True:
            self._wake.wait(max(0.0, beat - time.monotonic()))
            self._wake.clear()
            done = self._done.is_set()
            due = done or time.monotonic() >= beat
            if due:
                beat = time.monotonic() + _BEAT_SECONDS
            if self._send(due):
                if done:
                    return
            elif not self._done.wait(_BEAT_SECONDS):
                continue
            elif done:
                time.sleep(_RETRY_SECONDS)
                self._wake.set()

    def _send(self, with_open: bool) -> bool:
        """Write what there is to write; False when the store failed."""
        try:
            while True:
                with self._lock:
                    item = self._queue.take(with_open)
                    content = item[0].text(item[1]) if item else b""
                if item is None:
                    return True
                self._sender.send(item[0], content)
                with self._lock:
                    self._queue.sent(*item)
        except Exception as error:  # of whatever kind: training goes on, and so does this thread
            if not self._warned:
                self._warned = True
                self._notes.append(f"warning: this log cannot be copied, training goes on: {error}")
            return False


class _Sender:
    """Gives segments their numbers in the store."""

    def __init__(self, store: Store, attempt: int, worker: int) -> None:
        self._store, self._attempt, self._worker = store, attempt, worker
        self._next: int | None = None

    def send(self, segment: Segment, content: bytes) -> None:
        """Write a segment, under a new number if it has none yet."""
        if segment.number is None:
            segment.number = self._claim(content)
        else:
            self._store.write(self._name(segment.number), content)

    def _claim(self, content: bytes) -> int:
        """Write under the first number that is free.

        The pod that this one replaces may still be writing on a node that nobody can reach, hence the
        condition. What is refused may also be an earlier attempt of ours whose answer was lost.
        """
        if self._next is None:  # listed once: later on, what is found there may be ours
            self._next = self._first_free()
        while True:
            name = self._name(self._next)
            try:
                self._store.write(name, content, if_generation=0)
            except PreconditionFailed:
                if not content.startswith(self._store.read(name)):
                    self._next += 1
                    continue
                self._store.write(name, content)
            self._next += 1
            return self._next - 1

    def _first_free(self) -> int:
        prefix = layout.worker_log(self._attempt, self._worker).removesuffix("log")
        found = [layout.worker_log_parts(stat.name) for stat in self._store.list(prefix)]
        return 1 + max((log.segment for log in found if log and log.segment is not None), default=-1)

    def _name(self, number: int) -> str:
        return layout.worker_log_segment(self._attempt, self._worker, number)
