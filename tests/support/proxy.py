"""A proxy in front of a storage server that misbehaves by rule: lost answers, refusals, held requests.

::

    with Proxy("http://127.0.0.1:4443") as proxy:
        proxy.drop_answer(method="POST")                             # done, but the client never hears of it
        proxy.answer(503, method="POST", times=2)                    # not even asked upstream
        held = proxy.hold(method="POST", contains="checkpoints%2F10")
        ...                                                          # start an upload elsewhere
        assert held.reached.wait(30)                                 # it has been sent in full
        held.release()                                               # or held.drop(): it never arrives

`contains` is looked for in the target (path and query) and in the name of the object that is uploaded, which
stands in the body of a multipart upload and is remembered for the parts of a resumable one; plain and
percent-encoded forms match alike. A rule is used up after `times` requests; of several that match, the oldest
acts alone. `faults.RandomFaults` is a rule that draws another one for each request.

Requests are passed on by `Preconditions`, which adds what the server leaves out.
"""

import http.client
import json
import re
import socket
import sys
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple, Protocol
from urllib.parse import parse_qs, quote, unquote, urlsplit

from tests.support.preconditions import Preconditions

_HEAD_BYTES = 4096  # of a body: where the name of an uploaded object stands
_HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "content-length", "host"}


class Request(NamedTuple):
    """A request as the proxy received it."""

    method: str
    path: str
    """Path and query as sent."""
    name: str
    """Object that it uploads, with its prefix in the bucket; empty for other requests."""

    def about(self, text: str) -> bool:
        """Whether `text` is part of the target or of the object's name."""
        forms = (self.path, unquote(self.path), self.name, quote(self.name, safe=""))
        return any(text in form for form in forms)

    @property
    def target(self) -> str:
        """Object that it uploads, reads or deletes, with its prefix in the bucket; empty if there is none."""
        found = re.search(r"/b/[^/]+/o/(.+)", urlsplit(self.path).path)
        return self.name or (unquote(found[1]) if found else "")


class Reply(NamedTuple):
    """What the server answered."""

    status: int
    headers: list[tuple[str, str]]
    content: bytes


class Exchange(Protocol):
    """One request and what can be done with it."""

    def read(self) -> bytes:
        """The whole body; raises ConnectionError when the client does not send all of it."""

    def cut(self) -> None:
        """Close the connection when half of the body has come."""

    def ask(self) -> Reply:
        """Let the server act on it."""

    def answer(self, reply: Reply) -> None:
        """Pass the server's answer on."""

    def refuse(self, status: int, headers: Mapping[str, str]) -> None:
        """Answer without the server."""

    def hang_up(self) -> None:
        """Close the connection."""


@dataclass
class Rule:
    """What to do with some requests; this one does nothing to them."""

    method: str | None
    contains: str
    skip: int = 0
    """Matching requests that pass untouched at first."""
    times: int | None = 1
    """Requests that it acts on after that; None for all."""
    used: int = field(default=0, init=False)
    """Requests that it acted on."""

    def choose(self, request: Request) -> "Rule | None":
        """The rule that acts on the request, as a rule itself: usually this one."""
        return self if self.takes(request) else None

    def act(self, exchange: Exchange) -> None:
        """Do what is to be done with a request that it takes."""
        exchange.answer(exchange.ask())

    def end(self) -> None:
        """Act on no further request."""
        self.times = 0

    def takes(self, request: Request) -> bool:
        """Whether this rule acts on the request; counts it."""
        if self.times == 0 or (self.method and self.method != request.method):
            return False
        if not request.about(self.contains):
            return False
        if self.skip:
            self.skip -= 1
            return False
        if self.times is not None:
            self.times -= 1
        self.used += 1
        return True


@dataclass
class Drop(Rule):
    """Let the server act on the request and close the connection instead of answering."""

    def act(self, exchange: Exchange) -> None:
        exchange.ask()
        exchange.hang_up()


