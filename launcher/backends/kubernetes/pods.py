"""What a worker's pod is at, in plain words with the cluster's own reason; pure functions of its object."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from launcher.backends.kubernetes.labels import COMPLETION_INDEX
from trainer.errors import EXIT_DONE, EXIT_RESTART, EXIT_USER

CONTAINER = "trainer"
_NO_IMAGE = frozenset(
    {"ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull", "ImageInspectError"}
)
_BEING_MADE = frozenset({"", "ContainerCreating", "PodInitializing"})
_MEANINGS = {
    EXIT_USER: "a mistake in the configuration or the data",
    EXIT_RESTART: "to be started again",
    137: "killed",
    143: "stopped from outside",
}


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
    """Whether its container runs."""
    restarts: int
    """Earlier pods of this index that the cluster still knows, and restarts of the container."""
    exit_code: int | None
    reason: str
    """The cluster's word where it is not simply running, such as ImagePullBackOff."""
    explanation: str
    """The same as a sentence about "worker i", empty where there is nothing to say."""

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
    """Whether a pod has not ended: something of it may run."""
    return phase_of(pod) not in ("Succeeded", "Failed")


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
    ended = (container.get("state") or {}).get("terminated")
    if phase == "Pending":
        reason, text = _trouble(pod, container, events)
    elif phase in ("Failed", "Succeeded") or ended:
        reason, text = _ending(pod, ended or {})
    else:
        reason, text = ("Terminating", "is being stopped") if phase == "Terminating" else ("", "")
    return PodStatus(
        worker=worker,
        pod=pod["metadata"]["name"],
        node=(pod.get("spec") or {}).get("nodeName"),
        phase=phase,
        ready=phase == "Running" and bool(container.get("ready", status.get("phase") == "Running")),
        restarts=len(pods) - 1 + int(container.get("restartCount") or 0),
        exit_code=None if ended is None else int(ended.get("exitCode", 0)),
        reason=reason,
        explanation=f"worker {worker} {text}" if text else "",
    )


def _container(pod: Mapping[str, Any]) -> Mapping[str, Any]:
    """Status of the trainer's container, or of the first one that keeps it waiting."""
    status = pod.get("status") or {}
    for waiting in status.get("initContainerStatuses") or []:
        state = waiting.get("state") or {}
        if "waiting" in state and state["waiting"].get("reason") not in _BEING_MADE:
            return dict(waiting)
    found = status.get("containerStatuses") or []
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
        return reason, f"cannot start: {reason}{_because(message)}"
    conditions = {each["type"]: each for each in (pod.get("status") or {}).get("conditions") or []}
    placed = conditions.get("PodScheduled") or {}
    if placed.get("status") == "False":
        # What preemption could do is the scheduler's own affair.
        message = re.split(r",? (?:no new claims|preemption:)", one_line(placed.get("message")))[0]
        return str(placed.get("reason") or "Unschedulable"), f"has no node{_because(message.rstrip('.'))}"
    if not (pod.get("spec") or {}).get("nodeName"):
        return "Pending", "waits for the scheduler"
    name = pod["metadata"]["name"]
    warnings = [
        each
        for each in events
        if each.get("type") == "Warning" and (each.get("involvedObject") or {}).get("name") == name
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
    return f"cannot start: image '{image}' cannot be pulled{_because(why.removeprefix('ErrImagePull: '))}"


def _ending(pod: Mapping[str, Any], ended: Mapping[str, Any]) -> tuple[str, str]:
    """How a pod ended."""
    status = pod.get("status") or {}
    conditions = {each["type"]: each for each in status.get("conditions") or []}
    code = ended.get("exitCode")
    reason = str(ended.get("reason") or "")
    said = last_line(ended.get("message"))
    if code == EXIT_DONE or status.get("phase") == "Succeeded":
        return "Completed", ""
    disrupted = conditions.get("DisruptionTarget") or {}
    if disrupted.get("status") == "True" or status.get("reason"):
        word = str(status.get("reason") or disrupted.get("reason"))
        message = one_line(status.get("message") or disrupted.get("message"))
        return word, f"was taken from its node ({word}){_because(message)}"
    if reason == "OOMKilled":
        limit = _memory_limit(pod)
        return reason, "ran out of memory" + (f" (its limit is {limit})" if limit else "")
    if code is None:
        return "Failed", "ended, and nobody saw how"
    if reason not in ("", "Error", "Completed"):
        return reason, f"could not start ({reason}){_because(one_line(ended.get('message')))}"
    meaning = f" ({_MEANINGS[code]})" if code in _MEANINGS else ""
    return f"exit {code}", f"exited with code {code}{meaning}{_because(said)}"


def _memory_limit(pod: Mapping[str, Any]) -> str | None:
    for container in (pod.get("spec") or {}).get("containers") or []:
        if container.get("name") == CONTAINER:
            limit = ((container.get("resources") or {}).get("limits") or {}).get("memory")
            return None if limit is None else str(limit)
    return None


def _because(message: str) -> str:
    return f": {message}" if message else ""


def one_line(text: object, longest: int = 400) -> str:
    """A message of the cluster without its line ends, cut where it is very long."""
    line = re.sub(r"\s+", " ", str(text or "")).strip()
    return line if len(line) <= longest else line[: longest - 1] + "…"


def last_line(text: object) -> str:
    """The last line of a termination message: what the trainer said when it gave up."""
    lines = [line for line in str(text or "").splitlines() if line.strip()]
    return one_line(lines[-1]).removeprefix("error: ") if lines else ""


def event_time(event: Mapping[str, Any]) -> str:
    """When an event was last seen, for comparing."""
    series = event.get("series") or {}
    times = (series.get("lastObservedTime"), event.get("lastTimestamp"), event.get("eventTime"))
    return max((str(time) for time in times if time), default="")
