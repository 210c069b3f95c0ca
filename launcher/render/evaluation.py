"""From a run to the Job that judges its checkpoints: the run's own pod, alone, with other arguments.

So image, accounts, variables, profiles and a ``k8s/`` of one's own count here too. What makes a pod a worker
among others goes: its place, its peers, the Service. The labels differ, so that nothing takes it for a run.
"""

import json
import secrets
import string
from collections.abc import Sequence
from typing import Any

from launcher.render.labels import ASKED, ATTEMPT, COMPONENT, CONTAINER, EVALUATION
from launcher.render.manifests import literal, render
from launcher.spec.runspec import RunSpec

_ROOM = 50  # of a run's name in the Job's: 63 less the rest, and less what a pod's name adds
_TAIL = 5  # 33 million names of one run
_RETRIES = 3  # pods that may fail, as a run has; disruptions and mistakes do not count
_GRACE_SECONDS = (
    10  # there is nothing to save: each checkpoint's figures are written as soon as they are known
)
_NEEDED = ("Job", "ServiceAccount", "ConfigMap")  # others are about workers among themselves
_OF_WORKERS = {
    f"GANTRY_{name}"
    for name in (*("SERVICE", "WORKERS", "ATTEMPT", "PORT", "PEER_SECONDS", "CLAIMED"), "CONFIG")
}


def evaluation_name(run: str) -> str:
    """A name for the Job of an evaluation, which no other has."""
    letters = "".join(secrets.choice(string.ascii_lowercase + string.digits) for _ in range(_TAIL))
    return f"{run[:_ROOM].rstrip('-')}-eval-{letters}"


def render_evaluation(spec: RunSpec, name: str, words: Sequence[str]) -> list[dict[str, Any]]:
    """What is sent to the cluster for an evaluation: the Job, suspended, and what its pod cannot do without.

    Args:
        spec: of the run, with the resources of the pod that judges it.
        name: the Job's, from `evaluation_name`.
        words: what the trainer is told.

    Raises:
        SpecError: as `render`.
    """
    objects = [each for each in render(spec, job=name) if each["kind"] in _NEEDED]
    for each in objects:
        _mark(each["metadata"], name)
    job = objects[0]
    job["metadata"]["annotations"][ASKED] = asked(words)
    fields, template = job["spec"], job["spec"]["template"]
    fields |= {"completions": 1, "parallelism": 1, "backoffLimit": _RETRIES}
    fields.pop("activeDeadlineSeconds", None)  # the run's own
    _mark(template["metadata"], name)
    pod = template["spec"]
    for key in ("subdomain", "topologySpreadConstraints"):
        pod.pop(key, None)
    pod["terminationGracePeriodSeconds"] = _GRACE_SECONDS
    for container in pod["containers"]:
        if container["name"] == CONTAINER:
            _fill(container, name, words)
    return objects


def asked(words: Sequence[str]) -> str:
    """What an evaluation was asked for, for the annotation by which the same one is known."""
    return json.dumps(list(words))


def _mark(metadata: dict[str, Any], name: str) -> None:
    labels = {key: value for key, value in metadata["labels"].items() if key != ATTEMPT}
    metadata["labels"] = {**labels, COMPONENT: "evaluation", EVALUATION: name.rpartition("-")[2]}


def _fill(container: dict[str, Any], name: str, words: Sequence[str]) -> None:
    container["args"] = [literal(word) for word in words]
    container.pop("ports", None)
    kept = [each for each in container["env"] if each["name"] not in _OF_WORKERS]
    container["env"] = [*kept, {"name": "GANTRY_EVALUATION", "value": name}]
