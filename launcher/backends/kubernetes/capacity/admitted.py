"""What a cluster has made of a pod on its way in, beside what was asked for; pure functions of specs.

LimitRanges fill in limits and requests, meshes inject containers, policies add tolerations and another
scheduler: none of it refuses a pod, and none of it is told to whoever submits one.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from launcher.backends.kubernetes.capacity.requests import Amounts, amounts, shown

PodSpec = Mapping[str, Any]

CPU_LIMIT = "limits.cpu"
_DEFAULTS = {"schedulerName": "default-scheduler"}
_WORDS = ("schedulerName", "priorityClassName", "runtimeClassName")
# The API server's own, which every pod gets.
_USUAL = (
    "node.kubernetes.io/not-ready",
    "node.kubernetes.io/unreachable",
    "node.kubernetes.io/memory-pressure",
)


class Change(NamedTuple):
    """One thing that a pod was admitted with and not asked for."""

    field: str
    """Such as ``limits.cpu``, ``containers`` or ``schedulerName``."""
    text: str
    """``container 'trainer' gets limits.cpu 150m, which nobody asked for``."""
    harm: str = ""
    """What it does to a run, the rest of a sentence; empty where it does none."""

    def __str__(self) -> str:
        return f"{self.text}: {self.harm}" if self.harm else self.text


def changes(asked: PodSpec, admitted: PodSpec) -> list[Change]:
    """What of an admitted pod differs from what was asked for, the harmful first."""
    found = [
        *_sizes(asked, admitted),
        *_injected(asked, admitted),
        *_words(asked, admitted),
        *_selectors(asked, admitted),
        *_tolerations(asked, admitted),
    ]
    return sorted(found, key=lambda change: not change.harm)  # stable


def _sizes(asked: PodSpec, admitted: PodSpec) -> Iterator[Change]:
    after = _containers(admitted)
    for name, container in _containers(asked).items():
        if name in after:
            before, now = _resources(container), _resources(after[name])
            for field in sorted({*before, *now}):
                yield from _size(name, field, before, now)


def _size(name: str, field: str, before: Amounts, now: Amounts) -> Iterator[Change]:
    was, new = before.get(field), now.get(field)
    if was == new:
        return
    if new is None:
        yield Change(
            field, f"container '{name}' gets no {field}, though {shown(field, before[field])} was asked for"
        )
        return
    instead = "which nobody asked for" if was is None else f"not the {shown(field, was)} that was asked for"
    lower = was is None or new < was
    yield Change(
        field, f"container '{name}' gets {field} {shown(field, new)}, {instead}", _harm(field, lower)
    )


def _harm(field: str, lower: bool) -> str:
    if not lower:
        return ""
    return {
        CPU_LIMIT: "each worker is throttled at that, and all wait for the slowest",
        "limits.memory": "the kernel kills a trainer that needs more",
    }.get(field, "")


def _resources(container: Mapping[str, Any]) -> Amounts:
    """Limits and requests of a container by their names in a quota; a limit is a request where none is."""
    said = container.get("resources") or {}
    limits, requests = amounts(said.get("limits")), amounts(said.get("requests"))
    found = {f"requests.{name}": amount for name, amount in (limits | requests).items()}
    return found | {f"limits.{name}": amount for name, amount in limits.items()}


def _injected(asked: PodSpec, admitted: PodSpec) -> Iterator[Change]:
    known = _containers(asked)
    for container in admitted.get("containers") or []:
        if container["name"] not in known:
            yield Change(
                "containers",
                f"container '{container['name']}' ({container.get('image')}) is put beside the trainer",
                "a pod ends when all its containers have, and the run's Job only with its pods",
            )
    for container in admitted.get("initContainers") or []:
        if container["name"] not in known:
            kind = "sidecar" if container.get("restartPolicy") == "Always" else "init container"
            text = f"{kind} '{container['name']}' ({container.get('image')}) is added"
            yield Change("initContainers", text)


def _containers(pod: PodSpec) -> dict[str, Mapping[str, Any]]:
    return {each["name"]: each for key in ("initContainers", "containers") for each in pod.get(key) or []}


def _words(asked: PodSpec, admitted: PodSpec) -> Iterator[Change]:
    for field in _WORDS:
        before, now = (pod.get(field) or _DEFAULTS.get(field) for pod in (asked, admitted))
        if before != now:
            instead = "which nobody asked for" if before is None else f"not '{before}'"
            yield Change(field, f"{field} is '{now}', {instead}")


def _selectors(asked: PodSpec, admitted: PodSpec) -> Iterator[Change]:
    before, now = asked.get("nodeSelector") or {}, admitted.get("nodeSelector") or {}
    if added := [f"{key}={value}" for key, value in sorted(now.items()) if before.get(key) != value]:
        yield Change("nodeSelector", f"nodes are chosen by {', '.join(added)}, which nobody asked for")


def _tolerations(asked: PodSpec, admitted: PodSpec) -> Iterator[Change]:
    before = asked.get("tolerations") or []
    added = [each for each in admitted.get("tolerations") or [] if not _is_known(each, before)]
    if added:
        shown_ = ", ".join(_toleration(each) for each in added)
        yield Change("tolerations", f"taints are tolerated that nobody asked for: {shown_}")


def _is_known(toleration: Mapping[str, Any], before: Iterable[Mapping[str, Any]]) -> bool:
    return toleration.get("key") in _USUAL or any(
        all((one.get(key) or _operator(key)) == (toleration.get(key) or _operator(key)) for key in _FIELDS)
        for one in before
    )


_FIELDS = ("key", "operator", "value", "effect", "tolerationSeconds")


def _operator(key: str) -> str | None:
    return "Equal" if key == "operator" else None


def _toleration(found: Mapping[str, Any]) -> str:
    value = f"={found['value']}" if found.get("value") else ""
    return f"{found.get('key') or 'any'}{value}" + (f":{found['effect']}" if found.get("effect") else "")
