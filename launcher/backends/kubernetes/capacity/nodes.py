"""Which nodes a worker's pod fits on, and how many of them at once; pure functions of objects.

The scheduler has the last word: spreading, affinity between pods and volumes are not looked at here.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from launcher.backends.kubernetes.capacity.matching import attracted, untolerated
from launcher.backends.kubernetes.capacity.requests import (
    DISK,
    GPU,
    Amounts,
    add,
    amounts,
    requests_of,
    shown,
)
from launcher.spec.templates import UNMEASURED

_GPU_LABELS = (
    "nvidia.com/gpu.product",
    "cloud.google.com/gke-accelerator",
    "node.kubernetes.io/instance-type",
)


@dataclass(frozen=True)
class NodeFit:
    """One node and a worker's pod."""

    node: str
    reason: str
    """Why it never fits there, empty where it does."""
    workers: int
    """How many fit on the node when it is empty."""
    workers_now: int | None
    """How many fit beside what runs there; None where the pods of all namespaces may not be listed."""


def fits(
    nodes: Iterable[Mapping[str, Any]], pod: Mapping[str, Any], pods: Sequence[Mapping[str, Any]] | None
) -> list[NodeFit]:
    """Every node with the spec of a worker's pod; `pods` are those of all namespaces, None if not known."""
    asked = requests_of(pod) | {"pods": Decimal(1)}
    taken = None if pods is None else _taken(pods)
    found = []
    for node in nodes:
        name, room = node["metadata"]["name"], amounts((node.get("status") or {}).get("allocatable"))
        reason = _repelled(node, pod) or _too_small(asked, room)
        now = None
        if taken is not None:
            used = taken.get(name, {})
            now = 0 if reason else _count(asked, {key: room[key] - used.get(key, 0) for key in room})
        found.append(NodeFit(name, reason, 0 if reason else _count(asked, room), now))
    return found


def _taken(pods: Iterable[Mapping[str, Any]]) -> dict[str, Amounts]:
    """What pods that have not ended hold of each node."""
    found: dict[str, Amounts] = {}
    for pod in pods:
        node = pod["spec"].get("nodeName")
        if node and (pod.get("status") or {}).get("phase") not in ("Succeeded", "Failed"):
            found[node] = add(found.get(node, {}), requests_of(pod["spec"]), {"pods": Decimal(1)})
    return found


def _count(asked: Amounts, room: Amounts) -> int:
    return max(0, min(int(room.get(name, Decimal(0)) // amount) for name, amount in asked.items() if amount))


def _too_small(asked: Amounts, room: Amounts) -> str:
    for name, amount in asked.items():
        has = room.get(name, Decimal(0))
        if name == DISK and amount and not has:
            return (
                f"measures no disk, of which a worker requests {shown(name, amount)} (--profile {UNMEASURED})"
            )
        if amount > has:
            return f"has {shown(name, has)} of {name}, a worker asks for {shown(name, amount)}"
    return ""


def _repelled(node: Mapping[str, Any], pod: Mapping[str, Any]) -> str:
    """Why a node takes no such pod whatever its size."""
    spec, labels = node.get("spec") or {}, node["metadata"].get("labels") or {}
    if spec.get("unschedulable"):
        return "is cordoned"
    conditions = {each["type"]: each["status"] for each in (node.get("status") or {}).get("conditions") or []}
    if conditions.get("Ready", "True") != "True":
        return "is not ready"
    for taint in untolerated(node, pod):
        return f"has the taint {taint['key']}, which no --profile tolerates"
    for key, value in (pod.get("nodeSelector") or {}).items():
        if labels.get(key) != value:
            return f"lacks the label {key}={value}"
    if not attracted(node, pod):
        return "does not match the required node affinity"
    return ""


def gpus(nodes: Iterable[Mapping[str, Any]]) -> dict[str, int]:
    """GPUs that nodes offer, by the product that their labels name."""
    found: Counter[str] = Counter()
    for node in nodes:
        count = amounts((node.get("status") or {}).get("allocatable")).get(GPU, Decimal(0))
        if count:
            labels = node["metadata"].get("labels") or {}
            found[next((labels[key] for key in _GPU_LABELS if key in labels), "of unknown type")] += int(
                count
            )
    return dict(sorted(found.items()))
