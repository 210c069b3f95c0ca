"""Where the workers of a run meet, each time anew: generation by generation.

A MultiWorkerMirroredStrategy that lost a worker can only be built again by all. The first processes of the
pods therefore meet before every start of their trainers: the chief's pod listens at its name in DNS and
GANTRY_PORT, the others call. When all are there the chief hands out a generation's number and the addresses of
its trainers, with ports that no trainer listened on before. A trainer of an older generation, one that was
paused and wakes up late, say, has addresses at which nobody is any more, and so can never join a newer one.

The connections stay open while the trainers run. As soon as one trainer ends badly, or one pod falls silent,
the generation is over for all of them; nobody waits for TensorFlow to find out.
"""

import random
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

from trainer.channel import Channel, Message
from trainer.cluster import Cluster
from trainer.errors import PeerLost
from trainer.indexed_job import Member

_PORTS = range(20_000, 32_000)  # below those that Linux gives to outgoing connections (32768 to 60999)
_CONNECT_SECONDS = 5.0
_RETRY_SECONDS = 0.5
_NOTE_SECONDS = 10.0
_NAMED = 5

Say = Callable[[str], object]
Pause = Callable[[float], object]


class Generation(NamedTuple):
    """One building of the strategy."""

    number: int
    """Counts from 1 in the life of the chief's pod."""
    team: Cluster
    """The addresses of its trainers and which one is ours."""


class Meeting(Protocol):
    """What a supervisor needs of the place where workers meet."""

    def gather(self, seconds: float, say: Say, pause: Pause) -> Generation:
        """Wait until all workers are there.

        Raises:
            PeerLost: some did not come for so long.
        """

    def over(self) -> str:
        """Why the generation is over, empty while it is not."""

    def end(self, reason: str, done: bool = False) -> None:
        """Our trainer has ended: `done` when it took the last step, else the generation is over for all."""


class Alone:
    """The meeting of a worker that has no peers."""

    def __init__(self) -> None:
        self._number = 0

    def gather(self, seconds: float, say: Say, pause: Pause) -> Generation:
        """At once."""
        self._number += 1
        return Generation(self._number, Cluster())

    def over(self) -> str:
        """Never."""
        return ""

    def end(self, reason: str, done: bool = False) -> None:
        """Nobody is to be told."""


@dataclass
class _Guest:
    """A worker that has called."""

    channel: Channel
    index: int
    pod: str
    port: int
    done: bool = False


@dataclass
class _Book:
    """Who is where; guarded by the host's lock."""

    waiting: dict[int, _Guest] = field(default_factory=dict)
    playing: dict[int, _Guest] = field(default_factory=dict)
    over: str = ""

    def find(self, channel: Channel) -> _Guest | None:
        """The guest at the other end of a channel."""
        guests = (*self.waiting.values(), *self.playing.values())
        return next((guest for guest in guests if guest.channel is channel), None)


