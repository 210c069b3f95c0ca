"""Which nodes a pod may go to by its node selector, required node affinity and tolerations.

As the scheduler reads them; pure functions of a node and of a pod's spec. How much room a node has is another
matter.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

Object = Mapping[str, Any]
_REPELS = ("NoSchedule", "NoExecute")


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


def untolerated(node: Object, spec: Mapping[str, Any]) -> list[Object]:
    """Taints of a node that keep a pod away."""
    taints = (node.get("spec") or {}).get("taints") or []
    tolerations = spec.get("tolerations") or []
    return [
        taint
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
