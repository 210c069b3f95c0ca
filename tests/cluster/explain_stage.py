"""Runs that each meet one thing that keeps workers from starting, all submitted at once.

The namespace has a quota, a LimitRange, an admission policy and webhooks that each mean one of the runs by
its name or its size, so that all runs can be there together.
"""

import io
import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple
from unittest.mock import patch

import yaml

from launcher.backends.kubernetes.client.permissions import always_needed
from launcher.cli import main
from launcher.render.cronjob import Timing, render_schedule
from launcher.render.labels import SINCE
from launcher.spec import templates
from launcher.spec.runspec import make_spec
from tests.cluster.flags import on
from tests.cluster.harness.access import Cluster
from tests.cluster.kubectl import Kubectl
from tests.cluster.webhook import Webhook

INSTANCE = "app.kubernetes.io/instance"
_REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
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


def secret() -> dict[str, Any]:
    """One that lacks what is asked for."""
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "hub"}, "stringData": {"user": "a"}}


def claims() -> list[dict[str, Any]]:
    """A claim that nothing makes a volume for."""
    size = {"requests": {"storage": "1Gi"}}
    spec = {"accessModes": ["ReadWriteOnce"], "storageClassName": "", "resources": size}
    return [{"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "bare"}, "spec": spec}]


def node(name: str) -> dict[str, Any]:
    """A node for one team's pods; no kubelet runs it, so that none can start there."""
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "labels": {"gantry.test/node": name}},
        "spec": {"taints": [{"key": "gantry.test/team", "value": "others", "effect": "NoSchedule"}]},
    }


def submitters_role() -> list[dict[str, Any]]:
    """To submit runs and follow them, and nothing beside it, for the user 'nobody'.

    Not to create pods, nor to see quotas: runs are then submitted whose pods the namespace refuses.
    """
    api, who = "rbac.authorization.k8s.io", {"kind": "User", "name": "nobody"}
    rules = [
        {"apiGroups": [each.group], "resources": [each.resource], "verbs": [each.verb]}
        for each in always_needed()
    ]
    return [
        {"apiVersion": f"{api}/v1", "kind": "Role", "metadata": {"name": "submitter"}, "rules": rules},
        {
            "apiVersion": f"{api}/v1",
            "kind": "RoleBinding",
            "metadata": {"name": "submitter"},
            "roleRef": {"apiGroup": api, "kind": "Role", "name": "submitter"},
            "subjects": [{"apiGroup": api, **who}],
        },
    ]


def least_role() -> list[dict[str, Any]]:
    """To read a run, and nothing beside it, for the user 'limited'."""
    api = "rbac.authorization.k8s.io/v1"
    rules = [
        {"apiGroups": ["batch"], "resources": ["jobs"], "verbs": ["get", "list"]},
        {"apiGroups": [""], "resources": ["pods", "events"], "verbs": ["list"]},
    ]
    who = [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "limited"}]
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "reader"}
    return [
        {"apiVersion": api, "kind": "Role", "metadata": {"name": "reader"}, "rules": rules},
        {
            "apiVersion": api,
            "kind": "RoleBinding",
            "metadata": {"name": "reader"},
            "roleRef": role,
            "subjects": who,
        },
    ]


def rude(pod: dict[str, Any]) -> None:
    """Not what "restricted" wants."""
    pod["securityContext"]["runAsNonRoot"] = False


def important(pod: dict[str, Any]) -> None:
    """Of a priority that does not exist."""
    pod["priorityClassName"] = "absent"


def selecting(**labels: str) -> Edit:
    """Only for nodes with these labels."""
    return lambda pod: pod.update(nodeSelector=labels)


def mounting(claim: str) -> Edit:
    """With a volume by its claim."""
    volume = {"name": "data", "persistentVolumeClaim": {"claimName": claim}}
    return lambda pod: pod["volumes"].append(volume)


def reading(pod: dict[str, Any]) -> None:
    """With the files of a Secret that is not there."""
    pod["volumes"].append({"name": "keys", "secret": {"secretName": "files"}})
    mount = {"name": "keys", "mountPath": "/keys", "readOnly": True}
    pod["containers"][0]["volumeMounts"].append(mount)


def gated(pod: dict[str, Any]) -> None:
    """Held back by something that no cause knows."""
    pod["schedulingGates"] = [{"name": "gantry.test/approval"}]


def filling(pod: dict[str, Any]) -> None:
    """With a scratch folder that no node's disk holds."""
    pod["containers"][0]["resources"]["requests"]["ephemeral-storage"] = "900Ti"


def attracted(pod: dict[str, Any]) -> None:
    """Only for nodes with an SSD, by affinity."""
    terms = [{"matchExpressions": [{"key": "disk", "operator": "In", "values": ["ssd"]}]}]
    pod["affinity"] = {"nodeAffinity": {_REQUIRED: {"nodeSelectorTerms": terms}}}


def near(pod: dict[str, Any]) -> None:
    """Only beside a pod that nobody has."""
    wanted = {"labelSelector": {"matchLabels": {"app": "absent"}}, "topologyKey": "kubernetes.io/hostname"}
    pod["affinity"] = {"podAffinity": {_REQUIRED: [wanted]}}


