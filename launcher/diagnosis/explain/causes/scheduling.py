"""Pods that the scheduler finds no node for.

Its sentence says for how many nodes what is missing; `placement` compares labels and taints where the user
may see the nodes, so that of several things the one is named that must change.
"""

import re
from collections.abc import Callable
from decimal import Decimal

from launcher.backends.kubernetes.capacity.matching import attracted, chosen, selected, untolerated
from launcher.backends.kubernetes.capacity.requests import DISK, GPU, shown
from launcher.diagnosis.explain.base import Cause, Evidence, Finding
from launcher.diagnosis.explain.causes.needs import bytes_of, in_mib, needed
from launcher.diagnosis.explain.causes.restart import resume, submit
from launcher.diagnosis.explain.evidence import from_field
from launcher.diagnosis.explain.facts import Facts, Object
from launcher.diagnosis.explain.fix import Fix
from launcher.diagnosis.explain.placement import Unplaced, largest, shown_taint, unplaced
from launcher.spec.templates import UNMEASURED

_RULES = (
    (r"didn't match pod anti-affinity rules", "podAntiAffinity", "required distance from other pods"),
    (r"didn't match pod affinity rules", "podAffinity", "required nearness to other pods"),
    (r"didn't match pod topology spread constraints", "topologySpreadConstraints", "required spread"),
)
_PLURALS = {"cpu": "cores", "memory": "memory", GPU: "GPUs"}
_FREE = Decimal("0.9")  # the system's own pods have a part of each node
_OWN = "a copy of k8s/ whose job.yaml"


def short_of(resource: str) -> Callable[[Facts], Finding | None]:
    """The cause that no node has enough of a resource; of `""` that of any other resource."""

    def find(facts: Facts) -> Finding | None:
        pod = unplaced(facts)
        lacking = re.findall(r"Insufficient ([\w./-]+)|(Too many pods)", pod.message) if pod else []
        short = [each or "pods" for each, _ in lacking]
        if pod is None or not short or (facts.nodes and not _open(facts, pod)):
            return None
        known = [each for each in short if each in _PLURALS]
        if resource not in short and (resource or known):
            return None
        return _short(facts, pod, resource or short[0])

    return find


def _open(facts: Facts, pod: Unplaced) -> list[Object]:
    """Nodes that the pod may go to, whatever room they have."""
    return [
        node
        for node in chosen(facts.nodes, pod.spec)
        if not untolerated(node, pod.spec) and not (node.get("spec") or {}).get("unschedulable")
    ]


def _short(facts: Facts, pod: Unplaced, resource: str) -> Finding:
    asked, nodes = pod.asked.get(resource, Decimal(0)), _open(facts, pod)
    most = largest(nodes, resource)
    sentence = f"no node has room for worker {pod.worker}, which asks for {_said(resource, asked)}"
    seen = (pod.evidence, *(_allocatable(node, resource) for node in nodes[:2]))
    if not nodes or asked <= most:
        more = f"; the largest node has {_said(resource, most)}, of which others have a part" if nodes else ""
        if resource == DISK and not nodes:
            more = f"; nodes that do not measure their disks take it with --profile {UNMEASURED} alone"
        others = facts.kubectl("get pods -o wide --field-selector status.phase=Running")
        return Finding(
            sentence + more, seen, others.noting(f"{facts.name} starts when enough of them have ended")
        )
    if most:
        sentence += f": the largest node that it may go to has {_said(resource, most)}"
    elif resource == DISK:
        sentence = (
            f"no node measures its disk, and worker {pod.worker} requests {shown(resource, asked)} of it"
        )
    else:
        what = _PLURALS.get(resource, resource)
        sentence = f"no node has {what}, and worker {pod.worker} asks for {shown(resource, asked)}"
    return Finding(sentence, seen, _smaller(facts, resource, most))


