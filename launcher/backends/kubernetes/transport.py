"""Requests to one API server: credentials, patience, and errors in the launcher's own words.

Two rules, both here and nowhere else:

- **Before the first answer** a failure is final. The address or the credentials are wrong, the VPN is down:
  the user wants to know within seconds.
- **After it** the server is known to exist, so a failure that may pass is tried again for `PATIENCE` seconds
  while the user is told once. An API server that is being upgraded must not end ``launcher wait``.

The Kubernetes client brings what kubeconfig asks for (TLS, tokens, exec plugins, proxies); its own retries
are off, because they know neither rule.
"""

import json
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlencode

from launcher.backends.kubernetes.network import is_untrusted, reason_of
from launcher.backends.kubernetes.rejections import rejection
from launcher.errors import ApiRejected, ClusterLost, ClusterUnreachable, Forbidden, NotLoggedIn, Transient
from launcher.secrecy import without_password

if TYPE_CHECKING:
    from kubernetes.client import ApiClient
    from urllib3 import BaseHTTPResponse

PATIENCE = 120.0  # seconds; a control plane of one node is upgraded in less
T = TypeVar("T")
_CONNECT_SECONDS = 5.0
_READ_SECONDS = 30.0
_SETTLE_SECONDS = 10.0
_QUIET_TRIES = 2  # a kept connection that was closed, two writers that met: not worth a word
_FIRST_PAUSE, _LONGEST_PAUSE = 0.2, 5.0


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

    def __init__(self, context: str, log_in: "Callable[[], ApiClient]") -> None:
        self.context = context
        self.patience = PATIENCE
        self.note: Callable[[str], None] = _note_on_stderr
        """Called once for each outage."""
        self._log_in = log_in
        self._client = log_in()
        self._lock = threading.Lock()  # around credentials, which a request may renew
        self._reached = False
        self._silent = False  # an outage is known and was noted
        self._back: float | None = None  # when it answered something after that

    @property
    def server(self) -> str:
        """Address of the API server, without a password that it may hold."""
        return without_password(str(self._client.configuration.host))

    def send(self, request: Request, read_timeout: float = _READ_SECONDS) -> "BaseHTTPResponse":
        """The response to a request once it is good, its body not yet read; the caller closes it.

        Raises:
            ClusterUnreachable, NotLoggedIn: at first contact, or when the server is suddenly another.
            ClusterLost: it has not answered for `patience` seconds.
            Forbidden, NamespaceMissing, ApiRejected, Expired: see `rejection`.
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
                if time.monotonic() - since > self.patience:
                    silence = f"has not answered for {self.patience:.0f} s"
                    raise ClusterLost(f"the API server at {self.server} {silence}: {failure}") from failure
                if tries > _QUIET_TRIES:
                    self._tell(failure)
                time.sleep(max(pause, min(failure.after, _LONGEST_PAUSE)))
                pause = min(2 * pause, _LONGEST_PAUSE)

    def _answer(self, request: Request, read_timeout: float, tries: int) -> "BaseHTTPResponse":
        """A good response to one try; a token that is not accepted is renewed once."""
        response = self._once(request, read_timeout)
        if response.status == 401:
            response.close()
            with self._lock:
                self._client = self._log_in()
            response = self._once(request, read_timeout)
        self._judge(response, tries)
        return response

    def _once(self, request: Request, read_timeout: float) -> "BaseHTTPResponse":
        """One try; turns what the network did into `Transient` or, before any answer, into its final word."""
        from urllib3 import Timeout
        from urllib3.exceptions import HTTPError

        try:
            response: BaseHTTPResponse = self._client.rest_client.pool_manager.request(
                request.method,
                str(self._client.configuration.host) + request.address,
                body=request.content,
                headers=request.headers | self._credentials(),
                timeout=Timeout(connect=_CONNECT_SECONDS, read=read_timeout),
                retries=False,
                preload_content=False,
            )
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

    def _judge(self, response: "BaseHTTPResponse", tries: int) -> None:
        """Return when a response is good, raise what it means when it is not."""
        if response.status < 300:
            self._heard()
            return
        after = response.headers.get("Retry-After")
        error = rejection(response.status, self._unsaid(self._body(response)), self.context, after)
        if isinstance(error, Transient):
            if self._reached or response.status in (409, 429):
                raise error
            raise self._unreachable(str(error))
        if isinstance(error, NotLoggedIn | Forbidden) and self._settling():
            raise Transient(str(error))
        self._heard()
        if isinstance(error, ApiRejected):
            error.retried = tries > 1
        raise error

    def _heard(self) -> None:
        self._reached, self._silent, self._back = True, False, None

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

    def _credentials(self) -> dict[str, str]:
        """The header that says who we are; a token that is about to expire is renewed on the way.

        Raises:
            NotLoggedIn: it could not be sent, which http.client would tell with the token in its words.
        """
        headers: dict[str, str] = {}
        with self._lock:
            self._client.update_params_for_auth(headers, [], ["BearerToken"], "", "", None)
        if not all(value.isascii() and value.isprintable() for value in headers.values()):
            raise NotLoggedIn(
                f"context '{self.context}': its token holds a line end or another character that no request "
                "may have; log in again"
            )
        return headers

    def _unsaid(self, body: bytes) -> bytes:
        """An answer without our credentials: a proxy may show the request that it does not like."""
        for value in self._credentials().values():
            secret = value.removeprefix("Bearer ").removeprefix("Basic ").encode()
            body = body.replace(secret, b"...") if secret else body
        return body

    def _tell(self, failure: Transient) -> None:
        with self._lock:
            known, self._silent = self._silent, True
        if not known:
            self.note(f"the API server at {self.server} does not answer ({failure}); trying again")


def _note_on_stderr(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
