"""A thousand pods without containers: real API server, controllers and scheduler, and KWOK for kubelets.

Commands under measurement talk to an API server of their own, beside the cluster's and on the same etcd: its
audit log holds their requests and nobody else's.
"""

import json
import subprocess
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from launcher.backends.kubernetes.client.api import Api, Object, connect
from launcher.render import render
from launcher.spec.runspec import RunSpec
from tests.cluster.harness.access import Cluster
from tests.cluster.harness.binaries import KWOK
from tests.cluster.harness.processes import Service, recorded_service, wait_until
from tests.cluster.harness.settings import CACHE, NODE_ADDRESS
from tests.cluster.harness.users import CERTIFICATE, kubeconfig

_NODES, _PODS = 10, 250  # fake nodes, and pods that each takes
_PORT, _KUBELET_PORT = 6444, 10247
_KWOK_NODE = "kwok.x-k8s.io/node"
_WAIT_SECONDS = 600.0
_AUDIT = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "omitStages": ["RequestReceived"],
    "rules": [{"level": "Metadata", "users": ["admin"]}, {"level": "None"}],
}


@dataclass(frozen=True)
class Simulated:
    """The cluster and the way to it."""

    api: Api
    """Straight to the cluster, for what the benchmark does itself."""
    server: str
    """Address of the counted API server."""
    kubeconfig: Path
    """Leads to the counted API server."""
    audit: Path

    def requests(self) -> Callable[[], list[str]]:
        """Begin to count; the function returns what the server was asked since then, as ``list pods``."""
        start = self.audit.stat().st_size if self.audit.exists() else 0

        def since() -> list[str]:
            with self.audit.open() as log:
                log.seek(start)
                entries = [json.loads(line) for line in log]
            each = {
                entry["auditID"]: entry for entry in entries
            }  # a watch has an entry when it begins, and another
            return [_told(entry) for entry in each.values()]

        return since

    def create(self, spec: RunSpec) -> dict[str, Any]:
        """A run's Job as `submit` would make it, but for the nodes that its pods go to; it begins at once."""
        job = render(spec)[0]
        job["spec"]["suspend"] = False
        pod = job["spec"]["template"]["spec"]
        pod["nodeSelector"] = {"type": "kwok"}
        pod["tolerations"] = [*(pod.get("tolerations") or []), {"key": _KWOK_NODE, "operator": "Exists"}]
        return self.api.create(job)

    def wait_for_pods(self, count: int) -> None:
        """Return when so many pods of the namespace run."""
        run = "status.phase=Running"
        wait_until(
            f"{count} pods", lambda: len(self.api.list("Pod", fields=run)["items"]) >= count, _WAIT_SECONDS
        )


def _told(entry: Mapping[str, Any]) -> str:
    about = entry.get("objectRef") or {}
    below = f"/{about['subresource']}" if "subresource" in about else ""
    return f"{entry['verb']} {about.get('resource', entry['requestURI'])}{below}"


@contextmanager
def simulated(cluster: Cluster, namespace: str, scratch: Path) -> Iterator[Simulated]:
    """Start nodes and the counted API server; all of it and the namespace are gone afterwards."""
    program = CACHE / f"kwok-{KWOK}" / "kwok"
    if not program.exists() or cluster.api_server is None:
        raise LookupError("needs the cluster of tests/cluster and KWOK: python -m tests.cluster kwok")
    with ExitStack() as stack:
        kwok = Service("kwok", _kwok(program, scratch)).start()
        stack.callback(kwok.stop)
        counted, found = _counted_server(scratch)
        stack.callback(counted.stop)
        api = connect(cluster.context, namespace)
        nodes: list[Object] = []
        stack.callback(lambda: [api.delete("Node", node) for node in nodes])
        for number in range(_NODES):
            nodes.append(api.create(_node(f"{namespace}-{number}")))
        _kubectl("create", "namespace", namespace)
        stack.callback(_kubectl, "delete", "namespace", namespace, "--timeout=300s")
        wait_until("a service account", lambda: api.get("ServiceAccount", "default"), 120)
        yield Simulated(api, f"https://{NODE_ADDRESS}:{_PORT}", *found)


def _kwok(program: Path, scratch: Path) -> tuple[str, ...]:
    log, config = scratch / "pod.log", scratch / "kwok.yaml"
    log.write_text("a line of a worker\n")
    text = Path(__file__).with_name("kwok.yaml").read_text(encoding="utf-8")
    config.write_text(text.replace("LOG", str(log)), encoding="utf-8")
    return (
        str(program),
        f"--kubeconfig={kubeconfig('admin')}",
        f"--config={config}",
        f"--manage-nodes-with-annotation-selector={_KWOK_NODE}=fake",
        f"--node-ip={NODE_ADDRESS}",
        f"--node-port={_KUBELET_PORT}",
        f"--tls-cert-file={CERTIFICATE}",
        f"--tls-private-key-file={CERTIFICATE.with_suffix('.key')}",
    )


def _counted_server(scratch: Path) -> tuple[Service, tuple[Path, Path]]:
    """A second API server on the cluster's etcd, and its kubeconfig and audit log."""
    policy, audit, config = (scratch / name for name in ("policy.yaml", "audit.jsonl", "counted.yaml"))
    policy.write_text(yaml.safe_dump(_AUDIT))
    argv = (
        *recorded_service("api-server").argv,
        f"--secure-port={_PORT}",
        f"--audit-policy-file={policy}",
        f"--audit-log-path={audit}",
    )
    known = yaml.safe_load(kubeconfig("admin").read_text())
    known["clusters"][0]["cluster"]["server"] = f"https://{NODE_ADDRESS}:{_PORT}"
    config.write_text(yaml.safe_dump(known))
    service = Service("counted-api-server", argv).start()
    ready = ("kubectl", f"--kubeconfig={config}", "get", "--raw=/readyz")
    try:
        wait_until("a second API server", lambda: _succeeds(*ready), 120, service)
    except BaseException:
        service.stop()
        raise
    return service, (config, audit)


def _node(name: str) -> dict[str, Any]:
    room = {"cpu": "10k", "memory": "10Ti", "ephemeral-storage": "10Pi", "pods": str(_PODS)}
    labels = {"type": "kwok", "kubernetes.io/hostname": name, "kubernetes.io/os": "linux"}
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "labels": labels, "annotations": {_KWOK_NODE: "fake"}},
        "spec": {"taints": [{"key": _KWOK_NODE, "value": "fake", "effect": "NoSchedule"}]},
        "status": {"allocatable": room, "capacity": room},
    }


def in_parallel(what: Callable[[Any], object], items: list[Any]) -> None:
    """Do something for each, eight at a time."""
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(what, items))


def _succeeds(*argv: str) -> bool:
    return subprocess.run(argv, capture_output=True, check=False).returncode == 0


def _kubectl(*argv: str) -> None:
    subprocess.run(["kubectl", *argv], check=True, capture_output=True, timeout=360)
