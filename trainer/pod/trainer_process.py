"""One trainer process under a supervisor: started, heard, asked to leave, and its ending put into words."""

import os
import select
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from trainer.environment.stop_signals import AGAIN, AGAIN_SECONDS, STOPS, signal_name
from trainer.environment.supervision import RECORD_PIPE
from trainer.errors import EXIT_RESTART
from trainer.pod.log_uploader import LogCopy
from trainer.pod.termination import LastLines

_READ_BYTES = 64 << 10
_POLL_SECONDS = 0.2
_UNHEARD_SECONDS = 5.0  # without a trainer a request is looked at within one; storage may take minutes
_STOPPED_SECONDS = 3.0  # a process that was stopped (SIGSTOP) hears nothing and is killed after so long

# Where the kernel counts the processes it killed in this container for want of memory, and what the limit is.
_OOM_COUNTS = (Path("/sys/fs/cgroup/memory.events"), Path("/sys/fs/cgroup/memory/memory.oom_control"))
_LIMITS = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))


class Ending(NamedTuple):
    """How a trainer ended."""

    code: int
    """Its exit code; `EXIT_RESTART` when a signal ended it."""
    text: str
    """In words; empty when it took the last step."""


class Requests:
    """Signals that ask this process to stop, remembered and passed on to the trainer once.

    Where there is no trainer, whoever runs it looks at `asked`; what still waits for storage after a while is
    interrupted (`Ended` in the main thread).
    """

    def __init__(self) -> None:
        self.asked: int | None = None
        self._child: subprocess.Popen[bytes] | None = None
        self._told, self._over, self._since = False, False, 0.0
        self._lock = threading.RLock()
        STOPS.act_with(self._ask)

    @property
    def name(self) -> str:
        """Name of the signal."""
        return signal_name(self.asked or 0)

    def attach(self, child: subprocess.Popen[bytes] | None) -> None:
        """Whom to pass requests on to."""
        with self._lock:
            self._child, self._told = child, False
            self._pass_on()
            if child is None and self.asked is not None:
                self._look_again()

    def end(self) -> None:
        """From now on this process is leaving, in a time that is limited."""
        with self._lock:
            self._over = True

    def _ask(self, number: int) -> None:
        with self._lock:
            first, self.asked = self.asked is None, self.asked or number
            if first:
                self._since = time.monotonic()
            elif number == AGAIN and time.monotonic() - self._since > AGAIN_SECONDS:
                self._told = False  # a person who will not wait
            self._pass_on()
            if self._child is None:
                self._look_again()

    def _pass_on(self) -> None:
        if self._child is not None and self.asked is not None and not self._told:
            self._told = True
            self._child.send_signal(self.asked)

    def _look_again(self) -> None:
        """Interrupt what the main thread waits for, if it still does in a while."""
        timer = threading.Timer(_UNHEARD_SECONDS, self._interrupt)
        timer.daemon = True
        timer.start()

    def _interrupt(self) -> None:
        with self._lock:
            if self._child is None and not self._over:
                STOPS.interrupt()


class Child:
    """A trainer; `run` it once."""

    def __init__(self, who: str, log: LogCopy, requests: Requests, keep_seconds: float) -> None:
        """`keep_seconds`: how long it may take to leave once it was told that its generation is over."""
        self.lines = LastLines()
        self.has_record = False
        """Whether it said, before it ended, that the run has its record."""
        self._who, self._log, self._requests, self._keep = who, log, requests, keep_seconds

    def run(self, argv: Sequence[str], environ: Mapping[str, str], over: Callable[[], str]) -> Ending:
        """Run it to its end; `over` gives the reason when it has no peers to go on with, else nothing."""
        killed_before = _oom_kills()
        told, tells = os.pipe()
        os.set_blocking(told, False)
        child = subprocess.Popen(
            argv,
            env={**environ, RECORD_PIPE: str(tells)},
            pass_fds=(tells,),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            process_group=0,  # out of reach of an init that signals our whole group: it is told once, by us
        )
        os.close(tells)
        try:
            self._requests.attach(child)
            self._listen(child, over)
            return self._ending(child.wait(), _oom_kills() > killed_before)
        finally:
            with suppress(BlockingIOError):  # a process that it left behind holds the pipe
                self.has_record = bool(os.read(told, 1))
            os.close(told)
            self._requests.attach(None)
            if child.poll() is None:
                child.kill()
                child.wait()

    def _listen(self, child: "subprocess.Popen[bytes]", over: Callable[[], str]) -> None:
        """Pass on what the trainer says until it is gone."""
        assert child.stdout is not None
        pipe, told = child.stdout.fileno(), 0.0
        while True:
            self._log.tick()
            if select.select([pipe], [], [], _POLL_SECONDS)[0]:
                data = os.read(pipe, _READ_BYTES)
                if not data:
                    return
                self._log.write(data)
                self.lines.feed(data)
            elif child.poll() is not None:  # a process that it left behind holds the pipe
                return
            if not told and (reason := over()):
                told = time.monotonic()
                _tell(child, reason)
            elif told:
                self._hurry(child, time.monotonic() - told)

    def _hurry(self, child: "subprocess.Popen[bytes]", seconds: float) -> None:
        """Kill a trainer that was told to leave and does not."""
        if seconds > self._keep or (seconds > _STOPPED_SECONDS and _is_stopped(child.pid)):
            child.kill()

    def _ending(self, returned: int, out_of_memory: bool) -> Ending:
        asked = self._requests.asked
        if returned == EXIT_RESTART or (asked is not None and returned == -asked):
            said = self.lines.message(EXIT_RESTART).removeprefix("error: ")
            return Ending(EXIT_RESTART, said or f"{self._who} stopped to be started again")
        if returned > 0:
            return Ending(returned, self.lines.message(returned).removeprefix("error: "))
        if returned == 0:
            return Ending(0, "")
        text = f"{self._who} died of {signal_name(-returned)}"
        if out_of_memory:
            text = f"{self._who} ran out of memory: the kernel killed it{_limit()}"
        return Ending(EXIT_RESTART, text)


def _tell(child: "subprocess.Popen[bytes]", reason: str) -> None:
    assert child.stdin is not None
    with suppress(OSError):
        child.stdin.write(" ".join(reason.split()).encode() + b"\n")
        child.stdin.flush()


def _is_stopped(pid: int) -> bool:
    with suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "Tt"
    return False


def _oom_kills() -> int:
    for path in _OOM_COUNTS:
        with suppress(OSError, ValueError):
            for line in path.read_text().splitlines():
                name, _, count = line.partition(" ")
                if name == "oom_kill":
                    return int(count)
    return 0


def _limit() -> str:
    for path in _LIMITS:
        with suppress(OSError, ValueError):
            return f" at the container's limit of {int(path.read_text()) / 2**20:,.0f} MiB"
    return ""
