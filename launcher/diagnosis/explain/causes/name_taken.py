"""Pods that were taken away: preempted, evicted, deleted by somebody, or lost with their node."""

import re
from collections.abc import Iterator
from typing import NamedTuple

from launcher.backends.kubernetes.status.endings import disruption, ending, node_is_lost
from launcher.backends.kubernetes.status.pods import phase_of, pod_status
from launcher.backends.kubernetes.status.wording import because
from launcher.diagnosis.explain.base import Cause, Evidence, Finding
from launcher.diagnosis.explain.causes import restart
from launcher.diagnosis.explain.causes.words import ended, find
from launcher.diagnosis.explain.evidence import (
    from_condition,
    from_container,
    from_event,
    from_field,
    present,
)
from launcher.diagnosis.explain.facts import Facts, Object, message_of, object_name
from launcher.diagnosis.explain.health import passing
from launcher.render.labels import CANCELLED, annotation

_TARGET = "DisruptionTarget"
_PREEMPTED = frozenset({"PreemptionByScheduler", "Preempting"})
_NODE = frozenset({"DeletionByTaintManager", "DeletionByPodGC", "NodeLost", "NodeShutdown", "Terminated"})
_EVENTS = {"Preempted": "preempted", "Evicted": "evicted", "TaintManagerEviction": "node"}
_UNCOUNTED = "it was told to stop, and the Job does not count that as a failure"
_NO_FINALIZERS = '{"metadata":{"finalizers":null}}'
_INDEX = re.compile(r"-(\d+)-[a-z0-9]+$")


class Taken(NamedTuple):
    """A pod that the cluster took away."""

    kind: str
    """preempted, evicted or node."""
    worker: int | None
    why: str
    """In the cluster's words."""
    seen: tuple[Evidence, ...]


def preempted(facts: Facts) -> Finding | None:
    """Pods of a higher priority took the place."""
    return _taken(facts, "preempted", "was preempted by a pod of a higher priority")


def evicted(facts: Facts) -> Finding | None:
    """The node needed what the pod had, or somebody drained it."""
    return _taken(facts, "evicted", "was evicted from its node")


def node_lost(facts: Facts) -> Finding | None:
    """A node that is not ready or is gone."""
    for worker, pod in facts.newest:
        if node_is_lost(pod):
            node = (pod.get("spec") or {}).get("nodeName")
            seen = present([from_condition(pod, "Pod", "Ready"), *_node_conditions(facts, node)])
            name = pod["metadata"]["name"]
            # By itself it would stay: the Job's controller holds on to it until a kubelet says how it ended.
            let_go = facts.kubectl("patch", "pod", name, "--type=merge", "-p", _NO_FINALIZERS)
            gone = let_go.then(facts.kubectl("delete", "pod", name, "--force", "--grace-period=0"))
            sentence = (
                f"node '{node}' of worker {worker} is not ready, and nobody knows whether its pod still runs"
            )
            return Finding(sentence, seen, gone.noting(f"only when node '{node}' will not come back"))
    return _taken(facts, "node", "lost its node")


def deleted(facts: Facts) -> Finding | None:
    """Somebody deleted a worker's pod, by which the Job failed."""
    end = facts.verdict
    if end is None or end.reason != "BackoffLimitExceeded":
        return None
    for index, pod, container, over in ended(facts):
        if ending(pod, over)[0] == "Deleted":
            return _deleted(facts, index, [from_container(pod, container)])
    said = find(facts, r"asked to stop \(SIGTERM\)|was asked to stop")
    stopped = facts.newest_event("Killing")
    if said is None and stopped is None:
        return None
    seen = [from_event(stopped)] if stopped else []
    worker = _worker_of(stopped) if stopped else None
    if said:
        seen, worker = [*seen, said.word.seen], said.word.worker if said.word.worker is not None else worker
    return _deleted(facts, worker, seen)


def _deleted(facts: Facts, worker: int | None, seen: list[Evidence]) -> Finding:
    assert facts.job is not None
    limit = facts.job["spec"].get("backoffLimit")
    who = "a worker" if worker is None else f"worker {worker}"
    sentence = f"somebody deleted the pod of {who}, and no more than {limit} may fail (--backoff-limit)"
    more = present([from_condition(facts.job, "Job", "FailureTarget")])
    return Finding(sentence, [*seen, *more], restart.resume(facts))