@dataclass
class Damage(Rule):
    """Flip a bit of the answer's first byte."""

    def act(self, exchange: Exchange) -> None:
        reply = exchange.ask()
        exchange.answer(reply._replace(content=bytes([reply.content[0] ^ 1]) + reply.content[1:]))


@dataclass
class Answer(Rule):
    """Answer with a status without asking the server."""

    status: int = 503
    headers: Mapping[str, str] = field(default_factory=dict)

    def act(self, exchange: Exchange) -> None:
        exchange.refuse(self.status, self.headers)


@dataclass
class Hold(Rule):
    """Keep a request, or with `after` its answer, until told what to do with it."""

    after: bool = False
    reached: threading.Event = field(default_factory=threading.Event)
    """Set once the request is here in full (with `after`: once the server has acted on it)."""
    _freed: threading.Event = field(default_factory=threading.Event)
    _dropped: bool = False

    def act(self, exchange: Exchange) -> None:
        exchange.read()
        reply = exchange.ask() if self.after else None
        if self.wait():
            exchange.answer(reply or exchange.ask())
        else:
            exchange.hang_up()

    def release(self) -> None:
        """Let it go on its way."""
        self._freed.set()

    def drop(self) -> None:
        """Close the connection instead."""
        self._dropped = True
        self._freed.set()

    def wait(self) -> bool:
        """Wait for one of the two; whether it may go on."""
        self.reached.set()
        self._freed.wait()
        return not self._dropped


class Proxy:
    """Passes requests on to `upstream`, an ``http://host:port``, from its own threads, inside a ``with``."""

    def __init__(self, upstream: str) -> None:
        self.upstream = upstream
        self.requests: list[Request] = []
        self.names: dict[str, str] = {}
        """Object of each resumable upload, by the path of its session."""
        self.written: dict[str, float] = {}
        """When each object was last written through here, in monotonic seconds."""
        self.preconditions = Preconditions(upstream)
        self._rules: list[Rule] = []
        self._lock = threading.Lock()
        self._server = _Server(("127.0.0.1", 0), type("Bound", (_Handler,), {"proxy": self}))
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> "Proxy":
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        for rule in self._rules:
            if isinstance(rule, Hold):
                rule.drop()

    def drop_answer(
        self, method: str | None = None, contains: str = "", skip: int = 0, times: int = 1
    ) -> Drop:
        """Lose the answers to some requests that the server has acted on."""
        return self.add(Drop(method, contains, skip, times))

    def answer(
        self, status: int, method: str | None = None, contains: str = "", skip: int = 0, times: int | None = 1
    ) -> Answer:
        """Answer some requests, or with ``times=None`` all from then on, with a status of our own."""
        return self.add(Answer(method, contains, skip, times, status))

    def damage(self, method: str | None = None, contains: str = "", skip: int = 0, times: int = 1) -> Damage:
        """Change the content of some answers on their way."""
        return self.add(Damage(method, contains, skip, times))

    def hold(self, method: str | None = None, contains: str = "", skip: int = 0, after: bool = False) -> Hold:
        """Hold one request before the server sees it, or with `after` its answer."""
        return self.add(Hold(method, contains, skip, after=after))

    def seen(self, method: str | None = None, contains: str = "") -> list[Request]:
        """Requests received so far, in order."""
        with self._lock:
            found = list(self.requests)
        return [item for item in found if method in (None, item.method) and item.about(contains)]

    def record(self, request: Request) -> Rule | None:
        """Note a request and find the rule that acts on it."""
        with self._lock:
            self.requests.append(request)
            return next(filter(None, (rule.choose(request) for rule in self._rules)), None)

    def add(self, rule):
        """Follow a rule from now on."""
        with self._lock:
            self._rules.append(rule)
        return rule


_PASS = Rule(None, "")


