"""From kubeconfig, or the pod we run in, to a client with an address and credentials."""

import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from launcher import kubeconfig
from launcher.errors import ClusterUnreachable

if TYPE_CHECKING:
    from kubernetes.client import ApiClient

IN_CLUSTER = "in-cluster"  # the name of no context: what the pod's service account may do
_SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
_THREADS = 32  # connections that are kept; a log follower holds one for each worker


def place(context: str | None) -> tuple[str, str]:
    """Name of the context and its namespace.

    Raises:
        SpecError: there is no such context.
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


def log_in(context: str | None) -> "ApiClient":
    """A client for a context; runs its exec plugin.

    Raises:
        ClusterUnreachable: what kubeconfig says cannot be used.
    """
    import urllib3
    from kubernetes import config
    from kubernetes.client import ApiClient, Configuration
    from yaml import YAMLError

    load_kube_config: Callable[..., None] = config.load_kube_config  # the library has no annotations
    load_incluster_config: Callable[..., None] = config.load_incluster_config
    name, _ = place(context)
    settings = Configuration(connection_pool_maxsize=_THREADS, retries=False)
    settings.keep_alive = True  # a watch may be silent for minutes, and its server gone
    try:
        with _complaints() as complaints:
            if name == IN_CLUSTER:
                load_incluster_config(client_configuration=settings)
            else:
                # Passed on, because the library reads KUBECONFIG once, when it is imported.
                files = os.environ.get("KUBECONFIG") or "~/.kube/config"
                load_kube_config(files, name, settings, persist_config=False)
    except (config.ConfigException, YAMLError, OSError, ValueError, KeyError, TypeError) as error:
        raise ClusterUnreachable(f"no cluster reachable: context '{name}': {_one_line(error)}") from error
    if complaints:
        raise ClusterUnreachable(f"no cluster reachable: context '{name}': {complaints[0]}")
    if not settings.verify_ssl:  # insecure-skip-tls-verify: the user has said so, once is enough
        urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)
    return ApiClient(settings)


def _in_pod() -> bool:
    return bool(os.environ.get("KUBERNETES_SERVICE_HOST")) and (_SERVICE_ACCOUNT / "token").exists()


@contextmanager
def _complaints() -> Iterator[list[str]]:
    """Errors that are logged meanwhile: the library logs a failed exec plugin and goes on without a token."""
    said: list[str] = []

    class Listener(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if record.levelno >= logging.ERROR:
                said.append(_one_line(record.getMessage()))

    listener = Listener()
    logging.getLogger().addHandler(listener)
    try:
        yield said
    finally:
        logging.getLogger().removeHandler(listener)


def _one_line(error: Any) -> str:
    return " ".join(str(error).split())[:300]
