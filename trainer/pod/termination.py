"""The last word of a pod: the line that Kubernetes shows as the container's termination message.

https://kubernetes.io/docs/tasks/debug/debug-application/determine-reason-pod-failure/
"""

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from trainer.errors import EXIT_DONE, EXIT_RESTART, GantryError

_PATH = "/dev/termination-log"
_MOST_BYTES = 4096  # Kubernetes keeps no more
_ERROR = b"error:"


class LastLines:
    """Remembers of a log the last line that begins with ``error:``, and the last line of all."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._error = self._last = self._rest = b""

    def feed(self, data: bytes) -> None:
        """Hear the next bytes of the log."""
        with self._lock:
            *lines, rest = (self._rest + data).split(b"\n")
            for line in lines:
                self._end(line)
            self._rest = _drawn(rest)[:_MOST_BYTES]

    def message(self, code: int) -> str:
        """What to say about a process that left with this code; empty when there is nothing to say."""
        self.feed(b"\n")
        if code == EXIT_DONE:
            return ""
        # A crash ends with the line that tells most; a process that was asked to stop has no error.
        found = self._error or (b"" if code == EXIT_RESTART else self._last)
        return found.decode(errors="replace")

    def _end(self, line: bytes) -> None:
        line = _drawn(line).strip()[:_MOST_BYTES]
        if line.startswith(_ERROR):
            self._error = line
        self._last = line or self._last


def _drawn(line: bytes) -> bytes:
    """What is left to be seen of a line whose parts, a bar's, were drawn over each other."""
    text = line.rstrip(b"\r")
    return line[text.rfind(b"\r") + 1 :]


def write(environ: Mapping[str, str], text: str) -> None:
    """Leave the message where Kubernetes looks for it, or ``GANTRY_TERMINATION_LOG`` says, if that can be."""
    if text:
        with suppress(OSError), Path(environ.get("GANTRY_TERMINATION_LOG") or _PATH).open("wb") as file:
            file.write(text.encode()[:_MOST_BYTES])


@contextmanager
def explained(environ: Mapping[str, str]) -> Iterator[None]:
    """Leave the message of an error on its way out."""
    try:
        yield
    except GantryError as error:
        write(environ, f"error: {error}")
        raise
