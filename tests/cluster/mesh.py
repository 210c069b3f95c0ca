"""A mesh, as a policy that puts a container into the pods of one namespace; it stands for Istio's webhook."""

from typing import Any

from tests.cluster.harness.access import Cluster

_API = "admissionregistration.k8s.io/v1"
_LABELS, _INJECT = "object.metadata.labels", "'sidecar.istio.io/inject'"
_DECLINED = f"{_INJECT} in {_LABELS} && {_LABELS}[{_INJECT}] == 'false'"
_NATIVE = f"{_LABELS}['app.kubernetes.io/instance'] == 'native'"


def mesh(namespace: str, cluster: Cluster) -> list[dict[str, Any]]:
    """Objects for a namespace whose pods get a container that never ends, but for those that decline it.

    The pods of a run called ``native`` get it as a sidecar in Kubernetes' own sense.
    """
    ordinary = _policy(f"{namespace}-ordinary", f"!({_NATIVE})", _patch("containers", cluster, ""))
    native = _policy(f"{namespace}-native", _NATIVE, _native(cluster))
    policies = [ordinary, native]
    return [*policies, *(_binding(each["metadata"]["name"], namespace) for each in policies)]


def _native(cluster: Cluster) -> str:
    empty = (
        "has(object.spec.initContainers) ? [] : "
        '[JSONPatch{op: "add", path: "/spec/initContainers", value: dyn([])}]'
    )
    return f"({empty}) + " + _patch("initContainers", cluster, 'restartPolicy: "Always",')


def _patch(field: str, cluster: Cluster, more: str) -> str:
    """CEL for one container more, as "restricted" wants it, that does not hear a SIGTERM."""
    kind = f"Object.spec.{field}"
    return f"""[JSONPatch{{op: "add", path: "/spec/{field}/-", value: {kind}{{
        name: "istio-proxy", image: "{cluster.image}", imagePullPolicy: "IfNotPresent", {more}
        command: ["sleep", "infinity"],
        securityContext: {kind}.securityContext{{
            allowPrivilegeEscalation: false,
            capabilities: {kind}.securityContext.capabilities{{drop: ["ALL"]}}
        }}
    }}}}]"""


def _policy(name: str, condition: str, expression: str) -> dict[str, Any]:
    rule = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}
    return {
        "apiVersion": _API,
        "kind": "MutatingAdmissionPolicy",
        "metadata": {"name": name},
        "spec": {
            "failurePolicy": "Fail",
            "reinvocationPolicy": "Never",
            "matchConstraints": {"resourceRules": [rule]},
            "matchConditions": [
                {"name": "not-declined", "expression": f"!({_DECLINED})"},
                {"name": "of-this-kind", "expression": condition},
            ],
            "mutations": [{"patchType": "JSONPatch", "jsonPatch": {"expression": expression}}],
        },
    }


def _binding(policy: str, namespace: str) -> dict[str, Any]:
    only = {"matchLabels": {"kubernetes.io/metadata.name": namespace}}
    return {
        "apiVersion": _API,
        "kind": "MutatingAdmissionPolicyBinding",
        "metadata": {"name": policy},
        "spec": {"policyName": policy, "matchResources": {"namespaceSelector": only}},
    }
