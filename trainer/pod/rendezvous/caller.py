"""Every other worker's side of the meeting: it calls the chief until all are there."""

import socket
import threading
import time
from typing import Any

from trainer.environment.tf_config import Cluster
from trainer.errors import PeerLost
from trainer.pod.indexed_job import Member
from trainer.pod.rendezvous.base import NOTE_SECONDS, RETRY_SECONDS, Generation, Pause, Say
from trainer.pod.rendezvous.channel import Channel, Message
from trainer.pod.rendezvous.ports import free_port

_CONNECT_SECONDS = 5.0


class Caller:
    """The side of every other worker."""

    def __init__(self, member: Member, silence_seconds: float, chief: tuple[str, int]) -> None:
        """`chief` is the host name and port at which the chief's pod listens."""
        self._member, self._silence, self._chief = member, silence_seconds, chief
        self._wake, self._lock = threading.Event(), threading.Lock()
        self._channel: Channel | None = None
        self._go: Message | None = None
        self._over = ""
        self._trouble = "it has not been called yet"

    def gather(self, seconds: float, say: Say, pause: Pause) -> Generation:
        """Call the chief until it says that all are there."""
        start = noted = time.monotonic()
        port = free_port()
        while True:
            with self._lock:
                self._wake.clear()
                go, calling = self._go, self._channel is not None
            if go is not None:
                cluster = Cluster(tuple(go["addresses"]), self._member.index)
                return Generation(int(go["generation"]), cluster)
            if not calling:
                self._call(port)
            now = time.monotonic()
            if now - start >= seconds:
                self.end("")
                raise PeerLost(f"after {seconds:.0f} s the workers have not met: {self._waiting_for()}")
            if now - noted >= NOTE_SECONDS:
                noted = now
                say(f"waiting for {self._waiting_for()}")
            pause(0)
            self._wake.wait(RETRY_SECONDS)

    def over(self) -> str:
        """Why the generation is over."""
        with self._lock:
            return self._over

    def end(self, reason: str, done: bool = False) -> None:
        """Tell the chief how our trainer ended, and hang up."""
        with self._lock:
            channel, self._channel, self._go, self._over = self._channel, None, None, ""
        if channel:
            channel.send({"ended": reason, "done": done})
            channel.close()

    def _waiting_for(self) -> str:
        with self._lock:
            if self._channel is not None:
                return "the other workers; the chief is there"
            return f"the chief at {self._chief[0]}:{self._chief[1]}: {self._trouble}"

    def _call(self, port: int) -> None:
        try:
            connection = socket.create_connection(self._chief, _CONNECT_SECONDS)
            channel = Channel(connection, self._silence, self._hear)
        except OSError as error:  # no such name yet, or nobody listens there
            self._trouble = error.strerror or str(error)
            return
        member = self._member
        hello: dict[str, Any] = {"index": member.index, "attempt": member.attempt, "pod": member.pod}
        with self._lock:
            self._channel, self._over = channel, ""
        channel.start().send(hello | {"port": port})

    def _hear(self, channel: Channel, message: Message | None) -> None:
        with self._lock:
            if channel is not self._channel:
                return
            if message is None:
                self._hung_up()
            elif "refused" in message:
                self._trouble = f"it refused: {message['refused']}"
            elif "over" in message:
                self._over = str(message["over"])
            elif "addresses" in message:
                self._go = message
                self._wake.set()  # by nothing else: one that is refused would call again 2,000 times a second

    def _hung_up(self) -> None:
        if self._go is None:
            self._channel = None
            if not self._trouble.startswith("it refused"):
                self._trouble = "it hung up"
        else:
            self._over = self._over or "worker 0, the chief, is gone or does not answer"
