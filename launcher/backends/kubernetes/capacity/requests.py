"""What pods ask a cluster for, and whether a namespace's quotas leave it; pure functions of objects."""

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any, NamedTuple

from launcher.spec.validation import quantity

Amounts = dict[str, Decimal]
"""By resource, in cores, bytes and pieces: ``{"cpu": Decimal(2), "nvidia.com/gpu": Decimal(1)}``."""

GPU, DISK = "nvidia.com/gpu", "ephemeral-storage"
# Scopes of a quota that a worker's pod is never in: it asks for something, and has no deadline of its own.
_NEVER = frozenset({"BestEffort", "Terminating"})
_BARE = ("cpu", "memory", DISK)  # "cpu" alone in a quota means requests.cpu


def amounts(values: Mapping[str, Any] | None) -> Amounts:
    """Quantities as numbers; what is none counts as nothing."""
    return {name: quantity(str(value)) or Decimal(0) for name, value in (values or {}).items()}


def requests_of(pod: Mapping[str, Any]) -> Amounts:
    """What a pod's spec makes the scheduler set aside: a limit counts where there is no request."""
    return _of(pod, lambda resources: amounts(resources.get("limits")) | amounts(resources.get("requests")))


def limits_of(pod: Mapping[str, Any]) -> Amounts:
    """The limits of a pod's spec."""
    return _of(pod, lambda resources: amounts(resources.get("limits")))


def _of(pod: Mapping[str, Any], asked: Any) -> Amounts:
    """The containers' together, or an init container's where that is more, and the runtime's overhead.

    An init container that restarts is a sidecar, and counts like the others.
    """
    first = pod.get("initContainers") or []
    sidecars = [each for each in first if each.get("restartPolicy") == "Always"]
    together = add(*(asked(each.get("resources") or {}) for each in (*pod["containers"], *sidecars)))
    for each in first:
        for name, amount in asked(each.get("resources") or {}).items():
            together[name] = max(together.get(name, Decimal(0)), amount)
    return add(together, amounts(pod.get("overhead")))


def add(*several: Amounts) -> Amounts:
    """Sums by resource."""
    total: Amounts = {}
    for each in several:
        for name, amount in each.items():
            total[name] = total.get(name, Decimal(0)) + amount
    return total


def times(count: int, each: Amounts) -> Amounts:
    """So many of the same."""
    return {name: count * amount for name, amount in each.items()}


def use_of(pod: Mapping[str, Any]) -> Amounts:
    """What quotas count of one pod with such a spec, by their own names."""
    requests, limits = requests_of(pod), limits_of(pod)
    found = {f"requests.{name}": amount for name, amount in requests.items()}
    found |= {f"limits.{name}": amount for name, amount in limits.items()}
    found |= {name: requests[name] for name in _BARE if name in requests}
    return found | {"pods": Decimal(1), "count/pods": Decimal(1)}


def asked_of_quota(manifests: Sequence[Mapping[str, Any]], pod: Mapping[str, Any] | None = None) -> Amounts:
    """What a quota counts of a Job or of a CronJob's firing, and of its children, while all its pods run.

    `pod` is the spec of a pod as the cluster completes it, where that is known.
    """
    job = job_of(manifests[0])
    found = times(int(job["parallelism"]), use_of(pod or job["template"]["spec"]))
    services = sum(each["kind"] == "Service" for each in manifests)
    found |= {"services": Decimal(services), "count/services": Decimal(services)}
    return found | {"count/jobs.batch": Decimal(1)}


def job_of(manifest: Mapping[str, Any]) -> Mapping[str, Any]:
    """The spec of a Job, or of those that a CronJob makes."""
    spec: Mapping[str, Any] = manifest["spec"]
    if manifest["kind"] == "CronJob":
        spec = spec["jobTemplate"]["spec"]
    return spec


class Shortage(NamedTuple):
    """A resource of a quota that does not suffice."""

    quota: str
    resource: str
    asked: Decimal | None
    """None where pods state none, which a quota on it does not let pass."""
    hard: Decimal
    used: Decimal

    @property
    def never(self) -> bool:
        """Whether it would not suffice with nothing else in the namespace."""
        return self.asked is None or self.asked > self.hard

    def __str__(self) -> str:
        limit = f"{shown(self.resource, self.hard)} of {self.resource} by quota '{self.quota}'"
        if self.asked is None:
            return f"workers state no {self.resource}, and the namespace has {limit}"
        return (
            f"asks for {shown(self.resource, self.asked)}, and the namespace has {limit}, "
            f"{shown(self.resource, self.used)} in use"
        )


def shortages(
    quotas: Iterable[Mapping[str, Any]],
    manifests: Sequence[Mapping[str, Any]],
    pod: Mapping[str, Any] | None = None,
) -> list[Shortage]:
    """Where the quotas of a namespace do not leave what a Job and its children ask for.

    `pod` is the spec of a worker's pod as the cluster completes it, with a LimitRange's defaults say.
    """
    asked, found = asked_of_quota(manifests, pod), []
    for quota in filter(counts, quotas):
        status = quota.get("status") or {}
        hard = amounts(status.get("hard") or quota["spec"].get("hard"))
        used = amounts(status.get("used"))
        for resource, limit in hard.items():
            wanted, taken = asked.get(resource), used.get(resource, Decimal(0))
            must_state = resource in (
                *_BARE,
                *(f"{kind}.{name}" for kind in ("requests", "limits") for name in _BARE),
            )
            if must_state if wanted is None else wanted + taken > limit:
                found.append(Shortage(quota["metadata"]["name"], resource, wanted, limit, taken))
    return found


def counts(quota: Mapping[str, Any]) -> bool:
    """Whether a quota counts a worker's pods; one for a priority class is taken not to."""
    spec = quota["spec"]
    scopes = set(spec.get("scopes") or ())
    selected = (spec.get("scopeSelector") or {}).get("matchExpressions") or []
    scopes |= {each.get("scopeName") for each in selected}
    return not scopes & (_NEVER | {"PriorityClass", "CrossNamespacePodAffinity"})


def shown(resource: str, amount: Decimal) -> str:
    """An amount for people: bytes as Gi or Mi, the rest as a number."""
    if not resource.endswith(("memory", "storage")):
        return f"{amount.normalize():f}"
    for unit, size in (("Gi", 2**30), ("Mi", 2**20), ("Ki", 2**10)):
        if amount >= size:
            return f"{float(amount / size):.4g}{unit}"
    return f"{amount:f}"
