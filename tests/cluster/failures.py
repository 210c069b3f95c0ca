"""Runs that are made to fail, all at once: what one node can do to a run once its pods start.

Most need no trainer: the first process of a pod refuses, or waits for a second worker that never comes, and
is struck meanwhile. Such runs are submitted to a queue that does not exist, so that nothing of them starts
before they are made to have one pod alone.
"""

import json
import random
import shutil
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from tests.cluster import disturbances
from tests.cluster.flags import on
from tests.cluster.harness.access import Cluster
from tests.cluster.kubectl import Kubectl
from tests.support.flags import set_flags
from tests.support.refusing import Refusing
from tests.support.teams import PLAIN, WILD

K8S = Path(__file__).parents[2] / "k8s"
PATIENCE_SECONDS = 480.0
_LITTLE = ("--memory", "256Mi", "--grace", "5", "--backoff-limit", "0")
_ALONE = ("--workers", "2", "--queue", "absent", *_LITTLE)  # one pod of two workers, see `_begin_alone`
# Divergence within a few steps, with a checkpoint before it.
_DIVERGES = (*WILD, "checkpoints.every_steps=1", "checkpoints.keep=50", "samples.every_steps=60")
_STALLED_STEPS = 100_000
_STALLS = (
    "recovery.stall_seconds=20", "recovery.restarts_without_progress=0", f"steps={_STALLED_STEPS}",
    "checkpoints.every_steps=1000", f"samples.every_steps={_STALLED_STEPS}",
)  # fmt: skip
_RIVALS = ("evicted", "preempted")  # their pods compete with another for a port of the node
# Of the workers of one run; the network of the tests' cluster does not enforce it, so a second worker is kept
# away from that run as well.
DENY = {
    "apiVersion": "networking.k8s.io/v1",
    "kind": "NetworkPolicy",
    "metadata": {"name": "deny"},
    "spec": {
        "podSelector": {"matchLabels": {"app.kubernetes.io/instance": "policed"}},
        "policyTypes": ["Ingress", "Egress"],
    },
}


