"""Runs that each meet one thing that keeps workers from starting, all submitted at once.

The namespace has a quota, a LimitRange, an admission policy and webhooks that each mean one of the runs by
its name or its size, so that all runs can be there together.
"""

import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from launcher import templates
from tests.cluster.flags import on
from tests.cluster.harness.access import Cluster
from tests.cluster.kubectl import Kubectl
from tests.cluster.webhook import Webhook

AT_ONCE = 6
INSTANCE = "app.kubernetes.io/instance"
Edit = Callable[[dict[str, Any]], None]


def limits() -> list[dict[str, Any]]:
    """Room for 40 cores in all, for 200 GiB in one container."""
    return [
        {
            "apiVersion": "v1",
            "kind": "ResourceQuota",
            "metadata": {"name": "team"},
            "spec": {"hard": {"requests.cpu": "40"}},
        },
        {
            "apiVersion": "v1",
            "kind": "LimitRange",
            "metadata": {"name": "sizes"},
            "spec": {"limits": [{"type": "Container", "max": {"memory": "200Gi"}}]},
        },
    ]


def policy(namespace: str) -> list[dict[str, Any]]:
    """Refuses the pods of the run 'policy', and a Job called 'policy-job'."""
    api = "admissionregistration.k8s.io/v1"
    says = f"object.metadata.labels['{INSTANCE}'] != (object.kind == 'Job' ? 'policy-job' : 'policy')"
    return [
        {
            "apiVersion": api,
            "kind": "ValidatingAdmissionPolicy",
            "metadata": {"name": namespace},
            "spec": {
                "matchConstraints": {
                    "resourceRules": [
                        {
                            "apiGroups": [""],
                            "apiVersions": ["v1"],
                            "operations": ["CREATE"],
                            "resources": ["pods"],
                        },
                        {
                            "apiGroups": ["batch"],
                            "apiVersions": ["v1"],
                            "operations": ["CREATE"],
                            "resources": ["jobs"],
                        },
                    ]
                },
                "validations": [{"expression": says, "message": "runs must name their cost centre"}],
            },
        },
        {
            "apiVersion": api,
            "kind": "ValidatingAdmissionPolicyBinding",
            "metadata": {"name": namespace},
            "spec": {
                "policyName": namespace,
                "validationActions": ["Deny"],
                "matchResources": {"namespaceSelector": _only(namespace)},
            },
        },
    ]


def webhooks(namespace: str, refusing: Webhook) -> dict[str, Any]:
    """One that refuses the pods of the run 'webhook', and one that is away for those of 'webhook-away'."""
    away = {"url": "https://127.0.0.1:1/"}
    there = {"url": refusing.url, "caBundle": refusing.certificate}
    return {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingWebhookConfiguration",
        "metadata": {"name": namespace},
        "webhooks": [
            {
                "name": f"{run}.gantry.test",
                "clientConfig": client,
                "rules": [
                    {
                        "apiGroups": [""],
                        "apiVersions": ["v1"],
                        "operations": ["CREATE"],
                        "resources": ["pods"],
                    }
                ],
                "namespaceSelector": _only(namespace),
                "objectSelector": {"matchLabels": {INSTANCE: run}},
                "failurePolicy": "Fail",
                "sideEffects": "None",
                "admissionReviewVersions": ["v1"],
                "timeoutSeconds": 2,
            }
            for run, client in (("webhook", there), ("webhook-away", away))
        ],
    }


def tainted_node(name: str) -> dict[str, Any]:
    """A node for one team's pods; no kubelet runs it, so that none can start there."""
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "labels": {"gantry.test/node": name}},
        "spec": {"taints": [{"key": "gantry.test/team", "value": "others", "effect": "NoSchedule"}]},
    }


def _only(namespace: str) -> dict[str, Any]:
    return {"matchLabels": {"kubernetes.io/metadata.name": namespace}}


class Stage:
    """The namespace and the bucket, and how runs come to be there."""

    def __init__(self, cluster: Cluster, namespace: str, bucket: str, folder: Path, launcher: Any) -> None:
        self.cluster, self.namespace, self.bucket = cluster, namespace, bucket
        self.kubectl, self.launcher, self._folder = Kubectl(cluster, namespace), launcher, folder

    def submit(self, name: str, *words: str, edit: Edit | None = None) -> Any:
        """Submit a run, with a pod template that `edit` has changed; flags among `words` win."""
        flags = [*on(self.cluster, self.namespace, self.bucket), "--cpu", "10m", "--memory", "128Mi"]
        more = ["--manifests", self._edited(name, edit)] if edit else []
        return self.launcher("submit", "--preset", "mlp", "--name", name, *flags, *more, *words)

    def submit_all(self, runs: dict[str, tuple[list[str], Edit | None]]) -> None:
        """Submit runs beside one another; each must be taken."""
        with ThreadPoolExecutor(AT_ONCE) as pool:
            started = [
                pool.submit(self.submit, name, *words, edit=edit) for name, (words, edit) in runs.items()
            ]
        for each in started:
            done = each.result()
            assert done.returncode == 0, done.stderr

    def _edited(self, name: str, edit: Edit) -> str:
        folder = self._folder / name
        shutil.copytree(templates.folder(), folder)
        job = yaml.safe_load((folder / "job.yaml").read_text())
        edit(job["spec"]["template"]["spec"])
        (folder / "job.yaml").write_text(yaml.safe_dump(job))
        return str(folder)


@contextmanager
def cluster_wide(kubectl: Kubectl, *objects: dict[str, Any]) -> Iterator[None]:
    """Objects without a namespace, which are removed at the end."""
    try:
        kubectl.apply(*objects)
        yield
    finally:
        for each in objects:
            kubectl("delete", each["kind"], each["metadata"]["name"], "--wait=false", check=False)
