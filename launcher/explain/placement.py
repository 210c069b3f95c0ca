"""Which nodes a pod could be put on, and what the scheduler says of those it could not; pure functions.

The scheduler counts nodes by the first thing that rules each of them out, so its sentence alone cannot tell
which of several things must change: nodes that are too full may be the only ones that the pod is meant for.
With the nodes at hand, labels and taints are compared here as the scheduler does.
"""

import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, NamedTuple

from launcher.backends.kubernetes.endings import conditions_of
from launcher.backends.kubernetes.requests import Amounts, amounts, requests_of
from launcher.backends.kubernetes.wording import one_line
from launcher.explain.base import Evidence
from launcher.explain.evidence import from_condition, from_event
from launcher.explain.facts import Facts, Object

_REPELS = ("NoSchedule", "NoExecute")
_PREEMPTION = re.compile(r",? ?(?:no new claims to deallocate|preemption:|not found$).*")


class Unplaced(NamedTuple):
    """A pod that the scheduler found no node for."""

    worker: int
    pod: Object
    message: str
    """Why, without what preemption could do."""
    evidence: Evidence

    @property
    def spec(self) -> Mapping[str, Any]:
        """The pod's spec."""
        found: Mapping[str, Any] = self.pod.get("spec") or {}
        return found

    @property
    def asked(self) -> Amounts:
        """What it asks for, by resource."""
        return requests_of(self.spec)


def unplaced(facts: Facts) -> Unplaced | None:
    """The first worker whose pod has no node, None when all have one or were not looked at yet."""
    for worker, pod in facts.newest:
        placed = conditions_of(pod).get("PodScheduled") or {}
        if placed.get("status") != "False" or placed.get("reason") == "SchedulingGated":
            continue
        event = facts.newest_event("FailedScheduling", about=pod)
        seen = from_event(event) if event else from_condition(pod, "Pod", "PodScheduled")
        message = _PREEMPTION.sub("", one_line(placed.get("message"), 2000)).rstrip(". ")
        if seen is not None:
            return Unplaced(worker, pod, message, seen)
    return None


def chosen(nodes: Sequence[Object], spec: Mapping[str, Any]) -> list[Object]:
    """Nodes that a pod's node selector and required node affinity leave."""
    return [node for node in nodes if selected(node, spec) and attracted(node, spec)]


def selected(node: Object, spec: Mapping[str, Any]) -> bool:
    """Whether a node has all labels of a pod's node selector."""
    labels = node["metadata"].get("labels") or {}
    return all(labels.get(key) == value for key, value in (spec.get("nodeSelector") or {}).items())


def attracted(node: Object, spec: Mapping[str, Any]) -> bool:
    """Whether a node meets a pod's required node affinity: one of its terms."""
    affinity = (spec.get("affinity") or {}).get("nodeAffinity") or {}
    terms = (affinity.get("requiredDuringSchedulingIgnoredDuringExecution") or {}).get("nodeSelectorTerms")
    labels, name = node["metadata"].get("labels") or {}, {"metadata.name": node["metadata"]["name"]}
    return terms is None or any(
        all(_matches(each, labels) for each in term.get("matchExpressions") or [])
        and all(_matches(each, name) for each in term.get("matchFields") or [])
        for term in terms
    )


def _matches(wanted: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    has, operator, values = labels.get(wanted["key"]), wanted["operator"], wanted.get("values") or []
    if operator in ("Gt", "Lt"):
        if has is None or not re.fullmatch(r"-?\d+", has):
            return False
        return int(has) > int(values[0]) if operator == "Gt" else int(has) < int(values[0])
    return bool(
        {
            "In": has is not None and has in values,
            "NotIn": has not in values,
            "Exists": has is not None,
            "DoesNotExist": has is None,
        }.get(operator, False)
    )


def untolerated(node: Object, spec: Mapping[str, Any]) -> list[str]:
    """Taints of a node that keep a pod away, as ``key=value:effect``."""
    taints = (node.get("spec") or {}).get("taints") or []
    tolerations = spec.get("tolerations") or []
    return [
        f"{taint['key']}{'=' + taint['value'] if taint.get('value') else ''}:{taint.get('effect')}"
        for taint in taints
        if taint.get("effect") in _REPELS and not any(_tolerates(each, taint) for each in tolerations)
    ]


def _tolerates(toleration: Mapping[str, Any], taint: Mapping[str, Any]) -> bool:
    if toleration.get("effect") not in (None, "", taint.get("effect")):
        return False
    if toleration.get("operator") == "Exists":
        return toleration.get("key") in (None, "", taint["key"])
    same = (toleration.get("value") or "") == (taint.get("value") or "")
    return toleration.get("key") == taint["key"] and same


def largest(nodes: Sequence[Object], resource: str) -> Decimal:
    """The most of a resource that one of some nodes has to give."""
    found = [
        amounts((node.get("status") or {}).get("allocatable")).get(resource, Decimal(0)) for node in nodes
    ]
    return max(found, default=Decimal(0))
