"""Requests to one API server: credentials, patience, and errors in the launcher's own words.

Two rules, both here and nowhere else:

- **Before the first answer** a failure is final. The address or the credentials are wrong, the VPN is down:
  the user wants to know within seconds. What only says that it is busy or away (502, 503, 504, an etcd that
  changes its leader) is asked again for some seconds, as a load balancer says it while servers are replaced.
- **After it** the server is known to exist, so a failure that may pass is tried again for `PATIENCE` seconds
  while the user is told once. An API server that is being upgraded must not end ``launcher wait``.

What an answer means, and so whether it may pass, is in `rejections`. The Kubernetes client brings what
kubeconfig asks for (TLS, proxies) but exec plugins (`plugin`); its own retries (urllib3's `Retry`) are off,
because they go by method and status of one request and know neither rule: that an earlier request was
answered, and that the user is told once for all threads. tenacity would bring the loop, a dozen lines here,
and neither rule either.
"""

import json
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlencode

from launcher.backends.kubernetes.client.login import Login
from launcher.backends.kubernetes.client.network import is_untrusted, reason_of
from launcher.backends.kubernetes.client.rejections import rejection
from launcher.errors import (
    ApiFailed,
    ApiRejected,
    CannotAsk,
    ClusterLost,
    ClusterUnreachable,
    Forbidden,
    NotLoggedIn,
    Transient,
)
from launcher.notes import say
from launcher.spec.redaction import without_password
from trainer.storage.clock import ServerClock

if TYPE_CHECKING:
    from urllib3 import BaseHTTPResponse

PATIENCE = 120.0  # seconds; a control plane of one node is upgraded in less
FIRST_PATIENCE = 10.0  # with who says at first contact that it is away; an etcd elects a leader in 1 to 5 s
T = TypeVar("T")
_CONNECT_SECONDS = 5.0
_READ_SECONDS = 30.0
_SETTLE_SECONDS = 10.0
_QUIET_TRIES = 2  # a kept connection that was closed, two writers that met: not worth a word
_FIRST_PAUSE, _LONGEST_PAUSE = 0.2, 5.0
_LONGEST_WISH = 30.0  # of a Retry-After; the server's own are 1 s, and a proxy's may be an hour


@dataclass(frozen=True)
class Request:
    """What is asked of the API server."""

    method: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    body: Any = None
    content_type: str = "application/json"
    accept: str = "application/json, */*"

    @property
    def address(self) -> str:
        """Path and query."""
        return f"{self.path}?{urlencode(self.query)}" if self.query else self.path

    @property
    def headers(self) -> dict[str, str]:
        """All but the credentials."""
        return {"Accept": self.accept, "Content-Type": self.content_type}

    @property
    def content(self) -> bytes | None:
        """The body as it is sent."""
        return None if self.body is None else json.dumps(self.body).encode()


