"""Two lists of Kubernetes objects, compared without what a server or a controller adds; pure functions.

Both sides must be filled with the same defaults first: `diff.asking` has the API server do so.
"""

import copy
import difflib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from launcher.backends.kubernetes.jobs.record import TEMPLATE
from launcher.diagnosis.diff.admission import leave_out
from launcher.render import to_yaml
from launcher.render.labels import (
    CANCELLED,
    CLAIMED,
    OWNER,
    SINCE,
    SPEC,
    SUSPENDED,
    SUSPENSIONS,
    TIMING,
)

Object = Mapping[str, Any]
_METADATA = ("name", "namespace", "labels", "annotations")  # of an object's own; the rest is the server's
# Not settings, or all of them once more.
_ANNOTATIONS = (
    CANCELLED,
    OWNER,
    SINCE,
    SPEC,
    SUSPENDED,
    SUSPENSIONS,
    TIMING,
    "kubectl.kubernetes.io/last-applied-configuration",
)
# Labels that the server gives a Job's pods, each in its old spelling too.
_JOB_LABELS = (
    "batch.kubernetes.io/controller-uid",
    "batch.kubernetes.io/job-name",
    "controller-uid",
    "job-name",
)
_CONTEXT_LINES = 3


@dataclass(frozen=True)
class Change:
    """One value that would be another."""

    object: str
    """``Kind/name``."""
    path: str
    """Such as ``spec.template.spec.containers[name=trainer].image``; empty for a whole object."""
    old: Any
    """What the cluster has; None where it has nothing."""
    new: Any
    """What a submit would send; None where it would send nothing."""


@dataclass(frozen=True)
class Difference:
    """What a submit would change."""

    changes: list[Change] = field(default_factory=list)
    text: list[str] = field(default_factory=list)
    """The same as a unified difference of YAML, line by line."""

    def __bool__(self) -> bool:
        return bool(self.changes)


def compare(live: Sequence[Object], new: Sequence[Object]) -> Difference:
    """The difference between two lists of objects, which are paired by kind and name.

    Args:
        live: as the cluster has them.
        new: as they would be created, filled with the server's defaults under whatever uid.
    """
    old_by_name, new_by_name = _by_name(live), _by_name(new)
    for each in live:
        name = object_name(each)
        if each["kind"] == "Job" and name in new_by_name:
            leave_out(each, old_by_name[name], new_by_name[name])
    changes, text = [], []
    for name in [*new_by_name, *(name for name in old_by_name if name not in new_by_name)]:
        before, after = old_by_name.get(name), new_by_name.get(name)
        if before == after:
            continue
        if before is None or after is None:
            changes.append(Change(name, "", before, after))
        else:
            changes += [Change(name, *each) for each in _changes("", before, after)]
        text += _unified(name, before, after)
    return Difference(changes, text)


def object_name(found: Object) -> str:
    """``Kind/name``."""
    return f"{found['kind']}/{found['metadata']['name']}"


def _by_name(objects: Sequence[Object]) -> dict[str, dict[str, Any]]:
    return {object_name(each): comparable(each) for each in objects}


def comparable(found: Object) -> dict[str, Any]:
    """An object with nothing but what a person or the launcher has set, and the defaults of the rest.

    Whether a Job is suspended is a state that commands change, and no setting.
    """
    metadata = {key: copy.deepcopy(found["metadata"].get(key)) for key in _METADATA}
    kept = {key: copy.deepcopy(value) for key, value in found.items() if key not in ("metadata", "status")}
    clean: dict[str, Any] = _without_empty({**kept, "metadata": metadata})
    _clean_annotations(clean["metadata"])
    if found["kind"] == "Job":
        clean["spec"].pop("suspend", None)
        _clean_job(clean, clean["spec"])
    if found["kind"] == "CronJob":
        template = clean["spec"]["jobTemplate"]
        _clean_job(template, template["spec"])
        _clean_annotations(template.get("metadata") or {})
        for container in template["spec"]["template"]["spec"].get("containers") or []:
            container["env"] = [each for each in container.get("env") or [] if each["name"] != TEMPLATE]
    if found["kind"] == "ServiceAccount":
        clean.pop("secrets", None)  # a controller's
    return {key: clean[key] for key in ("apiVersion", "kind", "metadata", *sorted(kept)) if key in clean}


def _clean_annotations(metadata: dict[str, Any]) -> None:
    annotations = metadata.get("annotations") or {}
    for key in _ANNOTATIONS:
        annotations.pop(key, None)
    if not annotations:
        metadata.pop("annotations", None)


def _clean_job(holder: dict[str, Any], spec: dict[str, Any]) -> None:
    """Take out of a Job's spec what names its uid, and the mark of a submission."""
    for key in ("selector", "manualSelector"):
        spec.pop(key, None)
    for metadata in (holder.get("metadata") or {}, spec["template"].get("metadata") or {}):
        for label in _JOB_LABELS:
            (metadata.get("labels") or {}).pop(label, None)
        (metadata.get("annotations") or {}).pop(CLAIMED, None)
    if "suspend" in spec and holder is not spec:
        spec.pop("suspend")


def _without_empty(value: Any) -> Any:
    """A value without keys that hold nothing: the server leaves out some that a manifest states."""
    if isinstance(value, dict):
        cleaned = {key: _without_empty(each) for key, each in value.items()}
        return {key: each for key, each in cleaned.items() if each is not None and each != [] and each != {}}
    return [_without_empty(each) for each in value] if isinstance(value, list) else value


def _changes(path: str, old: Any, new: Any) -> Iterator[tuple[str, Any, Any]]:
    """Where two values differ, as deep as they are of the same shape."""
    if old == new:
        return
    before, after = _entries(old), _entries(new)
    if before is None or after is None or before.keys() & after.keys() == set():
        yield path, old, new
        return
    for key in [*before, *(key for key in after if key not in before)]:
        where = path + key if key.startswith("[") or not path else f"{path}.{key}"
        yield from _changes(where, before.get(key), after.get(key))


def _entries(value: Any) -> dict[str, Any] | None:
    """The entries of a mapping, or of a list whose entries have names, by their step in a path; else None."""
    if isinstance(value, dict):
        return {f'["{key}"]' if "." in key or "/" in key else key: each for key, each in value.items()}
    if not isinstance(value, list) or not value:
        return None
    names = [each.get("name") if isinstance(each, dict) else None for each in value]
    if not all(isinstance(name, str) for name in names) or len(set(names)) < len(names):
        return None
    return {f"[name={name}]": each for name, each in zip(names, value, strict=True)}


def _unified(name: str, before: Object | None, after: Object | None) -> list[str]:
    old, new = ([] if side is None else to_yaml([dict(side)]).splitlines() for side in (before, after))
    return list(
        difflib.unified_diff(old, new, f"cluster/{name}", f"submit/{name}", lineterm="", n=_CONTEXT_LINES)
    )
