"""What the NetworkPolicies of a namespace leave to a run's pods; pure functions of the objects.

Policies only ever allow: pods that some policy selects may do what any of those allows, pods that none
selects may do all. https://kubernetes.io/docs/concepts/services-networking/network-policies/
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

Object = Mapping[str, Any]
DNS_PORT = 53


class Forbidden(NamedTuple):
    """One thing that policies keep pods from."""

    what: str
    """Such as ``to ask DNS (port 53)``."""
    policies: tuple[str, ...]
    """Names of those that select the pods for that direction."""


def forbidden(policies: Iterable[Object], labels: Mapping[str, str], meeting: int) -> list[Forbidden]:
    """What pods with these labels lack to find and to reach each other; workers meet at port `meeting`.

    Trainers listen on fresh ports, so that a rule which names ports is not enough for them.
    """
    mine = [each for each in policies if selects((each.get("spec") or {}).get("podSelector"), labels)]
    out, into = ([each for each in mine if kind in _kinds(each)] for kind in ("Egress", "Ingress"))
    lacks = []
    if out and not any(_port(rule, DNS_PORT) for rule in _rules(out, "egress")):
        lacks.append(Forbidden(f"to ask DNS (port {DNS_PORT})", _names(out)))
    for direction, chosen, side, key in (
        ("to call", out, "egress", "to"),
        ("to be called by", into, "ingress", "from"),
    ):
        rules = [rule for rule in _rules(chosen, side) if _reaches(rule.get(key), labels)]
        if chosen and not any(_port(rule, meeting) for rule in rules):
            lacks.append(Forbidden(f"{direction} each other (port {meeting})", _names(chosen)))
        elif chosen and not any(not rule.get("ports") for rule in rules):
            lacks.append(Forbidden(f"{direction} each other on any port but those named", _names(chosen)))
    return lacks


def selects(selector: object, labels: Mapping[str, str]) -> bool:
    """Whether a label selector matches; an empty one matches all, none at all matches nothing."""
    if not isinstance(selector, Mapping):
        return False
    exact: Mapping[str, str] = selector.get("matchLabels") or {}
    return all(labels.get(key) == value for key, value in exact.items()) and all(
        _holds(each, labels) for each in selector.get("matchExpressions") or []
    )


def _holds(expression: Object, labels: Mapping[str, str]) -> bool:
    key, operator, values = expression.get("key"), expression.get("operator"), expression.get("values") or []
    there = labels.get(str(key))
    return {
        "In": there in values,
        "NotIn": there is None or there not in values,
        "Exists": there is not None,
        "DoesNotExist": there is None,
    }.get(str(operator), False)


def _kinds(policy: Object) -> Sequence[str]:
    spec = policy.get("spec") or {}
    return spec.get("policyTypes") or (["Ingress", "Egress"] if spec.get("egress") else ["Ingress"])


def _rules(policies: Iterable[Object], side: str) -> list[Object]:
    return [rule for each in policies for rule in (each.get("spec") or {}).get(side) or []]


def _port(rule: Object, port: int) -> bool:
    """Whether a rule allows a port; a port by name is taken for the right one."""
    ports = rule.get("ports")
    return not ports or any(
        not isinstance(each.get("port"), int) or each["port"] <= port <= (each.get("endPort") or each["port"])
        for each in ports
    )


def _reaches(peers: object, labels: Mapping[str, str]) -> bool:
    """Whether a rule's peers hold pods with these labels in this namespace; blocks of addresses may."""
    if not peers or not isinstance(peers, Sequence):
        return True
    return any(
        "ipBlock" in each
        or (each.get("namespaceSelector") in (None, {}) and selects(each.get("podSelector", {}), labels))
        for each in peers
    )


def _names(policies: Iterable[Object]) -> tuple[str, ...]:
    return tuple(sorted(str(each["metadata"]["name"]) for each in policies))
