"""The chief's side of the meeting: it listens, and says when all are there."""

import socket
import threading
import time
from dataclasses import dataclass, field

from trainer.environment.tf_config import Cluster
from trainer.errors import PeerLost, some
from trainer.pod.indexed_job import Member
from trainer.pod.rendezvous.base import NOTE_SECONDS, RETRY_SECONDS, Generation, Pause, Say
from trainer.pod.rendezvous.channel import Channel, Message
from trainer.pod.rendezvous.ports import address, free_port


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
                raise PeerLost(f"after {seconds:.0f} s {self._count(missing)} did not come: {some(missing)}")
            if now - noted >= NOTE_SECONDS:
                noted = now
                say(f"waiting for {self._count(missing)}: {some(missing)}")
            pause(0)
            self._wake.wait(min(RETRY_SECONDS, start + seconds - now))

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
        mine = address(guests[0].channel.here, free_port())
        addresses = [mine, *(address(guest.channel.there, guest.port) for guest in guests)]
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