def _taken(facts: Facts, kind: str, what: str) -> Finding | None:
    """A pod that was taken away, where the run goes on as soon as its new one can, and that cannot begin."""
    if facts.verdict or annotation(facts.job or {"metadata": {}}, CANCELLED) or passing(facts):
        return None
    found = [each for each in _all_taken(facts) if each.kind == kind]
    found = [each for each in found if each.worker is None or _waits(facts, each.worker)]
    if not found:
        return None
    last = found[-1]
    who = "a worker" if last.worker is None else f"worker {last.worker}"
    waits, more = _new_pod(facts, last.worker)
    sentence = f"{who} {what}{because(last.why)}; {waits}"
    return Finding(sentence, [*last.seen, *more], facts.command("status", "--watch"))


def _all_taken(facts: Facts) -> Iterator[Taken]:
    """Pods that were taken away: those that are still there, then those of which only events tell."""
    shown = set()
    for worker, pods in facts.workers.items():
        for pod in pods:
            if found := disruption(pod):
                reason, message = found
                kind = "preempted" if reason in _PREEMPTED else "node" if reason in _NODE else "evicted"
                seen = from_condition(pod, "Pod", _TARGET) or from_field(pod, "Pod", "status.reason", reason)
                shown.add(pod["metadata"]["name"])
                yield Taken(kind, worker, f"{message} ({reason})", (seen,))
    for event in facts.events_of(*_EVENTS):
        if (name := (event.get("involvedObject") or {}).get("name")) not in shown:
            shown.add(name)
            yield Taken(
                _EVENTS[str(event["reason"])], _worker_of(event), message_of(event), (from_event(event),)
            )
    if facts.job is None or (facts.job.get("status") or {}).get("failed"):
        return
    # An eviction leaves no event of its own, but the Job counts none of those that the cluster took away.
    shown |= {pod["metadata"]["name"] for pod in facts.pods}
    for event in facts.events_of("Killing"):
        if (event.get("involvedObject") or {}).get("name") not in shown:
            yield Taken(
                "evicted", _worker_of(event), _UNCOUNTED, (from_event(event), _no_failures(facts.job))
            )


def _no_failures(job: Object) -> Evidence:
    return from_field(job, "Job", "status.failed", "0")


def _worker_of(event: Object) -> int | None:
    found = _INDEX.search(str((event.get("involvedObject") or {}).get("name")))
    return int(found[1]) if found else None


def _waits(facts: Facts, worker: int) -> bool:
    """Whether a worker has no pod that runs."""
    pods = facts.workers.get(worker) or ()
    return not pods or phase_of(pods[0]) != "Running"


def _new_pod(facts: Facts, worker: int | None) -> tuple[str, list[Evidence]]:
    """What the new pod of a worker waits for."""
    pods = facts.workers.get(worker, ()) if worker is not None else ()
    if worker is None or not pods or phase_of(pods[0]) != "Pending":
        return "its new pod is still to come", []
    text = pod_status(worker, pods, facts.events).explanation.removeprefix(f"worker {worker} ")
    return f"its new pod {text}", present([from_condition(pods[0], "Pod", "PodScheduled")])


def _node_conditions(facts: Facts, name: object) -> list[Evidence | None]:
    return [
        from_condition(node, "Node", "Ready")
        for node in facts.nodes
        if object_name(node, "Node") == f"Node/{name}"
    ]


TAKEN = (
    Cause(
        "preempted",
        "Preempted",
        "DisruptionTarget PreemptionByScheduler, or the event Preempted; the new pod waits for a place",
        "A higher priority class for the run, or patience: it goes on by itself once there is a place",
        preempted,
    ),
    Cause(
        "evicted",
        "Evicted",
        "DisruptionTarget EvictionByEvictionAPI (a drain), TerminationByKubelet (a node short of something)",
        "Nothing of the run after a drain; a larger --memory request where the node ran short",
        evicted,
    ),
    Cause(
        "node-lost",
        "A node is lost",
        "The pod's Ready is false though its container ran, or the cluster deleted the pods of a node",
        "The node back, or its pod let go by the Job and deleted by force, so that the Job makes a new one",
        node_lost,
    ),
)  # fmt: skip


DELETED = Cause(
    "deleted",
    "Somebody deleted a pod",
    "The pod was told to stop, by nobody of the cluster, and the backoff limit was reached",
    "Resume; a higher --backoff-limit forgives more of that",
    deleted,
)