def _smaller(facts: Facts, resource: str, most: Decimal) -> Fix:
    """The run again with what a node has of a resource; of memory with what a worker needs."""
    if resource == "memory":
        need = needed(facts)
        size = in_mib(most * _FREE) if need is None else need.to_ask_for
        if bytes_of(size) > most:
            return facts.wide("describe nodes").noting(
                f"none has the {size} that a worker needs: add one that has"
            )
        return resume(facts, "--memory", size)
    if resource == "cpu":
        return submit(facts, cpu=shown(resource, most))
    if resource == GPU:
        return submit(facts, gpus=int(most))
    if resource == DISK and not most and not facts.spec.get("manifests"):
        return submit(facts, profiles=[*(facts.spec.get("profiles") or ()), UNMEASURED])
    return facts.wide("describe nodes")


def _said(resource: str, amount: Decimal) -> str:
    """An amount of a resource in a sentence: ``3 cores``, ``100Gi of memory``."""
    word = _PLURALS.get(resource, f"of {resource}")
    return f"{shown(resource, amount)} {'of memory' if resource == 'memory' else word}"


def _allocatable(node: Object, resource: str) -> Evidence:
    has = ((node.get("status") or {}).get("allocatable") or {}).get(resource, "none")
    return from_field(node, "Node", f"status.allocatable[{resource}]", has)


def _is_unclear(facts: Facts, pod: Unplaced) -> bool:
    """Whether nodes that may not be looked at are ruled out by one thing each."""
    return not facts.nodes and len(re.findall(r"\d+ (?:node\(s\)|Insufficient|Too many)", pod.message)) > 1


def selector(facts: Facts) -> Finding | None:
    """A node selector that no node's labels meet."""
    pod = unplaced(facts)
    wanted = pod.spec.get("nodeSelector") if pod else None
    if pod is None or not wanted or not re.search(r"didn't match Pod's node affinity/selector", pod.message):
        return None
    if any(selected(node, pod.spec) for node in facts.nodes) or _is_unclear(facts, pod):
        return None
    labels = ", ".join(f"{key}={value}" for key, value in wanted.items())
    sentence = f"no node has the label that worker {pod.worker}'s node selector wants: {labels}"
    seen = from_field(pod.pod, "Pod", "spec.nodeSelector", labels)
    fix = facts.wide("label node NODE", *(f"{key}={value}" for key, value in wanted.items()))
    return Finding(sentence, (pod.evidence, seen), fix)


def affinity(facts: Facts) -> Finding | None:
    """Required affinity to nodes or pods, or a spread, that cannot be met."""
    pod = unplaced(facts)
    if pod is None:
        return None
    fix = submit(facts, manifests="DIR").noting(f"{_OWN} asks for it as preferred, not as required")
    for pattern, field, words in _RULES:
        if re.search(pattern, pod.message) and (rule := _rule(pod, field)):
            return Finding(f"no node meets worker {pod.worker}'s {words}", (pod.evidence, rule), fix)
    rule = _rule(pod, "nodeAffinity")
    met = any(attracted(node, pod.spec) for node in chosen(facts.nodes, pod.spec))
    if (
        rule is None
        or met
        or _is_unclear(facts, pod)
        or "didn't match Pod's node affinity/selector" not in pod.message
    ):
        return None
    return Finding(
        f"no node meets worker {pod.worker}'s required node affinity: {rule.text}", (pod.evidence, rule), fix
    )


def _rule(pod: Unplaced, field: str) -> Evidence | None:
    if field == "topologySpreadConstraints":
        rules = pod.spec.get(field)
        return from_field(pod.pod, "Pod", f"spec.{field}", rules) if rules else None
    required = ((pod.spec.get("affinity") or {}).get(field) or {}).get(
        "requiredDuringSchedulingIgnoredDuringExecution"
    )
    if not required:
        return None
    terms = required.get("nodeSelectorTerms") if isinstance(required, dict) else required
    return from_field(pod.pod, "Pod", f"spec.affinity.{field}", _plainly(terms))


def _plainly(terms: object) -> str:
    """Terms of an affinity without Python's quotes."""
    return re.sub(r"['{}\[\]]", "", str(terms))


