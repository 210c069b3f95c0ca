"""What a worker's pod is at, in plain words with the cluster's own reason; pure functions of its object."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from launcher.backends.kubernetes.status.endings import conditions_of, ending, leaving, node_is_lost
from launcher.backends.kubernetes.status.wording import about, because, event_time, one_line
from launcher.render.labels import COMPLETION_INDEX, CONTAINER
from trainer.errors import EXIT_DONE

_NO_IMAGE = frozenset(
    {"ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull", "ImageInspectError"}
)
NODE_NOT_READY = "NodeNotReady"  # the reason of a pod that runs as far as anybody knows
_BEING_MADE = frozenset({"", "ContainerCreating", "PodInitializing"})


@dataclass(frozen=True)
class PodStatus:
    """The newest pod of one worker."""

    worker: int
    """Completion index."""
    pod: str | None
    """None while the Job has not made one."""
    node: str | None
    phase: str
    """Pending, Running, Succeeded, Failed, Terminating, or Missing."""
    ready: bool
    """Whether its container runs, on a node that is ready."""
    restarts: int
    """Earlier pods of this index that the cluster still knows, and restarts of the container."""
    exit_code: int | None
    reason: str
    """The cluster's word where it is not simply running, such as ImagePullBackOff."""
    explanation: str
    """The same as a sentence about "worker i", empty where there is nothing to say."""
    before: str = ""
    """The same about the pod that this one has replaced, where the cluster still knows it."""
    held_by: tuple[str, ...] = ()
    """Containers beside the trainer's that run on though that has ended, so that the pod does not end."""
    spare: bool = False
    """Whether the run has no such worker: somebody has given its Job more pods."""

    @property
    def done(self) -> bool:
        """Whether the worker has done all it had to do; known a moment before its pod says so."""
        return self.phase == "Succeeded" or self.exit_code == EXIT_DONE


def worker_of(pod: Mapping[str, Any]) -> int | None:
    """Completion index of a pod, None for a stranger."""
    metadata = pod["metadata"]
    marks = {**(metadata.get("annotations") or {}), **(metadata.get("labels") or {})}
    text = str(marks.get(COMPLETION_INDEX, ""))
    return int(text) if text.isdigit() else None


def is_there(pod: Mapping[str, Any]) -> bool:
    """Whether a pod's trainer has not ended; another container of it, as a mesh injects one, may run on."""
    # Pods of a run are never restarted in place, so that a trainer which has ended stays so.
    return phase_of(pod) not in ("Succeeded", "Failed") and not _ended(_trainer(pod))


def held_by(pod: Mapping[str, Any]) -> tuple[str, ...]:
    """Containers that keep a pod whose trainer has ended from ending; none while it is being deleted.

    A sidecar in Kubernetes' own sense, an init container that is always restarted, keeps none.
    """
    if phase_of(pod) != "Running" or not _ended(_trainer(pod)):
        return ()
    others = (pod.get("status") or {}).get("containerStatuses") or []
    return tuple(str(each["name"]) for each in others if each["name"] != CONTAINER and not _ended(each))


def phase_of(pod: Mapping[str, Any]) -> str:
    """The pod's phase; Terminating for one that was told to go and has not ended."""
    phase = str((pod.get("status") or {}).get("phase") or "Pending")
    going = "deletionTimestamp" in pod["metadata"]
    return "Terminating" if going and phase not in ("Succeeded", "Failed") else phase


def newest_pods(pods: Sequence[Mapping[str, Any]]) -> dict[int, list[Mapping[str, Any]]]:
    """Pods by worker, the newest first: a replacement counts, not the pod it replaces."""
    found: dict[int, list[Mapping[str, Any]]] = {}
    for pod in sorted(pods, key=_age, reverse=True):
        if (worker := worker_of(pod)) is not None:
            found.setdefault(worker, []).append(pod)
    return found


def _age(pod: Mapping[str, Any]) -> tuple[str, bool, str]:
    # Times are of whole seconds; of two of the same second the one that has not ended is the newer.
    metadata = pod["metadata"]
    return str(metadata.get("creationTimestamp") or ""), is_there(pod), str(metadata["name"])


def pod_status(
    worker: int, pods: Sequence[Mapping[str, Any]], events: Sequence[Mapping[str, Any]] = ()
) -> PodStatus:
    """Where a worker stands, from its pods, newest first, and warnings about them."""
    if not pods:
        return PodStatus(worker, None, None, "Missing", False, 0, None, "", f"worker {worker} has no pod")
    pod = pods[0]
    status, phase, container = pod.get("status") or {}, phase_of(pod), _container(pod)
    ended, holding = _ended(container), held_by(pod)
    reason, text = _standing(pod, events)
    if holding and text:
        text += f"; {containers(holding)} in its pod still {runs(holding)}, so that no new pod comes"
    up = phase == "Running" and bool(container.get("ready", status.get("phase") == "Running"))
    return PodStatus(
        worker=worker,
        pod=pod["metadata"]["name"],
        node=(pod.get("spec") or {}).get("nodeName"),
        phase=phase,
        ready=up and not node_is_lost(pod),
        restarts=len(pods) - 1 + int(container.get("restartCount") or 0),
        exit_code=None if ended is None else int(ended.get("exitCode", 0)),
        reason=reason,
        explanation=about(worker, text),
        before=about(worker, _standing(pods[1], ())[1]) if len(pods) > 1 else "",
        held_by=holding,
        spare=_is_spare(worker, pod),
    )


