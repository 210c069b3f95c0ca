"""The cluster as a command inside it finds it in its environment, and what a test may ask of it.

There are two kinds: the harness' own, whose API server a test may stop and whose audit log it may read; and
one of the developer's, named by GANTRY_TEST_CONTEXT, of which a context and a storage address are known.
"""

import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.cluster.harness import control_plane, users
from tests.cluster.harness.processes import Service, recorded_service, wait_until
from tests.cluster.harness.settings import CONTEXT, IMAGE, NODE_ADDRESS, REPOSITORY, STORAGE_URL


def command_environment() -> dict[str, str]:
    """The environment of a command that runs inside the harness' own cluster."""
    binaries = Path(recorded_service("api-server").argv[0]).parent
    path = os.pathsep.join([str(REPOSITORY / ".venv" / "bin"), str(binaries), os.environ["PATH"]])
    return os.environ | {
        "PATH": path,
        "KUBECONFIG": str(users.kubeconfig("admin")),
        "STORAGE_EMULATOR_HOST": STORAGE_URL,
        "GANTRY_CLUSTER": "own",
    }


class ApiServer:
    """The API server, to be taken away and brought back."""

    def __init__(self) -> None:
        self._service: Service = recorded_service("api-server")

    def stop(self) -> None:
        """Kill it: connections break, new ones are refused. Asked to end, it would drain them first."""
        self._service.stop(grace=0)

    def start(self) -> None:
        """Start it again with the same data and return when it is ready."""
        self._service.start()
        binaries = Path(self._service.argv[0]).parent
        wait_until("API server", lambda: control_plane.api_server_ready(binaries), 60, self._service)

    @contextmanager
    def away(self, seconds: float) -> Iterator[None]:
        """It is away for so long at least, and back at the end of the block whatever happens in it."""
        began = time.monotonic()
        self.stop()
        try:
            yield
            time.sleep(max(0.0, began + seconds - time.monotonic()))
        finally:
            self.start()


class AuditLog:
    """What the API server received: writes to Jobs, Services, ConfigMaps, service accounts, policies."""

    def entries(self, namespace: str) -> list[dict[str, Any]]:
        """A namespace's completed requests, oldest first, each with requestObject and responseObject."""
        with control_plane.AUDIT_LOG.open() as log:
            found = [json.loads(line) for line in log if f'"namespace":"{namespace}"' in line]
        return [entry for entry in found if entry.get("objectRef", {}).get("namespace") == namespace]

    def received(self, namespace: str, verb: str, resource: str, user: str = "admin") -> list[Any]:
        """The objects that `user` sent, as they came: ``received("a", "create", "jobs")``."""
        return [
            entry.get("requestObject")
            for entry in self.entries(namespace)
            if (entry["verb"], entry["objectRef"]["resource"], entry["user"]["username"])
            == (verb, resource, user)
        ]


@dataclass(frozen=True)
class Cluster:
    """The cluster under test."""

    context: str
    image: str
    kubeconfig: str | None
    """None: the developer's own, found as kubectl finds it."""
    storage_url: str | None
    """Address of the Cloud Storage server, None for the real one."""
    root: str | None
    """gs:// prefix to work below, None to make a bucket for each test."""
    node_address: str | None = None
    api_server: ApiServer | None = None
    audit: AuditLog | None = None

    def user_kubeconfig(self, user: str) -> str:
        """A kubeconfig for `limited` or `nobody`, who may do only what a test grants them."""
        return str(users.kubeconfig(user))


def find() -> Cluster:
    """The cluster of this environment.

    Raises:
        LookupError: there is none; the text says how to get one.
    """
    storage = os.environ.get("STORAGE_EMULATOR_HOST")
    root = os.environ.get("GANTRY_TEST_ROOT")
    context = os.environ.get("GANTRY_TEST_CONTEXT")
    if context:
        image = os.environ.get("GANTRY_TEST_IMAGE")
        if not image or not (storage or root):
            raise LookupError(
                "GANTRY_TEST_CONTEXT needs GANTRY_TEST_IMAGE, and GANTRY_TEST_ROOT or STORAGE_EMULATOR_HOST"
            )
        return Cluster(context, image, os.environ.get("KUBECONFIG"), storage, root)
    if os.environ.get("GANTRY_CLUSTER") != "own":
        raise LookupError(
            "no cluster here; run make test-cluster, or: python -m tests.cluster exec -- pytest"
        )
    config = str(users.kubeconfig("admin"))
    return Cluster(CONTEXT, IMAGE, config, STORAGE_URL, None, NODE_ADDRESS, ApiServer(), AuditLog())
