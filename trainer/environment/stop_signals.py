"""Signals that mean "end": heard from the first import to the last line, whatever the main thread is doing.

A handler in Python runs in the main thread between two of its instructions, and so not while TensorFlow's C++
waits for peers or compiles; and TensorFlow puts a handler of its own in the place of SIGTERM's. So the
signals are blocked in every thread, and one thread waits for them (sigwait(3)). What this process starts
inherits that, which is right for trainers: they ask for their signals themselves, and miss none before.

SIGINT and SIGHUP stay ignored where they were when the process began: a shell's background job, nohup(1).
"""

import signal
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from types import FrameType

from trainer.console import printing
from trainer.environment import scratch
from trainer.errors import EXIT_RESTART

_MEANT = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
AGAIN = signal.SIGINT
"""The one that a person sends twice who will not wait."""
AGAIN_SECONDS = 1.0
"""Between two that a person means; a shell and a terminal that closes may send the same one twice."""
_INTERRUPT = signal.SIGURG  # which nobody else uses, and which does nothing where it is not asked for
_TIDY_SECONDS = 2.0  # for the main thread to remove what it has begun, if it is not in C++

Act = Callable[[int], object]


class Ended(BaseException):
    """Raised in the main thread by `Stops.interrupt`: leave, and tidy up on the way."""


class Stops:
    """What happens when this process is asked to end: it does, unless somebody has taken that on."""

    def __init__(self) -> None:
        self.asked = 0
        """The first of the signals that came, 0 while none has."""
        self._act: Act | None = None
        self._code: int | None = None
        self._listening = False

    @property
    def code(self) -> int:
        """With which to leave when it was asked to."""
        return 128 + (self.asked or signal.SIGINT) if self._code is None else self._code

    def listen(self, code: int | None = None) -> None:
        """Hear signals from now on; call before there are other threads.

        Args:
            code: the exit code of a process that was asked to end; None for a shell's, 128 and the signal.
        """
        self._code, self._listening = code, True
        heard = _heard()
        signal.pthread_sigmask(signal.SIG_BLOCK, heard)
        signal.signal(_INTERRUPT, _raise)
        threading.Thread(target=self._wait, args=(heard,), name="stops", daemon=True).start()

    def act_with(self, act: Act) -> None:
        """Call `act` with each signal from now on, from another thread, and with one that has come before.

        In a process that does not listen, a test's say, from a handler.
        """
        self._act = act
        if not self._listening:
            for number in _heard():
                signal.signal(number, lambda number, _: self._hear(number))
        elif self.asked:
            act(self.asked)

    def interrupt(self) -> None:
        """Raise `Ended` in the main thread, as soon as that is in Python.

        By a signal to that thread, which wakes it where it waits for an answer, a lock or a second.
        """
        if self._listening and (main := threading.main_thread().ident):
            signal.pthread_kill(main, _INTERRUPT)

    def leave(self) -> None:
        """End the process: by way of the main thread, or, when that does not come, without it."""
        self.interrupt()
        time.sleep(_TIDY_SECONDS)
        scratch.leave(self.code)

    def _wait(self, heard: set[signal.Signals]) -> None:
        while True:
            self._hear(signal.sigwait(heard))

    def _hear(self, number: int) -> None:
        self.asked = self.asked or number
        act = self._act
        if act is not None:
            act(number)
        elif threading.current_thread() is not threading.main_thread():
            threading.Thread(target=self.leave, name="leave", daemon=True).start()


STOPS = Stops()
"""This process'."""


def signal_name(number: int) -> str:
    """Such as SIGTERM."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def end(text: str = "") -> None:
    """What is done about `Ended`: leave with the code that says so."""
    if text:
        printing.say(text)
    elif STOPS.code == EXIT_RESTART:
        printing.say(f"stopped ({signal_name(STOPS.asked)}) before it began; start again to go on")
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError, AttributeError):
            stream.flush()
    scratch.leave(STOPS.code)


def _heard() -> set[signal.Signals]:
    return {each for each in _MEANT if each is signal.SIGTERM or signal.getsignal(each) != signal.SIG_IGN}


def _raise(number: int, frame: FrameType | None) -> None:
    raise Ended
