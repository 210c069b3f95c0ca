"""From kubeconfig, or the pod we run in, to a client with an address and credentials."""

import base64
import os
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from launcher.backends.kubernetes.client.plugin import PLUGINS, Credential, Plugin
from launcher.errors import ClusterUnreachable, NotLoggedIn
from launcher.spec import kubeconfig

if TYPE_CHECKING:
    from kubernetes.client import ApiClient, Configuration

IN_CLUSTER = "in-cluster"  # the name of no context: what the pod's service account may do
_SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
_THREADS = 32  # connections that are kept; a log follower holds one for each worker
_FILE_SECONDS = 60.0  # then a token's file is read again: whoever renews it does so long before it is over
_PROVIDERS = ("oidc", "gcp")
_SECRET = 6  # characters of a token that is one: a shorter one would be found in any words


@dataclass(eq=False)
class Login:
    """A client, and whose credentials it has."""

    context: str
    client: "ApiClient"
    plugin: Plugin | None = None
    credential: Credential | None = None
    """What the plugin said."""
    until: float = float("inf")
    """By `time.monotonic`, when a token's file is to be read again."""
    also: tuple[tuple[str, str], ...] = ()
    """Headers of a user who acts as another."""
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    @property
    def is_over(self) -> bool:
        """Whether it is time to log in anew."""
        return time.monotonic() > self.until or (self.credential is not None and self.credential.is_over)

    def headers(self) -> list[tuple[str, str]]:
        """The headers that say who we are; the library renews some tokens on the way.

        Raises:
            NotLoggedIn: they could not be sent, which http.client would tell with the token in its words.
        """
        found = [*self._authorization().items(), *self.also]
        if not all(value.isascii() and value.isprintable() for _, value in found):
            raise NotLoggedIn(
                f"context '{self.context}': its token holds a line end or another character that no request "
                "may have; log in again"
            )
        return found

    def unsaid(self, body: bytes) -> bytes:
        """An answer without our credentials: a proxy may show the request that it does not like."""
        for value in self._authorization().values():
            secret = value.removeprefix("Bearer ").removeprefix("Basic ").encode()
            body = body.replace(secret, b"...") if len(secret) >= _SECRET else body
        return body

    def _authorization(self) -> dict[str, str]:
        headers: dict[str, str] = {}
        with self._lock:
            self.client.update_params_for_auth(headers, [], ["BearerToken"], "", "", None)
        return headers

    def taken(self) -> None:
        """The API server has accepted it."""
        if self.credential is not None:
            self.credential.good = True

    def refused(self) -> None:
        """The API server has not accepted it.

        Raises:
            NotLoggedIn: the plugin that should give another one fails.
        """
        if self.plugin is not None and self.credential is not None:
            self.plugin.refused(self.credential)


def place(context: str | None) -> tuple[str, str]:
    """Name of the context and its namespace.

    Raises:
        BadKubeconfig: there is no such context.
        ClusterUnreachable: there is no kubeconfig, and this is no pod.
    """
    if found := kubeconfig.current(context):
        return found.name, found.namespace or "default"
    if not _in_pod():
        raise ClusterUnreachable(
            "no cluster reachable: no context is set in KUBECONFIG or ~/.kube/config; "
            "`kubectl config get-contexts` lists those there are"
        )
    return IN_CLUSTER, (_SERVICE_ACCOUNT / "namespace").read_text().strip() or "default"


def log_in(context: str | None) -> Login:
    """A client for a context; runs its exec plugin where no other one of this process has.

    Raises:
        BadKubeconfig, ClusterUnreachable, NotLoggedIn: what kubeconfig says cannot be used.
    """
    from kubernetes import config

    name, _ = place(context)
    if name == IN_CLUSTER:
        load: Callable[..., None] = config.load_incluster_config  # the library has no annotations
        return Login(name, _client(name, lambda settings: load(client_configuration=settings)))
    cluster, user = kubeconfig.access(name)
    try:
        return _of_user(name, cluster, user)
    except NotLoggedIn as error:
        raise NotLoggedIn(f"context '{name}': {error}") from error


