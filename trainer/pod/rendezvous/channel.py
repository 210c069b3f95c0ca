"""A connection between two pods' first processes: lines of JSON, and a beat that makes silence noticeable.

A peer that is killed closes its end at once; one that is paused, or whose node or network is gone, says
nothing any more, and only time tells. Either way the channel says so once and is over.
"""

import json
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

Message = dict[str, Any]
Hear = Callable[["Channel", Message | None], None]
_MOST_BYTES = 4 << 20  # of one line: the addresses of 100,000 workers
_BEATS = 4  # in the time after which silence counts


class Channel:
    """One end; `hear` gets each message, from the channel's own thread, and at last None."""

    def __init__(self, connection: socket.socket, silence_seconds: float, hear: Hear) -> None:
        self._connection, self._silence, self._hear = connection, silence_seconds, hear
        self._connection.settimeout(silence_seconds / _BEATS)
        self._sending = threading.Lock()
        self.here, self.there = (str(end[0]) for end in (connection.getsockname(), connection.getpeername()))
        """Addresses of both ends."""

    def start(self) -> "Channel":
        """Begin to listen."""
        threading.Thread(target=self._listen, name=f"channel {self.there}", daemon=True).start()
        return self

    def send(self, message: Message) -> None:
        """Send a message; that it cannot be sent is heard as the end of the channel."""
        with suppress(OSError), self._sending:
            self._connection.sendall(json.dumps(message).encode() + b"\n")

    def close(self) -> None:
        """End it; `hear` gets None if it did not yet."""
        with suppress(OSError):
            self._connection.shutdown(socket.SHUT_RDWR)

    def _listen(self) -> None:
        heard = sent = time.monotonic()
        rest = b""
        try:
            while True:
                try:
                    data = self._connection.recv(1 << 16)
                    if not data or len(rest) > _MOST_BYTES:
                        return
                    heard = time.monotonic()
                    *lines, rest = (rest + data).split(b"\n")
                    self._take(lines)
                except TimeoutError:
                    pass
                now = time.monotonic()
                if now - heard > self._silence:
                    return
                if now - sent >= self._silence / _BEATS:
                    sent = now
                    self.send({})
        except (OSError, ValueError):
            return
        finally:
            self._connection.close()
            self._hear(self, None)

    def _take(self, lines: list[bytes]) -> None:
        for line in lines:
            message = json.loads(line)
            if not isinstance(message, dict):
                raise ValueError("expected an object")  # noqa: TRY004  # what json raises too
            if message:
                self._hear(self, message)