class Host:
    """The chief's side."""

    def __init__(self, member: Member, port: int, silence_seconds: float) -> None:
        """Listen.

        Raises:
            OSError: the port is taken.
        """
        self._member, self._silence = member, silence_seconds
        self._lock, self._book, self._number = threading.Lock(), _Book(), 0
        self._wake = threading.Event()
        dual = socket.has_dualstack_ipv6()
        family = socket.AF_INET6 if dual else socket.AF_INET
        self._server = socket.create_server(("", port), family=family, dualstack_ipv6=dual, backlog=1024)
        threading.Thread(target=self._accept, name="rendezvous", daemon=True).start()

    def gather(self, seconds: float, say: Say, pause: Pause) -> Generation:
        """Wait until every other worker has called."""
        start = noted = time.monotonic()
        while True:
            with self._lock:
                self._wake.clear()
                if len(self._book.waiting) == self._member.workers - 1:
                    return self._begin()
                missing = self._missing()
            now = time.monotonic()
            if now - start >= seconds:
                raise PeerLost(f"after {seconds:.0f} s {self._count(missing)} did not come: {_some(missing)}")
            if now - noted >= _NOTE_SECONDS:
                noted = now
                say(f"waiting for {self._count(missing)}: {_some(missing)}")
            pause(0)
            self._wake.wait(min(_RETRY_SECONDS, start + seconds - now))

    def over(self) -> str:
        """Why the generation is over."""
        with self._lock:
            return self._book.over

    def end(self, reason: str, done: bool = False) -> None:
        """Tell all that it is over, or that we are done."""
        with self._lock:
            playing, self._book.playing = self._book.playing, {}
        for guest in playing.values():
            if not done:
                guest.channel.send({"over": reason})
            guest.channel.close()

    def _begin(self) -> Generation:
        """Hand out the next generation; call with the lock held."""
        self._number += 1
        book, member = self._book, self._member
        book.playing, book.waiting, book.over = book.waiting, {}, ""
        guests = [book.playing[index] for index in range(1, member.workers)]
        mine = _address(guests[0].channel.here, free_port())
        addresses = [mine, *(_address(guest.channel.there, guest.port) for guest in guests)]
        for guest in guests:
            guest.channel.send({"generation": self._number, "addresses": addresses})
        return Generation(self._number, Cluster(tuple(addresses), 0))

    def _missing(self) -> list[str]:
        member = self._member
        return [member.hosts[index] for index in range(1, member.workers) if index not in self._book.waiting]

    def _count(self, missing: list[str]) -> str:
        return f"{len(missing)} of {self._member.workers} workers"

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._server.accept()
                Channel(connection, self._silence, self._hear).start()
            except OSError:  # gone again already, or too many open files
                time.sleep(0.05)

    def _hear(self, channel: Channel, message: Message | None) -> None:
        with self._lock:
            guest = self._book.find(channel)
            if message is None:
                self._lost(guest)
            elif guest is None:
                self._greet(channel, message)
            elif "ended" in message:
                self._ended(guest, message)

    def _greet(self, channel: Channel, message: Message) -> None:
        try:
            index, port = int(message["index"]), int(message["port"])
            pod, attempt = str(message["pod"]), int(message["attempt"])
        except (KeyError, TypeError, ValueError):
            channel.close()
            return
        refused = self._refusal(index, pod, attempt)
        if refused:
            channel.send({"refused": refused})
            channel.close()
            return
        self._book.waiting[index] = _Guest(channel, index, pod, port)
        self._wake.set()

    def _refusal(self, index: int, pod: str, attempt: int) -> str:
        member = self._member
        if attempt != member.attempt:
            return f"this is attempt {member.attempt} of {member.job}, you are of attempt {attempt}"
        if not 0 < index < member.workers:
            return f"this run has the workers 0 to {member.workers - 1}, you are worker {index}"
        there = self._book.waiting.get(index) or self._book.playing.get(index)
        return f"worker {index} is here already, as pod {there.pod}" if there else ""

    def _ended(self, guest: _Guest, message: Message) -> None:
        guest.done = bool(message.get("done"))
        if not guest.done:
            self._finish(guest, str(message["ended"]))

    def _lost(self, guest: _Guest | None) -> None:
        if guest is None:
            return
        if self._book.waiting.get(guest.index) is guest:
            del self._book.waiting[guest.index]
        elif not guest.done:
            self._finish(guest, f"worker {guest.index} (pod {guest.pod}) is gone or does not answer")

    def _finish(self, guest: _Guest, reason: str) -> None:
        """A generation lost one of its workers."""
        if self._book.playing.pop(guest.index, None):
            self._book.over = self._book.over or reason
            for other in self._book.playing.values():
                other.channel.send({"over": self._book.over})


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
                team = Cluster(tuple(go["addresses"]), self._member.index)
                return Generation(int(go["generation"]), team)
            if not calling:
                self._call(port)
            now = time.monotonic()
            if now - start >= seconds:
                self.end("")
                raise PeerLost(f"after {seconds:.0f} s the workers have not met: {self._waiting_for()}")
            if now - noted >= _NOTE_SECONDS:
                noted = now
                say(f"waiting for {self._waiting_for()}")
            pause(0)
            self._wake.wait(_RETRY_SECONDS)

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
        self._wake.set()

    def _hung_up(self) -> None:
        if self._go is None:
            self._channel = None
            if not self._trouble.startswith("it refused"):
                self._trouble = "it hung up"
        else:
            self._over = self._over or "worker 0, the chief, is gone or does not answer"


def free_port() -> int:
    """A port that nobody listens on, and that no outgoing connection will be given before it is used."""
    for port in random.sample(_PORTS, 100):
        with suppress(OSError), socket.create_server(("", port)):
            return port
    raise PeerLost(f"no port between {_PORTS.start} and {_PORTS.stop} is free")


def _address(host: str, port: int) -> str:
    host = host.removeprefix("::ffff:")  # an IPv4 address as a socket for both kinds shows it
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _some(names: list[str]) -> str:
    rest = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" and {rest} more" if rest > 0 else "")
