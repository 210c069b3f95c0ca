"""Pods of the project's image as "restricted" wants them: nobody's user, read-only root, no capabilities."""

from typing import Any

from tests.cluster.harness.access import Cluster


def pod(
    cluster: Cluster, name: str, *args: str, command: list[str] | None = None, **spec: Any
) -> dict[str, Any]:
    """A pod that runs the image with `args`, or `command` in place of its entry point."""
    environment = {}
    if cluster.storage_url:
        environment["STORAGE_EMULATOR_HOST"] = cluster.storage_url
    container: dict[str, Any] = {
        "name": "main",
        "image": cluster.image,
        "args": list(args),
        "imagePullPolicy": "IfNotPresent",
        "env": [{"name": key, "value": value} for key, value in environment.items()],
        "resources": {"requests": {"cpu": "10m", "memory": "64Mi"}},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}],
    }
    if command:
        container["command"] = command
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": {"app": name}},
        "spec": {
            "restartPolicy": "Never",
            "automountServiceAccountToken": False,
            "terminationGracePeriodSeconds": 1,
            "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
            "containers": [container],
            "volumes": [{"name": "tmp", "emptyDir": {}}],
            **spec,
        },
    }


def python(cluster: Cluster, name: str, program: str, **spec: Any) -> dict[str, Any]:
    """A pod of the image that runs a Python program."""
    return pod(cluster, name, command=["python", "-c", program], **spec)