class Transport:
    """Sends requests of several threads to the API server of one context."""

    def __init__(self, context: str, log_in: Callable[[], Login]) -> None:
        self.context = context
        self.patience, self.first_patience = PATIENCE, FIRST_PATIENCE
        self.note: Callable[[str], None] = say
        """Called once for each outage."""
        self._log_in = log_in
        self._login = log_in()
        self._lock = threading.Lock()  # held while a thread logs in for all
        self.clock = ServerClock()
        """The API server's, by the Date of its answers."""
        self._reached = False
        self._silent = False  # an outage is known and was noted
        self._back: float | None = None  # when it answered something after that

    @property
    def server(self) -> str:
        """Address of the API server, without a password that it may hold."""
        return without_password(str(self._login.client.configuration.host))

    def send(self, request: Request, read_timeout: float = _READ_SECONDS) -> "BaseHTTPResponse":
        """The response to a request once it is good, its body not yet read; the caller closes it.

        Raises:
            ClusterUnreachable, NotLoggedIn: at first contact, or when the server is suddenly another.
            ClusterLost: it has not answered, or not done what it was asked, for `patience` seconds.
            Forbidden, NamespaceMissing, ApiRejected, ApiFailed, Expired: see `rejection`.
        """
        return self._patiently(lambda tries: self._answer(request, read_timeout, tries))

    def fetch(self, request: Request) -> bytes:
        """The whole body of a good response; one that is cut while it is read is asked for again."""

        def whole(tries: int) -> bytes:
            return self._body(self._answer(request, _READ_SECONDS, tries))

        return self._patiently(whole)

    def _patiently(self, attempt: Callable[[int], T]) -> T:
        """The result of an attempt, which is told its number, made until it does not end in `Transient`."""
        since, pause, tries = time.monotonic(), _FIRST_PAUSE, 0
        while True:
            tries += 1
            try:
                return attempt(tries)
            except Transient as failure:
                # One that has too much to do, or two writers that met: it is an API server that says so.
                known = self._reached or failure.code in (409, 429)
                patience = self.patience if known else min(self.first_patience, self.patience)
                left = patience - (time.monotonic() - since)
                if left <= 0:
                    raise self._given_up(failure, known) from failure
                if tries > _QUIET_TRIES:
                    self._tell(failure)
                time.sleep(min(left, max(pause, min(failure.after, _LONGEST_WISH))))
                pause = min(2 * pause, _LONGEST_PAUSE)

    def _given_up(self, failure: Transient, known: bool) -> Exception:
        """What is told of a failure that has not passed."""
        if isinstance(failure.__cause__, CannotAsk):
            return failure.__cause__
        if not known:
            return self._unreachable(str(failure))
        silence = "has answered with errors" if failure.code else "has not answered"
        return ClusterLost(f"the API server at {self.server} {silence} for {self.patience:.0f} s: {failure}")

    def _answer(self, request: Request, read_timeout: float, tries: int) -> "BaseHTTPResponse":
        """A good response to one try; a token that is not accepted is renewed once."""
        login = self._current()
        response = self._once(request, read_timeout, login)
        if response.status == 401:
            response.close()
            login = self._renewed(login)
            response = self._once(request, read_timeout, login)
        self._judge(response, tries, login)
        return response

    def _current(self) -> Login:
        """Who we are; one whose time is up is logged in anew."""
        login = self._login
        return self._renewed(login, refused=False) if login.is_over else login

    def _renewed(self, login: Login, *, refused: bool = True) -> Login:
        """Another login in place of one that is over or was refused, which several threads may find at once.

        Raises:
            CannotAsk: there is none.
            Transient: the same of a cluster that was there: an exec plugin may be cut off as we are.
        """
        with self._lock:
            try:
                if login is self._login:
                    if refused:
                        login.refused()
                    self._login = self._log_in()
            except CannotAsk as error:
                if self._reached:
                    raise Transient(str(error)) from error
                raise
            return self._login

    def _once(self, request: Request, read_timeout: float, login: Login) -> "BaseHTTPResponse":
        """One try; turns what the network did into `Transient` or, before any answer, into its final word."""
        from urllib3 import HTTPHeaderDict, Timeout
        from urllib3.exceptions import HTTPError

        headers = HTTPHeaderDict(request.headers)
        for name, value in login.headers():
            headers.add(name, value)
        try:
            response: BaseHTTPResponse = login.client.rest_client.pool_manager.request(
                request.method,
                str(login.client.configuration.host) + request.address,
                body=request.content,
                headers=headers,
                timeout=Timeout(connect=_CONNECT_SECONDS, read=read_timeout),
                retries=False,
                preload_content=False,
            )
            self.clock.hear(response.headers.get("Date"))
            return response
        except (HTTPError, OSError) as failure:
            raise self._failed(failure) from failure

    def _body(self, response: "BaseHTTPResponse") -> bytes:
        from urllib3.exceptions import HTTPError

        try:
            return response.read() or b""
        except (HTTPError, OSError) as failure:
            raise self._failed(failure) from failure
        finally:
            response.release_conn()

    def _failed(self, failure: Exception) -> Exception:
        if not self._reached or is_untrusted(failure):
            return self._unreachable(reason_of(failure))
        return Transient(reason_of(failure))

    def _judge(self, response: "BaseHTTPResponse", tries: int, login: Login) -> None:
        """Return when a response is good, raise what it means when it is not."""
        if response.status < 300:
            self._heard(login)
            return
        after = response.headers.get("Retry-After")
        error = rejection(response.status, login.unsaid(self._body(response)), self.context, after)
        if isinstance(error, Transient):
            raise error
        if isinstance(error, NotLoggedIn | Forbidden | ApiFailed) and self._settling():
            raise Transient(str(error), code=response.status)
        if not isinstance(error, NotLoggedIn):
            self._heard(login)
        if isinstance(error, ApiRejected):
            error.retried = tries > 1
        raise error

    def _heard(self, login: Login) -> None:
        self._reached, self._silent, self._back = True, False, None
        login.taken()

    def _settling(self) -> bool:
        """Whether the server was away and came back just now: it refuses until it has read its roles."""
        if not self._silent:
            return False
        self._back = self._back or time.monotonic()
        return time.monotonic() - self._back < _SETTLE_SECONDS

    def _unreachable(self, reason: str) -> ClusterUnreachable:
        return ClusterUnreachable(
            f"no cluster reachable: context '{self.context}' at {self.server}: {reason}"
        )

    def _tell(self, failure: Transient) -> None:
        with self._lock:
            known, self._silent = self._silent, True
        if not known:
            what = "answers with errors" if failure.code else "does not answer"
            whole = f"the API server at {self.server} {what} ({failure})"
            self.note(f"{failure if isinstance(failure.__cause__, CannotAsk) else whole}; trying again")
