"""A process that is asked to end, in a terminal or without one, and what can be seen of where it is."""

import os
import pty
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

from tests.support.teams import pause

DEADLINE_SECONDS = 150.0
_HEARD = 1 << (signal.SIGTERM - 1)


class Asked:
    """``python ARGV``; its output is kept, and in a terminal it is the foreground process there."""

    def __init__(self, *argv, env=None, terminal=False) -> None:
        self.terminal, self._content = terminal, bytearray()
        ours, theirs = pty.openpty() if terminal else os.pipe()
        self._ours = ours
        environment = os.environ | {"PYTHONUNBUFFERED": "1", "TERM": "xterm"} | (env or {})
        self.process = subprocess.Popen(
            [sys.executable, *argv],
            env=environment,
            stdin=None if terminal else subprocess.DEVNULL,
            stdout=None if terminal else theirs,
            stderr=None if terminal else theirs,
            start_new_session=not terminal,
            preexec_fn=(lambda: os.login_tty(theirs)) if terminal else None,
        )
        os.close(theirs)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def output(self) -> str:
        """All that it wrote so far."""
        return self._content.decode(errors="replace").replace("\r\n", "\n")

    def until(self, condition) -> None:
        """Wait for a condition; fails when the process ends before."""
        end = time.monotonic() + DEADLINE_SECONDS
        while (before := time.thread_time()) and not condition():
            assert self.process.poll() is None, f"it ended too early:\n{self.output}"
            assert time.monotonic() < end, f"waited too long:\n{self.output}"
            pause(time.thread_time() - before)

    def ask(self, name: str) -> None:
        """Ask it to end: in a terminal by its key and by closing it, as a person would."""
        if self.terminal and name == "SIGINT":
            os.write(self._ours, b"\x03")
        elif self.terminal and name == "SIGHUP":
            # The reader's read holds the terminal open, so what a closing one sends is sent by hand.
            os.killpg(self.pid, signal.SIGHUP)
        else:
            self.process.send_signal(signal.Signals[name])

    def leave(self) -> int:
        """The exit code."""
        code = self.process.wait(DEADLINE_SECONDS)
        self._reader.join(2)
        return code

    def close(self) -> None:
        """Kill what is left of its session."""
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)
        self.process.kill()
        self.process.wait()
        with suppress(OSError):
            os.close(self._ours)

    def _read(self) -> None:
        with suppress(OSError):  # EIO: the other side of a terminal is closed
            while content := os.read(self._ours, 1 << 16):
                self._content += content


def blocks(pid: int) -> bool:
    """Whether SIGTERM waits for the thread that hears it: the first thing that a trainer does."""
    return _mask(pid, "SigBlk") & _HEARD != 0


def catches(pid: int) -> bool:
    """Whether SIGTERM has a handler: the first thing that the launcher does."""
    return _mask(pid, "SigCgt") & _HEARD != 0


def has_tensorflow(pid: int) -> bool:
    """Whether TensorFlow's library is mapped: its import is under way, or over."""
    with suppress(OSError):
        return "libtensorflow_cc" in Path(f"/proc/{pid}/maps").read_text()
    return False


def listens(port: int) -> bool:
    """Whether somebody listens on a loopback port."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _mask(pid: int, field: str) -> int:
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith(f"{field}:"):
                return int(line.split()[1], 16)
    return 0