class _Server(ThreadingHTTPServer):
    daemon_threads, block_on_close = True, False

    def handle_error(self, request: object, client_address: object) -> None:
        """Print what went wrong, unless it is a client that was killed between two requests."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    """One connection of a client, and the `Exchange` of its present request."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    proxy: Proxy

    def handle_any(self) -> None:
        self._left = int(self.headers.get("Content-Length", 0))
        self._body = b""
        try:
            self._take(min(self._left, _HEAD_BYTES))
            self._asked = Request(self.command, self.path, self._name())
            (self.proxy.record(self._asked) or _PASS).act(self)
        except OSError:  # the client is gone, perhaps killed: what it did not send in full never happened
            self.close_connection = True

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = handle_any

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""

    def read(self) -> bytes:
        self._take(self._left)
        return self._body

    def cut(self) -> None:
        self._take(self._left // 2)
        self.hang_up()

    def ask(self) -> Reply:
        body = self.read()
        asked, checked = self._asked, self.proxy.preconditions.checked
        with checked(asked.method, asked.path, asked.target, self.headers) as refused:
            if refused:
                return Reply(412, [("Content-Type", "application/json")], _error(412, "conditionNotMet"))
            reply = self._send_on(body)
        self._remember(reply)
        return reply

    def answer(self, reply: Reply) -> None:
        """Answer with the server's words, its address replaced by ours wherever the client may follow it."""
        there, here, content = self.proxy.upstream, self.proxy.url, reply.content
        names = {key.lower(): value for key, value in reply.headers}
        if "json" in names.get("content-type", "") and "content-encoding" not in names:
            content = content.replace(there.encode(), here.encode())
        headers = [(key, value) for key, value in reply.headers if key.lower() not in _HOP_BY_HOP]
        self._send(reply.status, [(key, value.replace(there, here)) for key, value in headers], content)

    def refuse(self, status: int, headers: Mapping[str, str]) -> None:
        self.read()
        own = [("Content-Type", "application/json"), *headers.items()]
        self._send(status, own, _error(status, f"{status} by the proxy's rule"))

    def hang_up(self) -> None:
        self.close_connection = True
        with suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)

    def _take(self, count: int) -> None:
        """Receive so many bytes more of the body."""
        received = self.rfile.read(count)
        if len(received) < count:
            raise ConnectionError("the client has left")
        self._left -= count
        self._body += received

    def _name(self) -> str:
        """Object that the request uploads: from the query, an earlier part, or the JSON in the body."""
        if not self.path.startswith("/upload/") and self.path not in self.proxy.names:
            return ""
        if known := self.proxy.names.get(self.path):
            return known
        if named := parse_qs(urlsplit(self.path).query).get("name"):
            return named[0]
        found = re.search(rb'"name":\s*("(?:[^"\\]|\\.)*")', self._body)
        return json.loads(found[1]) if found else ""

    def _send_on(self, body: bytes) -> Reply:
        upstream = http.client.HTTPConnection(urlsplit(self.proxy.upstream).netloc, timeout=60)
        headers = {key: value for key, value in self.headers.items() if key.lower() not in _HOP_BY_HOP}
        try:
            with suppress(BrokenPipeError, ConnectionResetError):  # it may answer before it has read the body
                upstream.request(self.command, self.path, body, headers)
            answer = upstream.getresponse()
            return Reply(answer.status, answer.getheaders(), answer.read())
        finally:
            upstream.close()

    def _remember(self, reply: Reply) -> None:
        session = dict(reply.headers).get("Location")
        if session:
            path = session.removeprefix(self.proxy.upstream)
            self.proxy.names[path] = self._asked.name
            self.proxy.preconditions.opened(path, self.path)
        elif self._asked.name and reply.status == 200:
            self.proxy.written[self._asked.name] = time.monotonic()

    def _send(self, status: int, headers: list[tuple[str, str]], content: bytes) -> None:
        self.send_response_only(status)
        for key, value in headers:
            self.send_header(key, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)


def _error(status: int, message: str) -> bytes:
    return json.dumps({"error": {"code": status, "message": message}}).encode()
