"""Leaving at once from any thread, while the main thread may be inside a collective and never come back.

Four threads can find that there is nothing to go on with: the one that listens to the supervisor (a peer is
gone), the watchdog (training stands still), the lease's (another process has taken over) and the one that
hears signals (asked to stop, with nothing to save). The first one ends the process; what the chief has handed
to its writer is kept before that, unless the lease is lost.
"""

import sys
import threading
from collections.abc import Callable
from contextlib import suppress

from trainer.console.printing import complain, say
from trainer.environment.scratch import leave
from trainer.environment.stop_signals import STOPS
from trainer.errors import GantryError, PeerLost, Stopped
from trainer.training.watchdog import print_stacks

Keep = Callable[[GantryError], object]


class Abort:
    """The way out of this process that does not go through the main thread."""

    def __init__(self) -> None:
        self._keep: Keep | None = None
        self._calm = threading.Event()
        self._once = threading.Lock()

    def keep_with(self, keep: Keep) -> None:
        """Call `keep` with the reason before the process ends; it must come back by itself."""
        self._keep = keep

    def calm(self) -> None:
        """The main thread is leaving by itself from now on: a lost peer changes nothing any more."""
        self._calm.set()

    def peer_lost(self, reason: str) -> None:
        """The supervisor says that this generation of trainers is over."""
        if not self._calm.is_set():
            self._leave(PeerLost(reason))

    def stalled(self, reason: str) -> None:
        """The watchdog says that training stands still."""
        with suppress(OSError):  # nobody may be left who reads it
            print_stacks()
        self._leave(PeerLost(reason))

    def lease_lost(self, error: GantryError) -> None:
        """Another process writes the run, or it is gone: nothing of ours may be written any more."""
        self._leave(error, keep=False)

    def stopped(self, text: str, *, keep: bool) -> None:
        """We were asked to stop, and there is nothing to save, or not to be waited for."""
        self._leave(Stopped(text), keep)

    def _leave(self, error: GantryError, keep: bool = True) -> None:
        if not self._once.acquire(blocking=False):
            return
        try:
            if keep and self._keep:
                self._keep(error)
        except Exception as failure:
            if not isinstance(error, Stopped):
                error = PeerLost(f"{error}; not everything was kept: {failure}")
        finally:
            self._say_and_exit(error)

    def _say_and_exit(self, error: GantryError) -> None:
        if isinstance(error, Stopped):
            say(str(error))
            STOPS.leave()
        try:
            complain(f"error: {error}")
            sys.stdout.flush()
        finally:  # a supervisor that is gone has closed both
            leave(error.exit_code)


def listen_to_supervisor(abort: Abort) -> None:
    """Hear on standard input what the supervisor says: one line, or the end of it, means that it is over."""

    def listen() -> None:
        said = sys.stdin.readline().strip()
        abort.peer_lost(said or "the supervisor of this process is gone")

    threading.Thread(target=listen, name="supervisor", daemon=True).start()