class Failures:
    """The runs and the commands to ask about them."""

    def __init__(
        self, launcher: Any, cluster: Cluster, namespaces: tuple[str, str], bucket: str, folder: Path
    ):
        """`namespaces`: one for all, and one that allows ports of the node."""
        self._launcher, self._cluster, self._folder, self.bucket = launcher, cluster, folder, bucket
        self._namespaces = namespaces
        self.kubectl, self.free = (Kubectl(cluster, name) for name in namespaces)
        first = 20_000 + 2 * random.randrange(
            5_000
        )  # two stages at once, or one that was killed, have others
        self._ports = dict(zip(_RIVALS, (first, first + 1), strict=True))

    def explain(self, run: str) -> tuple[int, dict[str, Any]]:
        """Exit code and answer of ``launcher explain RUN -o json``."""
        done = self._launcher("explain", run, "--root", self.bucket, "-o", "json")
        assert done.returncode in (0, 1) and done.stdout, done.stderr
        return done.returncode, json.loads(done.stdout)

    def explained(self, run: str, cause: str | None, *states: str) -> tuple[int, dict[str, Any]]:
        """The same as soon as it names this cause, of a run that is in one of these states by then."""
        end = time.monotonic() + PATIENCE_SECONDS
        while (found := self.explain(run))[1]["cause"] != cause or found[1]["state"] not in states:
            assert time.monotonic() < end, (
                f"{run} is not explained by {cause}: {json.dumps(found[1], indent=2)}"
            )
            time.sleep(0.5)
        return found

    def make(self, urls: dict[int, str], classes: dict[str, str]) -> None:
        """Submit all runs and strike those that are to be struck; `urls` by status of a storage's answers."""
        self._classes = classes
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda each: self._submit(*each), self._runs(urls)))
        self.kubectl("delete", "service", "apart")
        self.kubectl.apply(DENY)
        self._begin("apart", self.kubectl)
        for run in ("policed", "deleted", "evicted", "preempted"):
            self._begin(run, self.place(run), parallelism=1)
        self._strike()

    def _runs(self, urls: dict[int, str]) -> Iterator[tuple[str, Sequence[str]]]:
        """Names and flags."""
        # Of 2 GiB each, the default, six left others no room.
        small, wild, stalls = (
            [*set_flags(each), "--memory", "1400Mi"] for each in (PLAIN, _DIVERGES, (*PLAIN, *_STALLS))
        )
        yield "diverged", (*small, *wild, "--backoff-limit", "0")
        yield "mended", small
        yield "stalled", (*stalls, "--backoff-limit", "0")
        yield "full", (*small, "--manifests", str(self._base("full", _small_disk)), "--backoff-limit", "0")
        for status, url in urls.items():
            yield f"storage-{status}", (*small, "--env", f"STORAGE_EMULATOR_HOST={url}")
        yield (
            "memory",
            ("--memory", "128Mi", "--backoff-limit", "0", "--set", "recovery.restarts_without_progress=0"),
        )
        yield "variable", ("--env", "GANTRY_PEER_SECONDS=soon", *_LITTLE)
        for run in ("crashed", "emptied"):
            yield run, ("--env", "PYTHONHASHSEED=any", *_LITTLE)
        yield "nobody", ("--env", "STORAGE_EMULATOR_HOST=", "--env", "NO_GCE_CHECK=true", *_LITTLE)
        yield "apart", (*_ALONE, "--env", "GANTRY_PEER_SECONDS=3")
        yield "policed", (*_ALONE, "--env", "GANTRY_PEER_SECONDS=3")
        yield "late", ("--deadline", "2", *_LITTLE)
        yield "deleted", _ALONE
        for run in _RIVALS:
            yield run, (*_ALONE, "--manifests", str(self._base(run, self._with_port(run))))

    def _submit(self, run: str, flags: Sequence[str]) -> None:
        place = self._namespaces[run in _RIVALS]
        words = (
            "submit",
            "--preset",
            "mlp",
            "--name",
            run,
            *on(self._cluster, place, self.bucket),
            "--cpu",
            "10m",
        )
        self._launcher(*words, *flags, check=True)

    def place(self, run: str) -> Kubectl:
        """kubectl in a run's namespace."""
        return self.free if run in _RIVALS else self.kubectl

    def _begin(self, run: str, kubectl: Kubectl, **more: Any) -> None:
        patch = json.dumps({"spec": {"suspend": False, **more}})
        kubectl("patch", "job", run, "--type=merge", "-p", patch)

    def _strike(self) -> None:
        for run, port in self._ports.items():
            # A pod that is told to go while its container starts ends in other ways.
            self.free.wait_for(f"{run} to speak", partial(self._speaks, run), PATIENCE_SECONDS)
            self.free.apply(self._rival(run, port))
        disturbances.delete(self.kubectl, self._pod("deleted"), grace=True)
        assert disturbances.evict(self.free, self._pod("evicted")) == ""
        self.kubectl.wait_for("a trainer to kill", self._kill_trainer, PATIENCE_SECONDS)
        self._empty("emptied")
        if self._cluster.api_server:  # a cluster on this machine, whose processes can be reached
            self._hold("stalled")

    def _speaks(self, run: str) -> bool:
        return bool(self.free("logs", self._pod(run), check=False).stdout)

    def _kill_trainer(self) -> bool:
        try:
            disturbances.kill_trainer(self.kubectl, self._pod("mended"))
        except AssertionError:  # there is none yet
            return False
        return True

    def _empty(self, run: str) -> None:
        """Remove the pods of a Job that has failed, as a cluster does that is short of room for them."""
        self.kubectl.wait_for(f"the Job of {run} to fail", lambda: self._has_failed(run), PATIENCE_SECONDS)
        self.kubectl("delete", "pods", "-l", f"batch.kubernetes.io/job-name={run}")

    def _hold(self, run: str) -> None:
        """Have a trainer stand still once it trains; on a busy machine its first step may be the stall."""
        pod, trains = self._pod(run), f"/{_STALLED_STEPS} ["

        def ready() -> bool:
            return trains in self.kubectl("logs", pod).stdout or self._has_failed(run)

        self.kubectl.wait_for(f"{run} to train", ready, PATIENCE_SECONDS)
        disturbances.hold_trainer(self.kubectl, pod, PATIENCE_SECONDS)

    def _has_failed(self, run: str) -> bool:
        conditions = self.kubectl.get("job", run)["status"].get("conditions") or []
        return any(each["type"] == "Failed" for each in conditions)

    def _pod(self, run: str) -> str:
        """The one pod of a run, as soon as it runs."""
        kubectl = self.place(run)

        def running() -> str | None:
            pods = kubectl.get("pods", "-l", f"batch.kubernetes.io/job-name={run}")["items"]
            return next(
                (pod["metadata"]["name"] for pod in pods if pod["status"]["phase"] == "Running"), None
            )

        found: str = kubectl.wait_for(f"the pod of {run}", running, PATIENCE_SECONDS)
        return found

    def _rival(self, run: str, port: int) -> dict[str, Any]:
        """A pod that wants the same port of the node: it takes it, or takes it next."""
        name = self._classes["preempts" if run == "preempted" else "waits"]
        container = {"name": "rival", "image": self._cluster.image, "imagePullPolicy": "IfNotPresent"}
        container |= {"command": ["sleep", "600"], "ports": [{"containerPort": 1, "hostPort": port}]}
        spec = {"priorityClassName": name, "terminationGracePeriodSeconds": 0, "containers": [container]}
        return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": f"rival-{run}"}, "spec": spec}

    def _with_port(self, run: str) -> Any:
        port = f"hostPort: {self._ports[run]}"
        low = f"priorityClassName: {self._classes['low']}"

        def edit(job: str) -> str:
            job = job.replace("containerPort: 2222\n", f"containerPort: 2222\n          {port}\n")
            return job.replace("restartPolicy: Never\n", f"restartPolicy: Never\n      {low}\n")

        return edit

    def _base(self, run: str, edit: Any) -> Path:
        """A copy of ``k8s/`` whose Job was edited, as a user has it."""
        folder = self._folder / run
        shutil.copytree(K8S, folder)
        before = (folder / "job.yaml").read_text()
        (folder / "job.yaml").write_text(after := edit(before))
        assert after != before
        return folder


