"""Secrets and ConfigMaps that a pod takes variables or files from, and that are not there.

The kubelet tries again by itself, so that a run goes on as soon as the object exists. Its words are those of
Kubernetes 1.31 to 1.36. What a Secret holds is never asked for.
"""

import re
from collections.abc import Iterator
from typing import NamedTuple

from launcher.backends.kubernetes.status.pods import variables
from launcher.backends.kubernetes.status.wording import one_line
from launcher.diagnosis.explain.base import Cause, Evidence, Finding
from launcher.diagnosis.explain.evidence import from_container, from_event
from launcher.diagnosis.explain.facts import Facts, Object, message_of

_ABSENT = re.compile(r"(?i)\b(secret|configmap) \"(?P<name>[^\"]+)\" not found")
_NO_KEY = re.compile(r"(?i)couldn't find key (?P<key>\S+) in (secret|configmap) \S*?(?P<name>[^/\s]+)$")
_NO_FILE = re.compile(r"(?i)references non-existent (?P<kind>secret|config) key: (?P<key>\S+)")
_KINDS = {"secret": "Secret", "configmap": "ConfigMap", "config": "ConfigMap"}
_REFERENCES = {"Secret": "secretKeyRef", "ConfigMap": "configMapKeyRef"}


class _Said(NamedTuple):
    """What the kubelet says of a pod that it cannot start."""

    worker: int
    pod: Object
    text: str
    evidence: Evidence


def absent(facts: Facts) -> Finding | None:
    """A Secret or a ConfigMap that a pod names and the namespace lacks, or lacks a key of."""
    for said in _words(facts):
        if found := _ABSENT.search(said.text):
            kind, name = _KINDS[found[1].lower()], found["name"]
            sentence = f"worker {said.worker} cannot start: {kind} '{name}' is not in namespace "
            keys = [f"--from-file={key}=FILE" for key in _keys(said.pod, kind, name) or ["KEY"]]
            how = "create secret generic" if kind == "Secret" else "create configmap"
            fix = facts.kubectl(how, name, *keys)
            return Finding(f"{sentence}'{facts.namespace}'", (said.evidence,), fix)
        if found := _NO_KEY.search(said.text):
            kind, name, key = _KINDS[found[2].lower()], found["name"], found["key"]
            sentence = f"worker {said.worker} cannot start: {kind} '{name}' has no key '{key}'"
            return Finding(sentence, (said.evidence,), facts.kubectl("edit", kind.lower(), name))
        if found := _NO_FILE.search(said.text):
            kind, key = _KINDS[found["kind"].lower()], found["key"]
            sentence = f"worker {said.worker} cannot start: a {kind} that it mounts has no key '{key}'"
            describe = facts.kubectl("describe pod", str(said.pod["metadata"]["name"]))
            return Finding(sentence, (said.evidence,), describe)
    return None


def _words(facts: Facts) -> Iterator[_Said]:
    for worker, pod, container in facts.containers():
        waiting = (container.get("state") or {}).get("waiting") or {}
        if waiting.get("reason") == "CreateContainerConfigError":
            text = one_line(waiting.get("message"), 1000)
            yield _Said(worker, pod, text, from_container(pod, container))
    for worker, pod in facts.newest:
        if (pod.get("status") or {}).get("phase") == "Pending":
            for event in reversed(facts.events_of("FailedMount", about=pod)):
                yield _Said(worker, pod, message_of(event), from_event(event))


def _keys(pod: Object, kind: str, name: str) -> list[str]:
    """The keys that a pod's variables are taken from, without repetition."""
    found = [((each.get("valueFrom") or {}).get(_REFERENCES[kind]) or {}) for each in variables(pod)]
    return list(dict.fromkeys(str(each["key"]) for each in found if each.get("name") == name))


REFERENCES = (
    Cause(
        "secret-missing",
        "A Secret or a ConfigMap is not there",
        'CreateContainerConfigError with `secret "…" not found` or `couldn\'t find key`, or FailedMount that '
        "says so",
        "Create it, or the key that it lacks; the pods start by themselves then",
        absent,
    ),
)