def _only(namespace: str) -> dict[str, Any]:
    return {"matchLabels": {"kubernetes.io/metadata.name": namespace}}


class Done(NamedTuple):
    """What a command left."""

    returncode: int
    stdout: str
    stderr: str


def command_line(*argv: str) -> Done:
    """``launcher …`` in this process: loading it sixty times over would take a minute of two cores."""
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        try:
            main(list(argv))
        except SystemExit as leaving:
            return Done(int(leaving.code or 0), out.getvalue(), err.getvalue())
    raise AssertionError("the command line leaves with an exit code")


class Stage:
    """The namespace and the bucket, and how runs come to be there."""

    def __init__(self, cluster: Cluster, namespace: str, bucket: str, folder: Path) -> None:
        self.cluster, self.namespace, self.bucket = cluster, namespace, bucket
        self.kubectl, self._folder = Kubectl(cluster, namespace), folder
        self.refused: dict[str, Done] = {}
        self.where = ["--context", cluster.context, "-n", namespace, "--root", bucket]

    def submit(self, name: str, *words: str, edit: Edit | None = None) -> Done:
        """Submit a run, with a pod template that `edit` has changed; flags among `words` win."""
        flags = [*on(self.cluster, self.namespace, self.bucket), "--cpu", "10m", "--memory", "128Mi"]
        more = ["--manifests", self._edited(name, edit)] if edit else []
        return command_line("submit", "--preset", "mlp", "--name", name, *flags, *more, *words)

    def submit_all(self, runs: dict[str, tuple[list[str], Edit | None]]) -> None:
        """Submit runs one after another; each must be taken."""
        for name, (words, edit) in runs.items():
            done = self.submit(name, *words, edit=edit)
            assert done.returncode == 0, done.stderr

    def submit_unjudged(self, runs: dict[str, tuple[list[str], Edit | None]]) -> None:
        """The same for runs whose pods are refused, by somebody who may not have a pod judged."""
        with patch.dict(os.environ, {"KUBECONFIG": self.cluster.user_kubeconfig("nobody")}):
            for name, (words, edit) in runs.items():
                done = self.submit(name, *words, edit=edit)
                assert done.returncode == 0, done.stderr
                assert (
                    "note: whether a worker's pod is admitted is not known: user 'nobody' may" in done.stderr
                )

    def wait_until_ready(self) -> None:
        """Until pods could be made, and the policy holds."""
        template = {"spec": {"restartPolicy": "Never", "containers": [{"name": "a", "image": "a"}]}}
        metadata = {"name": "a", "labels": {INSTANCE: "policy-job"}}
        job = {"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "spec": {"template": template}}

        def holds() -> bool:
            done = self.kubectl("create", "--dry-run=server", "-f", "-", stdin=json.dumps(job), check=False)
            return "cost centre" in done.stderr

        def ready() -> bool:
            return self.kubectl("get", "serviceaccount", "default", check=False).returncode == 0 and holds()

        self.kubectl.wait_for("the policy", ready)

    def schedule(self, name: str, due: datetime, **timing: Any) -> None:
        """A schedule that is due once a day at that time."""
        image = {"image": "127.0.0.1:9/gantry:1", "memory": "128Mi", "cpu": "10m"}
        where = {"root": self.bucket, "context": self.cluster.context, "namespace": self.namespace}
        self.kubectl.apply(
            *render_schedule(make_spec("mlp", (), name, **image, **where), Timing(_line(due), **timing))
        )

    def move(self, name: str, due: datetime) -> None:
        """Have a schedule due at that time of day, and fired last two days ago."""
        past = (datetime.now(UTC) - timedelta(days=2)).isoformat(timespec="seconds")
        line = {"metadata": {"annotations": {SINCE: past}}, "spec": {"schedule": _line(due)}}
        self.kubectl("patch", "cronjob", name, "--type=merge", "-p", json.dumps(line))
        last = json.dumps({"status": {"lastScheduleTime": past.replace("+00:00", "Z")}})
        self.kubectl("patch", "cronjob", name, "--subresource=status", "--type=merge", "-p", last)

    def explain(self, name: str) -> Done:
        """`launcher explain` of a run or a schedule."""
        return command_line("explain", name, *self.where, "-o", "json")

    def _edited(self, name: str, edit: Edit) -> str:
        folder = self._folder / name
        shutil.copytree(templates.folder(), folder, dirs_exist_ok=True)
        job = yaml.safe_load((folder / "job.yaml").read_text())
        edit(job["spec"]["template"]["spec"])
        (folder / "job.yaml").write_text(yaml.safe_dump(job))
        return str(folder)


def _line(due: datetime) -> str:
    return f"{due.minute} {due.hour} * * *"


@contextmanager
def cluster_wide(kubectl: Kubectl, *objects: dict[str, Any]) -> Iterator[None]:
    """Objects without a namespace, which are removed at the end."""
    try:
        kubectl.apply(*objects)
        yield
    finally:
        for each in objects:
            kubectl("delete", each["kind"], each["metadata"]["name"], "--wait=false", check=False)