def containers(names: Sequence[str]) -> str:
    """``container 'a'`` or ``containers 'a', 'b'``."""
    return f"container{'s' * (len(names) > 1)} {', '.join(map(repr, names))}"


def runs(names: Sequence[str]) -> str:
    """The verb for so many containers."""
    return "run" if len(names) > 1 else "runs"


def _is_spare(worker: int, pod: Mapping[str, Any]) -> bool:
    """Whether a pod was told of fewer workers than its index makes it one of."""
    told = (each.get("value") for each in variables(pod, CONTAINER) if each.get("name") == "GANTRY_WORKERS")
    count = str(next(told, ""))
    return count.isdecimal() and worker >= int(count)


def _ended(container: Mapping[str, Any]) -> Mapping[str, Any] | None:
    return (container.get("state") or {}).get("terminated")


def _standing(pod: Mapping[str, Any], events: Sequence[Mapping[str, Any]]) -> tuple[str, str]:
    """The reason why a pod does not simply run, and the rest of a sentence about its worker."""
    phase, container = phase_of(pod), _container(pod)
    ended = _ended(container)
    if phase == "Pending":
        return _trouble(pod, container, events)
    if phase in ("Failed", "Succeeded") or ended:
        return ending(pod, ended or {})
    reason, text = leaving(pod) if phase == "Terminating" else ("", "")
    if node_is_lost(pod):
        node = f"its node '{(pod.get('spec') or {}).get('nodeName')}' is not ready"
        return reason or NODE_NOT_READY, f"{text}; {node}" if text else f"may be lost: {node}"
    return reason, text


def _container(pod: Mapping[str, Any]) -> Mapping[str, Any]:
    """Status of the trainer's container, or of the first one that keeps it waiting."""
    status, trainer = pod.get("status") or {}, _trainer(pod)
    if (trainer.get("state") or {}).keys() & {"running", "terminated"}:
        return trainer  # whatever becomes of a sidecar meanwhile
    for waiting in status.get("initContainerStatuses") or []:
        state = waiting.get("state") or {}
        if "waiting" in state and state["waiting"].get("reason") not in _BEING_MADE:
            return dict(waiting)
    return trainer


def _trainer(pod: Mapping[str, Any]) -> Mapping[str, Any]:
    """Status of the trainer's container; in a pod that has none of that name, of the first."""
    found = (pod.get("status") or {}).get("containerStatuses") or []
    return next((each for each in found if each.get("name") == CONTAINER), found[0] if found else {})


def _trouble(
    pod: Mapping[str, Any], container: Mapping[str, Any], events: Sequence[Mapping[str, Any]]
) -> tuple[str, str]:
    """Why a pod does not run yet."""
    waiting = (container.get("state") or {}).get("waiting") or {}
    reason, message = str(waiting.get("reason") or ""), one_line(waiting.get("message"))
    if reason in _NO_IMAGE:
        return reason, _no_image(str(container.get("image") or "of the trainer"), message)
    if reason not in _BEING_MADE:
        return reason, f"cannot start: {reason}{because(message)}"
    placed = conditions_of(pod).get("PodScheduled") or {}
    if placed.get("status") == "False":
        # What preemption could do is the scheduler's own affair.
        message = re.split(r",? (?:no new claims|preemption:)", one_line(placed.get("message")))[0]
        return str(placed.get("reason") or "Unschedulable"), f"has no node{because(message.rstrip('.'))}"
    if not (pod.get("spec") or {}).get("nodeName"):
        return "Pending", "waits for the scheduler"
    name = pod["metadata"]["name"]
    warnings = [
        each
        for each in events
        if each.get("type") == "Warning"
        and each.get("reason") != "FailedScheduling"  # that was before it had its node
        and (each.get("involvedObject") or {}).get("name") == name
    ]
    if warnings:
        last = max(warnings, key=event_time)
        message = one_line(last.get("message"))
        if found := re.match(r'Failed to pull image "([^"]+)": (.*)', message):
            return "ErrImagePull", _no_image(found[1], found[2])  # the pod says so a moment later
        return str(last.get("reason")), f"cannot start: {message}"
    return "ContainerCreating", "is being started"


def _no_image(image: str, message: str) -> str:
    """A failed pull, without the runtime's saying over and over which image it is about."""
    why = re.sub(r'(?:Back-off pulling|failed to (?:pull|resolve|unpack))[^"]*"[^"]*": ', "", message)
    return f"cannot start: image '{image}' cannot be pulled{because(why.removeprefix('ErrImagePull: '))}"


def variables(pod: Mapping[str, Any], container: str | None = None) -> Iterator[Mapping[str, Any]]:
    """The environment of a pod's containers, or a template's; of one `container` if it is named."""
    for each in (pod.get("spec") or {}).get("containers") or []:
        if container in (None, each.get("name")):
            yield from each.get("env") or []
