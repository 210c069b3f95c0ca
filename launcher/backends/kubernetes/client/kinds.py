"""Where the API server keeps objects of a kind."""

from typing import NamedTuple

from launcher.errors import SpecError


class Kind(NamedTuple):
    """A kind of object: its API version, its name in addresses, and whether it lives in a namespace."""

    api: str
    plural: str
    namespaced: bool = True

    @property
    def group(self) -> str:
        """Its API group as permissions name it, empty for the core."""
        return self.api.rpartition("/")[0]

    def path(self, namespace: str, name: str = "") -> str:
        """Address of the collection, or of one object in it."""
        root = f"/apis/{self.api}" if "/" in self.api else f"/api/{self.api}"
        where = f"/namespaces/{namespace}" if self.namespaced else ""
        return f"{root}{where}/{self.plural}" + (f"/{name}" if name else "")


_KINDS = {
    "ConfigMap": Kind("v1", "configmaps"),
    "CronJob": Kind("batch/v1", "cronjobs"),
    "Event": Kind("v1", "events"),
    "Job": Kind("batch/v1", "jobs"),
    "LimitRange": Kind("v1", "limitranges"),
    "Namespace": Kind("v1", "namespaces", namespaced=False),
    "NetworkPolicy": Kind("networking.k8s.io/v1", "networkpolicies"),
    "Node": Kind("v1", "nodes", namespaced=False),
    "PersistentVolumeClaim": Kind("v1", "persistentvolumeclaims"),
    "Pod": Kind("v1", "pods"),
    "PodDisruptionBudget": Kind("policy/v1", "poddisruptionbudgets"),
    "ResourceQuota": Kind("v1", "resourcequotas"),
    "Role": Kind("rbac.authorization.k8s.io/v1", "roles"),
    "RoleBinding": Kind("rbac.authorization.k8s.io/v1", "rolebindings"),
    "Secret": Kind("v1", "secrets"),
    "SelfSubjectAccessReview": Kind("authorization.k8s.io/v1", "selfsubjectaccessreviews", namespaced=False),
    "SelfSubjectReview": Kind("authentication.k8s.io/v1", "selfsubjectreviews", namespaced=False),
    "Service": Kind("v1", "services"),
    "ServiceAccount": Kind("v1", "serviceaccounts"),
}


def kind_of(kind: str, api: str | None = None) -> Kind:
    """What is known of a kind; `api` is the API version that a manifest states.

    Raises:
        SpecError: it is none that a run has.
    """
    try:
        known = _KINDS[kind]
    except KeyError:
        raise SpecError(f"kind {kind}: expected one of {', '.join(sorted(_KINDS))}") from None
    return known if api is None else known._replace(api=api)


def kind_by_plural(plural: str) -> str | None:
    """The kind that addresses and refusals call so, such as ``Job`` of ``jobs``; None for one unknown."""
    return next((name for name, kind in _KINDS.items() if kind.plural == plural), None)