def _small_disk(job: str) -> str:
    small = "emptyDir:\n          medium: Memory\n          sizeLimit: 1Mi\n"
    return job.replace("emptyDir:\n          sizeLimit: 2304Mi\n", small, 1)


@contextmanager
def priorities(kubectl: Kubectl, name: str) -> Iterator[dict[str, str]]:
    """Three priority classes, removed at the end.

    The lowest is that of pods without a class: from pods below it, those of other tests that find no room
    would take theirs.
    """
    found = {key: f"{name}-{key}" for key in ("low", "waits", "preempts")}
    values = {"low": (0, "Never"), "waits": (10, "Never"), "preempts": (10, "PreemptLowerPriority")}
    kubectl.apply(
        *(
            {
                "apiVersion": "scheduling.k8s.io/v1",
                "kind": "PriorityClass",
                "metadata": {"name": found[key]},
                "value": value,
                "preemptionPolicy": policy,
            }
            for key, (value, policy) in values.items()
        )
    )
    try:
        yield found
    finally:
        kubectl("delete", "priorityclass", *found.values(), "--wait=false")


@contextmanager
def refusing_storage(cluster: Cluster) -> Iterator[dict[int, str]]:
    """Addresses of storage servers that refuse, by status, where pods can reach this machine."""
    with ExitStack() as stack:
        host = cluster.node_address
        yield (
            {}
            if host is None
            else {status: stack.enter_context(Refusing(status, host)).url for status in (403, 404)}
        )
