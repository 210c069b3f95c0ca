"""The cluster, a namespace and a bucket of a test's own, and the commands a user types.

A failure shows the namespace's pods and events.

Everything collected here carries the marker `cluster`, which a plain pytest leaves out.
"""

import os
import shutil
import subprocess
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

import pytest

from tests.cluster import reporting
from tests.cluster.harness import access
from tests.cluster.kubectl import Kubectl
from tests.cluster.outage import Outage
from tests.cluster.schedules import Cron

HERE = Path(__file__).parent
Command = Callable[..., "subprocess.CompletedProcess[str]"]


# Begun first, they do not end last.
LONGEST = (
    "test_readme.py",
    "test_killed.py",
    "test_drained.py",
    "test_end_to_end.py",
    "test_cron.py",
    "test_kueue.py",
)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.cluster)
    items.sort(key=lambda item: item.path.name not in LONGEST)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    report = yield
    names = getattr(item, "funcargs", {})
    if report.when == "call" and report.failed and "namespace" in names and "kubectl" in names:
        report.sections.append(("the namespace's pods and events", reporting.describe(names["kubectl"])))
    return report


@pytest.fixture(scope="session")
def cluster() -> access.Cluster:
    """The cluster under test: what it is called, where it is, and what may be done with it."""
    try:
        return access.find()
    except LookupError as error:
        pytest.fail(str(error), pytrace=False)


@pytest.fixture
def own_cluster(cluster: access.Cluster) -> access.Cluster:
    """A cluster whose API server the test may stop, whose audit log it may read, whose users it may be."""
    if cluster.api_server is None:
        pytest.skip(
            "needs control over the API server, which the cluster of GANTRY_TEST_CONTEXT does not give"
        )
    return cluster


@pytest.fixture(scope="session")
def meeting_place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that the processes of one call of pytest share."""
    own = tmp_path_factory.getbasetemp()
    return own.parent if "PYTEST_XDIST_WORKER" in os.environ else own


@pytest.fixture
def outage(
    own_cluster: access.Cluster, meeting_place: Path, request: pytest.FixtureRequest
) -> Iterator[Outage]:
    """``with outage():`` the API server is away for a minute, together with all tests that want this."""
    assert own_cluster.api_server is not None
    several = "PYTEST_XDIST_WORKER" in os.environ
    party = [item for item in request.session.items if "outage" in getattr(item, "fixturenames", ())]
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    assert not several or len(party) <= workers, f"pytest -n {len(party)}: each waits for all the others"
    folder, name = meeting_place / "outage", request.node.name
    taken = Outage(
        own_cluster.api_server, folder if several else folder / name, name, len(party) if several else 1
    )
    yield taken
    taken.leave()


@pytest.fixture
def namespace(cluster: access.Cluster) -> Iterator[str]:
    """A fresh namespace that enforces Pod Security "restricted"; deleted when the test ends."""
    name = f"test-{uuid.uuid4().hex[:8]}"
    call = Kubectl(cluster, name)
    call("create", "namespace", name)
    level = "pod-security.kubernetes.io/enforce"
    call("label", "namespace", name, f"{level}=restricted", f"{level}-version=latest")
    # After an outage of the API server the controllers come back only after 20 to 90 s.
    deadline = time.monotonic() + 240
    # Without its service account, pods are refused; the controller makes it a moment later.
    while call("get", "serviceaccount", "default", check=False).returncode:
        assert time.monotonic() < deadline, "the namespace got no service account"
        time.sleep(0.05)
    yield name
    call("delete", "namespace", name, "--wait=false")


@pytest.fixture
def kubectl(cluster: access.Cluster, namespace: str) -> Kubectl:
    """``kubectl("get", "pods", "-o=name").stdout``, in the test's namespace and as admin."""
    return Kubectl(cluster, namespace)


@pytest.fixture
def bucket(cluster: access.Cluster) -> str:
    """A ``gs://`` root that no other test uses, which pods and the workstation reach by the same address."""
    name = f"test-{uuid.uuid4().hex}"
    if cluster.root:
        return f"{cluster.root.rstrip('/')}/{name}"
    from google.cloud import storage

    storage.Client(project="test").create_bucket(name)
    return f"gs://{name}"


class Launcher:
    """The command ``launcher`` as a user types it: a process of its own in the test's scratch folder."""

    def __init__(self, cluster: access.Cluster, folder: Path) -> None:
        self._program = shutil.which("launcher")
        # No settings of the person who runs the tests: the user's configuration folder is an empty one.
        self._environment = os.environ | {"XDG_CONFIG_HOME": str(folder / "config"), "NO_COLOR": "1"}
        if cluster.kubeconfig:
            self._environment["KUBECONFIG"] = cluster.kubeconfig
        self._folder, self._running = folder, list[subprocess.Popen[str]]()

    def __call__(
        self, *argv: str, timeout: float = 300, env: dict[str, str] | None = None, check: bool = False
    ) -> "subprocess.CompletedProcess[str]":
        """Run it to its end; `env` adds to the environment, `check` wants exit code 0."""
        done = subprocess.run(
            [self._program, *argv],
            capture_output=True,
            text=True,
            timeout=timeout,
            env=self._environment | (env or {}),
            cwd=self._folder,
            check=False,
        )
        assert not check or done.returncode == 0, f"launcher {' '.join(argv)}: {done.stdout}{done.stderr}"
        return done

    def start(
        self, *argv: str, env: dict[str, str] | None = None, stdout: int | IO[bytes] = subprocess.PIPE
    ) -> "subprocess.Popen[str]":
        """Start it and go on; its output is a pipe or a file, its input empty; killed when the test ends."""
        process = subprocess.Popen(
            [self._program, *argv],
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=subprocess.PIPE,
            text=True,
            env=self._environment | (env or {}),
            cwd=self._folder,
        )
        self._running.append(process)
        return process

    def stop(self) -> None:
        """Kill what still runs."""
        for process in self._running:
            process.kill()
            process.communicate()


@pytest.fixture
def launcher(cluster: access.Cluster, tmp_path: Path) -> Iterator[Launcher]:
    """``launcher("status", run)`` runs to the end; ``launcher.start("logs", run, "-f")`` gives a Popen."""
    command = Launcher(cluster, tmp_path)
    yield command
    command.stop()


@pytest.fixture
def cron(launcher: Launcher, cluster: access.Cluster, namespace: str, bucket: str) -> Cron:
    """``cron("list")`` in the test's namespace."""
    return Cron(launcher, cluster, namespace, bucket)
