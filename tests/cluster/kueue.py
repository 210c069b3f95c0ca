"""Kueue itself beside the cluster: its manager is a process of the node, all else as its release has it.

A real one runs in a pod behind Services. Here the API server finds its webhooks at 127.0.0.1 and its API of
waiting workloads at the node's address, and of all Jobs it minds those of one namespace.
"""

import base64
import json
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import yaml

from tests.cluster.harness.access import Cluster
from tests.cluster.harness.binaries import find_kueue
from tests.cluster.harness.certificates import self_signed
from tests.cluster.harness.processes import Service, wait_until
from tests.cluster.harness.settings import NODE_ADDRESS
from tests.cluster.kubectl import Kubectl
from tests.support.teams import free_ports

API = "kueue.x-k8s.io/v1beta2"
_GROUP = "visibility.kueue.x-k8s.io"
_PATIENCE = "--timeout=100s"
_WEBHOOK_CERTIFICATES = "tmp/k8s-webhook-server/serving-certs"


@contextmanager
def kueue(cluster: Cluster, namespace: str, folder: Path) -> Iterator[None]:
    """Start it, and remove it with all that it brought."""
    kubectl, release = Kubectl(cluster, namespace), find_kueue()
    webhooks, visibility, health = free_ports(3)
    authority = _furnish(folder, kubectl, release)
    client = {"url": f"https://127.0.0.1:{webhooks}", "caBundle": authority}
    kinds = [_converted(each, client) for each in _built(kubectl, release / "components" / "crd")]
    hooks = [
        _narrowed(each, client, namespace)
        for each in _built(kubectl, release / "components" / "webhook")
        if each["kind"] != "Service"
    ]
    (folder / "kueue.yaml").write_text(
        yaml.safe_dump(_configuration(namespace, webhooks, visibility, health))
    )
    argv = ("chroot", str(folder), "/kueue", "--config=/kueue.yaml", "--kubeconfig=/kubeconfig")
    with ExitStack() as stack:
        stack.enter_context(_created(kubectl, kinds))
        names = [each["metadata"]["name"] for each in kinds]
        kubectl("wait", "crd", "--for=condition=Established", _PATIENCE, *names)
        service = Service("kueue", argv).start()
        stack.callback(service.stop)
        wait_until("Kueue", lambda: _answers(health), 60, service)
        stack.enter_context(_created(kubectl, hooks))
        stack.enter_context(_created(kubectl, _aggregated(namespace, visibility)))
        for version in ("v1beta1", "v1beta2"):
            kubectl("wait", "apiservice", "--for=condition=Available", _PATIENCE, f"{version}.{_GROUP}")
        stack.callback(_clear, kubectl)
        yield


def queue(name: str, **quota: str) -> list[dict[str, Any]]:
    """A LocalQueue with a ClusterQueue of its own, which has so much of each resource, on nodes of a kind."""
    nodes = {
        "nodeLabels": {"kubernetes.io/os": "linux"},
        "tolerations": [{"key": name, "operator": "Exists"}],
    }
    flavor = {"apiVersion": API, "kind": "ResourceFlavor", "metadata": {"name": name}, "spec": nodes}
    resources = [{"name": each, "nominalQuota": amount} for each, amount in quota.items()]
    group = {"coveredResources": list(quota), "flavors": [{"name": name, "resources": resources}]}
    spec = {"namespaceSelector": {}, "resourceGroups": [group]}
    return [
        flavor,
        {"apiVersion": API, "kind": "ClusterQueue", "metadata": {"name": name}, "spec": spec},
        {"apiVersion": API, "kind": "LocalQueue", "metadata": {"name": name}, "spec": {"clusterQueue": name}},
    ]


def _furnish(folder: Path, kubectl: Kubectl, release: Path) -> str:
    """Make a folder the root that its pod would have; the certificate of all its servers, as base64."""
    shutil.copy(release / "kueue", folder)
    (folder / "kubeconfig").write_text(kubectl("config", "view", "--raw", "--flatten").stdout)
    key, certificate = folder / "tls.key", folder / "tls.crt"
    self_signed("kueue", key, certificate, "127.0.0.1", NODE_ADDRESS)
    for place in ("visibility", "etc/kueue/metrics/certs", _WEBHOOK_CERTIFICATES):
        (folder / place).mkdir(parents=True)
        shutil.copy(key, folder / place)
        shutil.copy(certificate, folder / place)
    return base64.b64encode(certificate.read_bytes()).decode()


