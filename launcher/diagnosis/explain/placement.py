"""A pod that the scheduler found no node for, and what it says of that; pure functions.

The scheduler counts nodes by the first thing that rules each of them out, so its sentence alone cannot tell
which of several things must change: nodes that are too full may be the only ones that the pod is meant for.
Causes therefore compare labels and taints themselves, where the nodes may be seen.
"""

import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, NamedTuple

from launcher.backends.kubernetes.capacity.requests import Amounts, amounts, requests_of
from launcher.backends.kubernetes.status.endings import conditions_of
from launcher.backends.kubernetes.status.wording import one_line
from launcher.diagnosis.explain.base import Evidence
from launcher.diagnosis.explain.evidence import from_condition, from_event
from launcher.diagnosis.explain.facts import Facts, Object

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
        if not has_no_node(pod) or placed.get("reason") == "SchedulingGated":
            continue
        event = facts.newest_event("FailedScheduling", about=pod)
        seen = from_event(event) if event else from_condition(pod, "Pod", "PodScheduled")
        message = _PREEMPTION.sub("", one_line(placed.get("message"), 2000)).rstrip(". ")
        if seen is not None:
            return Unplaced(worker, pod, message, seen)
    return None


def has_no_node(pod: Object) -> bool:
    """Whether the scheduler says of a pod that it has none."""
    return (conditions_of(pod).get("PodScheduled") or {}).get("status") == "False"


def shown_taint(taint: Object) -> str:
    """A taint as ``key=value:effect``."""
    value = f"={taint['value']}" if taint.get("value") else ""
    return f"{taint['key']}{value}:{taint.get('effect')}"


def largest(nodes: Sequence[Object], resource: str) -> Decimal:
    """The most of a resource that one of some nodes has to give."""
    found = [
        amounts((node.get("status") or {}).get("allocatable")).get(resource, Decimal(0)) for node in nodes
    ]
    return max(found, default=Decimal(0))