def taint(facts: Facts) -> Finding | None:
    """Nodes that would do and take only pods that tolerate a taint, or none while they are cordoned."""
    pod = unplaced(facts)
    if pod is None or not re.search(r"untolerated taint|were unschedulable", pod.message):
        return None
    nodes = chosen(facts.nodes, pod.spec)
    repelled = {
        node["metadata"]["name"]: list(map(shown_taint, untolerated(node, pod.spec))) for node in nodes
    }
    if (facts.nodes and not any(repelled.values())) or _is_unclear(facts, pod):
        return None
    seen = [
        from_field(node, "Node", "spec.taints", ", ".join(repelled[node["metadata"]["name"]]))
        for node in nodes[:2]
    ]
    names = sorted({name for taints in repelled.values() for name in taints})
    named = re.findall(r"untolerated taint \{([^}]*)\}", pod.message)  # before 1.36 the scheduler names them
    which = ", ".join(names or named) or "a taint"
    sentence = (
        f"the nodes that worker {pod.worker} could go to have a taint that it does not tolerate: {which}"
    )
    if all(name.startswith("node.kubernetes.io/unschedulable") for name in names or ("",)):
        return Finding(
            f"the nodes that worker {pod.worker} could go to are cordoned",
            (pod.evidence, *seen),
            facts.wide("uncordon", *repelled),
        )
    fix = submit(facts, manifests="DIR").noting(
        f"{_OWN} has a toleration for it (the profiles gpu and spot have theirs)"
    )
    return Finding(sentence, (pod.evidence, *seen), fix)


def no_node(facts: Facts) -> Finding | None:
    """Whatever else the scheduler says, in its own words."""
    if (pod := unplaced(facts)) is None:
        return None
    sentence = f"no node takes worker {pod.worker}: {pod.message}"
    return Finding(sentence, (pod.evidence,), facts.kubectl("describe pod", str(pod.pod["metadata"]["name"])))


_FITS = (
    "Ask for less, add nodes that are large enough, or wait until other pods end; the pod starts by itself"
)
_SEEN = "PodScheduled is False and FailedScheduling says `Insufficient {}`"
SCHEDULING = (
    Cause(
        "no-gpu",
        "No node has the GPUs",
        _SEEN.format(GPU),
        "Add GPU nodes with the device plugin (`kubectl get nodes -o custom-columns=NAME:.metadata.name,GPUS:"
        ".status.allocatable.nvidia\\.com/gpu`), or rerun with fewer `--gpus`",
        short_of(GPU),
    ),
    Cause("insufficient-memory", "No node has the memory", _SEEN.format("memory"), _FITS, short_of("memory")),
    Cause("insufficient-cpu", "No node has the cores", _SEEN.format("cpu"), _FITS, short_of("cpu")),
    Cause(
        "insufficient-other",
        "No node has room for something else",
        _SEEN.format("…") + " for another resource, or `Too many pods`",
        _FITS,
        short_of(""),
    ),
    Cause(
        "node-selector",
        "No node has the labels of the node selector",
        "FailedScheduling says `didn't match Pod's node affinity/selector`, and the pod has a nodeSelector",
        "Label a node, or change the selector in the copy of `k8s/` that `--manifests` names",
        selector,
    ),
    Cause(
        "affinity",
        "Required affinity cannot be met",
        "FailedScheduling says `didn't match Pod's node affinity/selector`, `pod affinity rules`, "
        "`pod anti-affinity rules` or `topology spread constraints`",
        "Prefer instead of requiring, or add nodes that meet it",
        affinity,
    ),
    Cause(
        "taint",
        "The nodes have a taint that is not tolerated",
        "FailedScheduling says `untolerated taint` or `were unschedulable`, and the nodes fit otherwise",
        "Add a toleration (`--profile gpu` and `--profile spot` have theirs), or untaint or uncordon a node",
        taint,
    ),
    Cause(
        "no-node",
        "No node takes the pod",
        "FailedScheduling, for several reasons of which without a look at the nodes none stands out, or for "
        "another than the above",
        "What the scheduler says is shown; with `docs/launcher-cluster-role.yaml` explain sees the nodes too",
        no_node,
    ),
)