def _configuration(namespace: str, webhooks: int, visibility: int, health: int) -> dict[str, Any]:
    name = {"key": "kubernetes.io/metadata.name", "operator": "In", "values": [namespace]}
    return {
        "apiVersion": "config.kueue.x-k8s.io/v1beta2",
        "kind": "Configuration",
        "health": {"healthProbeBindAddress": f"127.0.0.1:{health}"},
        "metrics": {"bindAddress": "0"},
        "webhook": {"host": "127.0.0.1", "port": webhooks, "certDir": f"/{_WEBHOOK_CERTIFICATES}"},
        "visibilityServer": {"bindAddress": NODE_ADDRESS, "bindPort": visibility},
        "leaderElection": {"leaderElect": False},
        "internalCertManagement": {"enable": False},
        "integrations": {"frameworks": ["batch/job"]},
        # Else it suspends Jobs of all namespaces that name a queue: those of tests beside this one.
        "managedJobsNamespaceSelector": {"matchExpressions": [name]},
    }


def _built(kubectl: Kubectl, folder: Path) -> list[dict[str, Any]]:
    """The objects of a folder for kustomize."""
    return list(yaml.safe_load_all(kubectl("kustomize", str(folder)).stdout))


def _converted(definition: dict[str, Any], client: dict[str, str]) -> dict[str, Any]:
    """A CustomResourceDefinition whose versions are converted by our manager."""
    webhook = definition["spec"].get("conversion", {}).get("webhook")
    if webhook:
        webhook["clientConfig"] = {**client, "url": f"{client['url']}/convert"}
    return definition


def _narrowed(configuration: dict[str, Any], client: dict[str, str], namespace: str) -> dict[str, Any]:
    """Admission webhooks for Kueue's own objects and the Jobs of one namespace."""
    kept = []
    for webhook in configuration["webhooks"]:
        groups = {group for rule in webhook["rules"] for group in rule["apiGroups"]}
        if groups <= {"batch", "kueue.x-k8s.io"}:
            path = webhook["clientConfig"]["service"]["path"]
            webhook["clientConfig"] = {**client, "url": client["url"] + path}
            if groups == {"batch"}:
                webhook["namespaceSelector"] = {"matchLabels": {"kubernetes.io/metadata.name": namespace}}
            kept.append(webhook)
    return {**configuration, "metadata": {"name": f"kueue-{namespace}"}, "webhooks": kept}


def _aggregated(namespace: str, port: int) -> list[dict[str, Any]]:
    """The API of waiting workloads, behind the API server."""
    name = "visibility-server"
    spec = {"type": "ExternalName", "externalName": NODE_ADDRESS, "ports": [{"port": port}]}
    service = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": spec}
    return [
        service,
        *(
            {
                "apiVersion": "apiregistration.k8s.io/v1",
                "kind": "APIService",
                "metadata": {"name": f"{version}.{_GROUP}"},
                "spec": {
                    "group": _GROUP,
                    "version": version,
                    "groupPriorityMinimum": 100,
                    "versionPriority": 100,
                    "insecureSkipTLSVerify": True,
                    "service": {"name": name, "namespace": namespace, "port": port},
                },
            }
            for version in ("v1beta1", "v1beta2")
        ),
    ]


def _clear(kubectl: Kubectl) -> None:
    """Remove what has finalizers of Kueue, while there is somebody who minds them."""
    kubectl("delete", "jobs", "--all", "--cascade=foreground", _PATIENCE, check=False)
    for kind in ("workloads", "localqueues", "clusterqueues", "resourceflavors"):
        kubectl("delete", f"{kind}.kueue.x-k8s.io", "--all", "--timeout=30s", check=False)


@contextmanager
def _created(kubectl: Kubectl, objects: list[dict[str, Any]]) -> Iterator[None]:
    """Objects that are removed at the end. They are not applied: some are too large for its annotation."""
    listed = json.dumps({"apiVersion": "v1", "kind": "List", "items": objects})
    try:
        kubectl("create", "-f", "-", stdin=listed)
        yield
    finally:
        kubectl("delete", "--ignore-not-found", "--wait=false", "-f", "-", stdin=listed, check=False)


def _answers(port: int) -> bool:
    from urllib.error import URLError
    from urllib.request import urlopen

    try:
        with urlopen(f"http://127.0.0.1:{port}/readyz", timeout=2) as answer:
            return bool(answer.status == 200)
    except (URLError, OSError):
        return False
