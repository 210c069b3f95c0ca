"""What a trainer does when it is asked to stop: while it has nothing to save it leaves, else it saves."""

import os
import threading
import time
from collections.abc import Callable

from trainer.environment.stop_signals import AGAIN, AGAIN_SECONDS, STOPS, signal_name
from trainer.training.abort import Abort

_LAST_SECONDS = (
    20.0  # for the status and the lease, which storage may hold up, and for a reader that is stopped
)


class StopFlag:
    """Whether this process was asked to stop.

    Before the first call of steps is over there is nothing to save: being asked ends the process, from any
    thread, with one line that says what it was doing. From `take_on` on the flag is `raised` instead, and the
    loop leaves when all workers have heard of it; a second Ctrl-C does not wait for that.
    """

    def __init__(self, abort: Abort) -> None:
        """Hear of requests from now on."""
        self.raised = False
        self._abort, self._doing = abort, "TensorFlow was imported"
        self._lock, self._taken_on = threading.RLock(), False
        self._since = 0.0
        self._then: list[Callable[[], object]] = []
        STOPS.act_with(self._hear)

    def doing(self, what: str) -> None:
        """What this process does from now on, for the sentence ``stopped (SIGTERM) while …``."""
        self._doing = what

    def take_on(self) -> None:
        """From now on the loop looks at the flag and saves."""
        with self._lock:
            self._taken_on = True

    def then(self, act: Callable[[], object]) -> None:
        """Call `act` when the flag is raised."""
        self._then.append(act)

    def _hear(self, number: int) -> None:
        with self._lock:
            if not self._taken_on:
                text = f"stopped ({signal_name(number)}) while {self._doing}; start again to go on"
                return self._leave(text, keep=True)
            first, self.raised = not self.raised, True
            if first:
                self._since = time.monotonic()
        if first:
            for act in self._then:
                act()
        elif number == AGAIN and time.monotonic() - self._since > AGAIN_SECONDS:
            self._leave("stopped at once, as it was asked for twice; start again to go on", keep=False)
        return None

    def _leave(self, text: str, *, keep: bool) -> None:
        last = threading.Timer(_LAST_SECONDS, os._exit, [STOPS.code])
        last.daemon = True
        last.start()
        self._abort.stopped(text, keep=keep)
