"""Every permission that the launcher asks for: one table for preflight, doctor and the Roles in ``docs/``.

A test compares the table with those Roles, so that granting them is always enough.
"""

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

from launcher.backends.kubernetes.client.api import Api
from launcher.backends.kubernetes.client.rejections import ROLE

__all__ = ["CLUSTER_ROLE", "CLUSTER_RULES", "ROLE", "RULES", "Permission", "Rule", "always_needed", "missing"]

CLUSTER_ROLE = "docs/launcher-cluster-role.yaml"  # optional: nodes are no namespace's
_THREADS = 16


class Permission(NamedTuple):
    """A verb on a resource of an API group."""

    verb: str
    group: str
    resource: str

    def __str__(self) -> str:
        return f"{self.verb} {self.resource}" + (f".{self.group}" if self.group else "")


class Rule(NamedTuple):
    """Verbs on one resource, and what cannot be done without them."""

    group: str
    resource: str
    verbs: tuple[str, ...]
    purpose: str
    """The commands that need them."""
    always: bool = False
    """Whether no run can be submitted and followed without them."""

    @property
    def permissions(self) -> Iterator[Permission]:
        """One for each verb."""
        return (Permission(verb, self.group, self.resource) for verb in self.verbs)


RULES = (
    Rule(
        "batch",
        "jobs",
        ("create", "get", "list", "watch", "patch", "delete"),
        "submit, cancel, resume, delete and all that read a run",
        always=True,
    ),
    Rule("", "services", ("create",), "submit", always=True),
    Rule("", "pods", ("list", "watch"), "status, list, wait and logs", always=True),
    Rule("", "pods/log", ("get",), "logs", always=True),
    Rule("", "events", ("list",), "status and explain", always=True),
    Rule("", "pods", ("delete",), "cancel --now"),
    Rule("batch", "jobs/finalizers", ("update",), "submit on OpenShift"),
    Rule("networking.k8s.io", "networkpolicies", ("create",), "submit --profile network-policy"),
    Rule("", "serviceaccounts", ("create",), "submit --profile workload-identity"),
    Rule("policy", "poddisruptionbudgets", ("create",), "submit --profile spot"),
    Rule("", "configmaps", ("create",), "submit, where k8s/ was given a ConfigMap"),
    Rule("", "services", ("get",), "diff and explain"),
    Rule("batch", "cronjobs", ("create", "get", "list", "patch", "delete"), "cron"),
    Rule("batch", "cronjobs/finalizers", ("update",), "cron create on OpenShift"),
    Rule("", "services", ("patch", "delete"), "cron update"),
    Rule("networking.k8s.io", "networkpolicies", ("patch", "delete"), "cron update, with the profile"),
    Rule("", "serviceaccounts", ("patch", "delete"), "cron update, with the profile"),
    Rule("policy", "poddisruptionbudgets", ("patch", "delete"), "cron update, with the profile"),
    Rule("", "configmaps", ("patch", "delete"), "cron update, where k8s/ was given a ConfigMap"),
    Rule("networking.k8s.io", "networkpolicies", ("get",), "diff"),
    Rule("networking.k8s.io", "networkpolicies", ("list",), "explain, where workers do not meet"),
    Rule("", "serviceaccounts", ("get",), "diff and explain"),
    Rule("policy", "poddisruptionbudgets", ("get",), "diff"),
    Rule("", "configmaps", ("get",), "diff, where k8s/ was given a ConfigMap"),
    Rule("", "namespaces", ("get",), "doctor: the Pod Security level; explain, of a Job that is gone"),
    Rule("", "resourcequotas", ("list",), "submit, cron create, doctor, submit --estimate and explain"),
    Rule("", "limitranges", ("list",), "explain"),
    Rule("", "persistentvolumeclaims", ("get",), "explain"),
    Rule("kueue.x-k8s.io", "localqueues", ("get",), "doctor, of a queue"),
    Rule("kueue.x-k8s.io", "workloads", ("list",), "explain, of a run in a queue"),
    Rule("visibility.kueue.x-k8s.io", "localqueues/pendingworkloads", ("get",), "explain, of a queue"),
    Rule(
        "",
        "pods",
        ("create",),
        "submit, resume, cron create and doctor: whether a worker's pod is admitted, by a dry run",
    ),
)
"""In a namespace."""

CLUSTER_RULES = (
    Rule("", "nodes", ("list",), "doctor, submit --estimate and explain: which nodes a worker fits on"),
    Rule("", "pods", ("list",), "doctor and submit --estimate: what is left of the nodes"),
)
"""In the whole cluster; without them the launcher knows less and does no less."""


def always_needed(rules: Iterable[Rule] = RULES) -> list[Permission]:
    """What no run can do without."""
    return [permission for rule in rules if rule.always for permission in rule.permissions]


def missing(api: Api, permissions: Sequence[Permission], *, everywhere: bool = False) -> list[Permission]:
    """Those of some permissions that the user lacks in the namespace, or `everywhere` in the cluster."""
    with ThreadPoolExecutor(_THREADS) as pool:
        allowed = list(pool.map(lambda each: _allowed(api, each, everywhere), permissions))
    return [permission for permission, yes in zip(permissions, allowed, strict=True) if not yes]


def _allowed(api: Api, permission: Permission, everywhere: bool) -> bool:
    resource, _, below = permission.resource.partition("/")
    asked = {
        **({} if everywhere else {"namespace": api.namespace}),
        "verb": permission.verb,
        "group": permission.group,
        "resource": resource,
        **({"subresource": below} if below else {}),
    }
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": asked},
    }
    return bool(api.create(review)["status"].get("allowed"))
