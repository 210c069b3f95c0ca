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
acts alone.
"""

import http.client
import json
import re
import socket
import threading
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple
from urllib.parse import parse_qs, quote, unquote, urlsplit

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


@dataclass
class Rule:
    """What to do with some requests."""

    method: str | None
    contains: str
    skip: int = 0
    """Matching requests that pass untouched at first."""
    times: int | None = 1
    """Requests that it acts on after that; None for all."""

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
        return True


@dataclass
class Drop(Rule):
    """Let the server act on the request and close the connection instead of answering."""


@dataclass
class Damage(Rule):
    """Flip a bit of the answer's first byte."""


@dataclass
class Answer(Rule):
    """Answer with a status without asking the server."""

    status: int = 503


@dataclass
class Hold(Rule):
    """Keep a request, or with `after` its answer, until told what to do with it."""

    after: bool = False
    reached: threading.Event = field(default_factory=threading.Event)
    """Set once the request is here in full (with `after`: once the server has acted on it)."""
    _freed: threading.Event = field(default_factory=threading.Event)
    _dropped: bool = False

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
        self._rules: list[Rule] = []
        self._lock = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), type("Bound", (_Handler,), {"proxy": self}))
        self._server.daemon_threads, self._server.block_on_close = True, False
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
        return self._add(Drop(method, contains, skip, times))

    def answer(
        self, status: int, method: str | None = None, contains: str = "", skip: int = 0, times: int | None = 1
    ) -> Answer:
        """Answer some requests, or with ``times=None`` all from then on, with a status of our own."""
        return self._add(Answer(method, contains, skip, times, status))

    def damage(self, method: str | None = None, contains: str = "", skip: int = 0, times: int = 1) -> Damage:
        """Change the content of some answers on their way."""
        return self._add(Damage(method, contains, skip, times))

    def hold(self, method: str | None = None, contains: str = "", skip: int = 0, after: bool = False) -> Hold:
        """Hold one request before the server sees it, or with `after` its answer."""
        return self._add(Hold(method, contains, skip, after=after))

    def seen(self, method: str | None = None, contains: str = "") -> list[Request]:
        """Requests received so far, in order."""
        with self._lock:
            found = list(self.requests)
        return [item for item in found if method in (None, item.method) and item.about(contains)]

    def record(self, request: Request) -> Rule | None:
        """Note a request and find the rule that acts on it."""
        with self._lock:
            self.requests.append(request)
            return next((rule for rule in self._rules if rule.takes(request)), None)

    def _add(self, rule):
        with self._lock:
            self._rules.append(rule)
        return rule


class _Handler(BaseHTTPRequestHandler):
    """One connection of a client."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    proxy: Proxy

    def handle_any(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        request = Request(self.command, self.path, self._name(body))
        rule = self.proxy.record(request)
        if isinstance(rule, Answer):
            self._answer_ourselves(rule.status)
        elif isinstance(rule, Hold) and not rule.after and not rule.wait():
            self._hang_up()
        else:
            answer, content = self._ask(body)
            self._remember(answer, request.name)
            if isinstance(rule, Drop) or (isinstance(rule, Hold) and rule.after and not rule.wait()):
                self._hang_up()
            else:
                if isinstance(rule, Damage):
                    content = bytes([content[0] ^ 1]) + content[1:]
                self._pass_on(answer, content)

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = handle_any

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""

    def _name(self, body: bytes) -> str:
        """Object that the request uploads: from the query, an earlier part, or the JSON in the body."""
        if not self.path.startswith("/upload/") and self.path not in self.proxy.names:
            return ""
        if known := self.proxy.names.get(self.path):
            return known
        if named := parse_qs(urlsplit(self.path).query).get("name"):
            return named[0]
        found = re.search(rb'"name":\s*("(?:[^"\\]|\\.)*")', body[:4096])
        return json.loads(found[1]) if found else ""

    def _ask(self, body: bytes) -> tuple[http.client.HTTPResponse, bytes]:
        upstream = http.client.HTTPConnection(urlsplit(self.proxy.upstream).netloc, timeout=60)
        headers = {key: value for key, value in self.headers.items() if key.lower() not in _HOP_BY_HOP}
        try:
            with suppress(BrokenPipeError, ConnectionResetError):  # it may answer before it has read the body
                upstream.request(self.command, self.path, body, headers)
            answer = upstream.getresponse()
            return answer, answer.read()
        finally:
            upstream.close()

    def _remember(self, answer: http.client.HTTPResponse, name: str) -> None:
        if session := answer.getheader("Location"):
            self.proxy.names[session.removeprefix(self.proxy.upstream)] = name

    def _pass_on(self, answer: http.client.HTTPResponse, content: bytes) -> None:
        """Answer with the server's words, its address replaced by ours wherever the client may follow it."""
        there, here = self.proxy.upstream, self.proxy.url
        if "json" in answer.getheader("Content-Type", "") and not answer.getheader("Content-Encoding"):
            content = content.replace(there.encode(), here.encode())
        headers = [(key, value) for key, value in answer.getheaders() if key.lower() not in _HOP_BY_HOP]
        self._send(answer.status, [(key, value.replace(there, here)) for key, value in headers], content)

    def _answer_ourselves(self, status: int) -> None:
        text = {"error": {"code": status, "message": f"{status} by the proxy's rule"}}
        self._send(status, [("Content-Type", "application/json")], json.dumps(text).encode())

    def _send(self, status: int, headers: list[tuple[str, str]], content: bytes) -> None:
        try:
            self.send_response_only(status)
            for key, value in headers:
                self.send_header(key, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(content)
        except OSError:  # the client is gone, perhaps killed
            self.close_connection = True

    def _hang_up(self) -> None:
        self.close_connection = True
        with suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)
