"""How a pod ended, or is about to: the cluster's word and what it means; pure functions of the pod.

Each returns a reason, and the rest of a sentence that begins with "worker i".
"""

from collections.abc import Mapping
from typing import Any

from launcher.backends.kubernetes.status.wording import because, error_line, last_line, one_line
from launcher.render.labels import CONTAINER
from trainer.errors import EXIT_COLLAPSED, EXIT_DONE, EXIT_RESTART, EXIT_USER

_KILLED, _STOPPED, _RUNTIME = 137, 143, 255
_MEANINGS = {
    EXIT_USER: "a mistake in the configuration or the data",
    EXIT_COLLAPSED: "the game of its networks was over",
    EXIT_RESTART: "to be started again",
    # The first process of a container is beyond the reach of a SIGKILL from inside.
    _KILLED: "killed from outside: its container's runtime died, or somebody killed it",
    _STOPPED: "stopped from outside",
    _RUNTIME: "its container's runtime died",
}
# A container that was stopped and had nothing to say: its message is then the end of its log, a bar's say.
_FROM_OUTSIDE = frozenset({EXIT_RESTART, _KILLED, _STOPPED, _RUNTIME})
# What a kubelet says when it finds a container gone whose end nobody reported.
_RUNTIME_DIED = frozenset({"Unknown", "ContainerStatusUnknown"})


def conditions_of(pod: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """Conditions of a pod by type."""
    return {each["type"]: each for each in (pod.get("status") or {}).get("conditions") or []}


def ending(pod: Mapping[str, Any], ended: Mapping[str, Any]) -> tuple[str, str]:
    """How a pod ended, whose container's state ``terminated`` is `ended`, empty when there is none."""
    code, reason = ended.get("exitCode"), str(ended.get("reason") or "")
    said = (error_line if code in _FROM_OUTSIDE else last_line)(ended.get("message"))
    if code == EXIT_DONE or (pod.get("status") or {}).get("phase") == "Succeeded":
        return "Completed", ""
    if disrupted := disruption(pod):
        word, message = disrupted
        return word, f"was taken from its node ({word}){because(message)}" + (
            f"; it said: {said}" if said else ""
        )
    # The word stays with a container that lost another of its processes to that, and lived on.
    if reason == "OOMKilled" and code != EXIT_RESTART:
        limit = _memory_limit(pod)
        limited = f" (limit {limit})" if limit else ""
        return reason, f"'s container ran out of memory{limited}; submit or resume with a larger --memory"
    if code is None:
        return "Failed", "ended, and nobody saw how"
    if reason in _RUNTIME_DIED:
        return reason, f"was lost: its container's runtime died ({reason}, exit code {code})"
    if "deletionTimestamp" in pod["metadata"] and code in _FROM_OUTSIDE:
        return "Deleted", f"was deleted{_killed_when(pod) if code == _KILLED else ''}{because(said)}"
    if reason not in ("", "Error", "Completed", "OOMKilled"):
        return reason, f"could not start ({reason}){because(one_line(ended.get('message')))}"
    meaning = f" ({_MEANINGS[code]})" if code in _MEANINGS else ""
    return f"exit {code}", f"exited with code {code}{meaning}{because(said)}"


def leaving(pod: Mapping[str, Any]) -> tuple[str, str]:
    """Why a pod that was told to go, and has not ended, goes."""
    if not (disrupted := disruption(pod)):
        return "Terminating", "is being stopped"
    word, message = disrupted
    return word, f"is being taken from its node ({word}){because(message)}"


def disruption(pod: Mapping[str, Any]) -> tuple[str, str] | None:
    """The reason and the message by which the cluster took a pod away; None when it did not."""
    status = pod.get("status") or {}
    target = conditions_of(pod).get("DisruptionTarget") or {}
    if target.get("status") != "True" and not status.get("reason"):
        return None
    return str(status.get("reason") or target.get("reason")), one_line(
        status.get("message") or target.get("message")
    )


def node_is_lost(pod: Mapping[str, Any]) -> bool:
    """Whether a pod's node is not ready, or has not been heard of for a while.

    The cluster then takes back the pod's Ready and leaves all else as the kubelet said it last.
    """
    conditions = conditions_of(pod)
    ready, containers = conditions.get("Ready") or {}, conditions.get("ContainersReady") or {}
    gates = (pod.get("spec") or {}).get("readinessGates")
    return ready.get("status") == "False" and containers.get("status") == "True" and not gates


def _killed_when(pod: Mapping[str, Any]) -> str:
    """How long a deleted pod that was killed had to leave by itself."""
    at_once = pod["metadata"].get("deletionGracePeriodSeconds") == 0
    return " and killed at once" if at_once else " and not gone within its grace"


def _memory_limit(pod: Mapping[str, Any]) -> str | None:
    for container in (pod.get("spec") or {}).get("containers") or []:
        if container.get("name") == CONTAINER:
            limit = ((container.get("resources") or {}).get("limits") or {}).get("memory")
            return None if limit is None else str(limit)
    return None
