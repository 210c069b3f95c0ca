"""A command in a terminal of its own: what it writes there, keys pressed, and the terminal's settings."""

import contextlib
import fcntl
import os
import pty
import struct
import subprocess
import sys
import termios
import threading

from tests.launcher.waiting import PATIENCE_SECONDS, wait_until


class Terminal:
    """A command whose input and output are a pseudo-terminal, which is its controlling one."""

    def __init__(self, *argv, columns=120, lines=40, env=None, cwd=None):
        self._ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
        self.settings_before = termios.tcgetattr(self._ours)
        environment = {**os.environ, "TERM": "xterm-256color", "COLORTERM": "truecolor", **(env or {})}
        for name in ("COLUMNS", "LINES", "NO_COLOR"):
            environment.pop(name, None)
        self.process = subprocess.Popen(
            [sys.executable, *argv],
            preexec_fn=lambda: os.login_tty(theirs),
            env=environment,
            cwd=cwd,
        )
        os.close(theirs)
        self._content = bytearray()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self):
        with contextlib.suppress(OSError):  # EIO: the other side is closed
            while content := os.read(self._ours, 1 << 16):
                self._content += content

    @property
    def text(self):
        """All that was written so far, with its control sequences."""
        return self._content.decode(errors="replace")

    @property
    def settings(self):
        """How the terminal is set now."""
        return termios.tcgetattr(self._ours)

    def wait_for(self, *words):
        """Until all of some words were written."""
        wait_until(
            lambda: all(word in self.text for word in words) or self.process.poll() is not None,
            f"{words} on the terminal",
        )
        missing = [word for word in words if word not in self.text]
        assert not missing, f"{missing} not in {self.text[-3000:]}"

    def press(self, keys):
        """Type something."""
        os.write(self._ours, keys)

    def leave(self):
        """The exit code, once the command has ended and all that it wrote was read."""
        code = self.process.wait(PATIENCE_SECONDS)
        self._reader.join(10)
        return code

    def close(self):
        """Kill what is left."""
        self.process.kill()
        self.process.wait()
        os.close(self._ours)