def _of_user(name: str, cluster: Mapping[str, Any], user: Mapping[str, Any]) -> Login:
    from kubernetes import config

    plugin = PLUGINS.of(user, cluster)
    credential = plugin.credential() if plugin is not None else None
    content = {
        "contexts": [{"name": name, "context": {"cluster": "it", "user": "me"}}],
        "clusters": [{"name": "it", "cluster": dict(cluster)}],
        "users": [{"name": "me", "user": _given(user) if credential is None else _said(credential)}],
    }
    load: Callable[..., None] = config.load_kube_config_from_dict
    client = _client(name, lambda settings: load(content, name, settings, persist_config=False))
    until = time.monotonic() + _FILE_SECONDS if "tokenFile" in user else float("inf")
    return Login(name, client, plugin, credential, until, _impersonation(user))


def _client(name: str, load: "Callable[[Configuration], None]") -> "ApiClient":
    """A client with what the library makes of a kubeconfig."""
    import urllib3
    from kubernetes.client import ApiClient, Configuration
    from kubernetes.config import ConfigException
    from oauthlib.oauth2 import OAuth2Error

    damaged = (OSError, ValueError, KeyError, TypeError, AttributeError)

    settings = Configuration(connection_pool_maxsize=_THREADS, retries=False)
    settings.keep_alive = True  # a watch may be silent for minutes, and its server gone
    try:
        load(settings)
        client = ApiClient(settings)  # reads the certificates
    except (ConfigException, OAuth2Error, urllib3.exceptions.HTTPError, *damaged) as error:
        raise ClusterUnreachable(f"no cluster reachable: context '{name}': {_one_line(error)}") from error
    if not settings.verify_ssl:  # insecure-skip-tls-verify: the user has said so, once is enough
        urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)
    return client


def _said(credential: Credential) -> dict[str, str]:
    """A plugin's credential as a kubeconfig would have it."""
    pair = {"client-certificate-data": credential.certificate, "client-key-data": credential.key}
    found = {key: base64.b64encode(value.encode()).decode() for key, value in pair.items() if value}
    return found | ({"token": credential.token} if credential.token else {})


def _given(user: Mapping[str, Any]) -> dict[str, Any]:
    """A user's own credentials, the token of a file among them; as in kubectl it wins over one beside it."""
    provider = user.get("auth-provider")
    kind = provider.get("name") if isinstance(provider, dict) else None
    if provider and kind not in _PROVIDERS:
        raise NotLoggedIn(
            f"auth-provider '{kind}' of the kubeconfig: expected {' or '.join(_PROVIDERS)}, or an exec plugin"
        )
    found = {key: value for key, value in user.items() if key not in ("exec", "tokenFile")}
    path = user.get("tokenFile")
    if path is None:
        return found
    try:
        token = Path(path).read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        if "token" in found:
            return found
        why = error.strerror if isinstance(error, OSError) else "it is no text"
        raise NotLoggedIn(f"tokenFile {path} of the kubeconfig: cannot be read ({why})") from None
    if not token:
        raise NotLoggedIn(f"tokenFile {path} of the kubeconfig: is empty")
    return found | {"token": token}


def _impersonation(user: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    """Headers of a user who acts as another (``as``, ``as-uid``, ``as-groups``)."""
    if "as" not in user:
        return ()
    if "as-user-extra" in user:
        raise NotLoggedIn("as-user-extra of the kubeconfig: is not supported, only as, as-uid and as-groups")
    own = [("Impersonate-User", user["as"])]
    own += [("Impersonate-Uid", user["as-uid"])] if "as-uid" in user else []
    own += [("Impersonate-Group", each) for each in user.get("as-groups") or []]
    return tuple((name, str(value)) for name, value in own)


def _in_pod() -> bool:
    return bool(os.environ.get("KUBERNETES_SERVICE_HOST")) and (_SERVICE_ACCOUNT / "token").exists()


def _one_line(error: Any) -> str:
    return " ".join(str(error).split())[:300]
