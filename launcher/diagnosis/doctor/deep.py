"""What only pods can tell: a Job of two throwaway pods that pull the image, meet, and use the bucket.

They are made as a run's pods are: by a Job with its headless Service, from the same manifests, so that they
need no permission that a run does not. They ask for next to nothing and for no GPU. The Job goes as soon as
the answers are there or somebody presses Ctrl-C, and by its own deadline should this process be killed.
"""

import json
import math
import secrets
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from launcher.backends.kubernetes.client.api import Api
from launcher.backends.kubernetes.jobs.submit import create_all, remove_all
from launcher.backends.kubernetes.status.pods import PodStatus, newest_pods, pod_status
from launcher.diagnosis.doctor import probe
from launcher.diagnosis.doctor.base import FAIL, WARN, Result, Subject
from launcher.diagnosis.doctor.probe import DONE
from launcher.diagnosis.doctor.probed import PODS, Probed, Steps, results
from launcher.errors import ApiRejected, ClusterLost
from launcher.render import render
from launcher.render.labels import CONTAINER, of_job
from launcher.render.manifests import literal

_DEADLINE_SECONDS = 600  # of the Job itself, whatever becomes of this process
_MARGIN_SECONDS = 60  # the least by which the deadline comes after the end of waiting
_POLL_SECONDS = 1.0
_FATAL = (
    "ErrImagePull",
    "ImagePullBackOff",
    "InvalidImageName",
    "ErrImageNeverPull",
    "CreateContainerConfigError",
)


def deep(subject: Subject, seconds: float, tell: Callable[[str], None]) -> list[Result]:
    """What the pods found, awaited for so many seconds; nothing of them is left.

    Raises:
        ClusterLost: the API server went away; the text says what may be left.
    """
    if subject.image is None:
        return [Result("image", WARN, "no image to pull is given", "give --image NAME:TAG")]
    name = f"doctor-{secrets.token_hex(4)}"
    manifests = probe_manifests(subject, name, seconds)
    tell(f"Job '{name}' with {PODS} pods in namespace '{subject.api.namespace}', removed afterwards")
    try:
        create_all(subject.api, manifests)
        return list(results(subject, _awaited(subject.api, name, seconds)))
    except ApiRejected as error:
        return [Result("image", FAIL, f"the cluster refuses the pods: {error}")]
    finally:
        _remove(subject.api, manifests)


def _remove(api: Api, manifests: list[dict[str, Any]]) -> None:
    try:
        remove_all(api, manifests)
    except ClusterLost as error:
        name = manifests[0]["metadata"]["name"]
        raise ClusterLost(f"{error}; Job '{name}' may be left until its deadline") from error


def probe_manifests(subject: Subject, name: str, seconds: float = 0.0) -> list[dict[str, Any]]:
    """A run's own manifests with two small workers that run the probe, awaited for so many seconds."""
    spec = subject.spec.model_copy(
        update={
            "name": name,
            "workers": PODS,
            "namespace": subject.api.namespace,
            "grace_seconds": 1,
            "backoff_limit": 0,
            "ttl_seconds_after_finished": 60,
            "active_deadline_seconds": max(_DEADLINE_SECONDS, math.ceil(seconds) + _MARGIN_SECONDS),
        }
    )
    manifests = render(spec)
    pod = manifests[0]["spec"]["template"]["spec"]
    [container] = [each for each in pod["containers"] if each["name"] == CONTAINER]
    source = Path(probe.__file__).read_text()
    root = spec.root if subject.bucket else ""
    words = [
        root,
        f"{probe.PREFIX}{secrets.token_hex(4)}",
        *(f"{name}-{index}.{name}" for index in range(PODS)),
    ]
    container["command"] = ["dumb-init", "--", "python", "-c", literal(source)]
    container["args"] = [literal(word) for word in words]
    container["resources"] = {
        "requests": {"cpu": "10m", "memory": "128Mi"},
        "limits": {"memory": "256Mi"},
    }
    return manifests


def _awaited(api: Api, job: str, seconds: float) -> Probed:
    """The pods once they have ended, cannot begin, or the time is up."""
    began, seen = time.monotonic(), False
    while True:
        pods = {
            index: found[0] for index, found in newest_pods(api.list("Pod", of_job(job))["items"]).items()
        }
        seen = seen or bool(pods)
        states = {index: pod_status(index, [pod]) for index, pod in pods.items()}
        ended = [each for each in states.values() if each.phase in ("Succeeded", "Failed")]
        stuck = any(each.reason in _FATAL for each in states.values())
        late = time.monotonic() - began > seconds
        if len(ended) == PODS or stuck or late:
            break
        time.sleep(_POLL_SECONDS)
    took = time.monotonic() - began
    told = {index: _printed(api, pod, states[index]) for index, pod in pods.items() if _has_run(pod)}
    troubles = [
        each.explanation for each in states.values() if each.explanation and not told.get(each.worker)
    ]
    if late and not pods:
        troubles.append("somebody deleted the pods" if seen else _why_none(api, job))
    each = sorted(told) if not troubles else ()  # one that found no peer is not to blame
    open_ends = [text for index in each if (text := unfinished(states[index], pods[index], told[index]))]
    return Probed(told, troubles, open_ends, took, late)


def unfinished(state: PodStatus, pod: Mapping[str, Any], steps: Steps) -> str:
    """What keeps a pod from its end; empty for one that has come to it."""
    others = foreign_containers(pod)
    if "probe" in dict(steps):  # it never began, which is told by itself
        return ""
    if DONE in dict(steps):
        if state.phase in ("Succeeded", "Failed") or not others:
            return ""
        return f"pod {state.worker} has tried all and does not end, as {' and '.join(others)} goes on"
    if state.exit_code is None:
        return f"pod {state.worker} came as far as '{steps[-1][0]}'"
    ending = state.explanation.removeprefix(f"worker {state.worker}").removeprefix("'s").strip()
    return f"pod {state.worker} came as far as '{steps[-1][0]}': {ending}"


def foreign_containers(pod: Mapping[str, Any]) -> list[str]:
    """Containers that run beside the probe's and are not ours, as a mesh injects them."""
    return [
        f"container '{each['name']}'"
        for each in pod["spec"].get("containers") or []
        if each["name"] != CONTAINER
    ]


def _why_none(api: Api, job: str) -> str:
    """The last warning about a Job that has made no pods."""
    found = api.list("Event", fields=f"involvedObject.kind=Job,involvedObject.name={job}")["items"]
    said = [each.get("message") for each in found if each.get("type") == "Warning"]
    return f"no pod was made: {said[-1]}" if said else "no pod was made"


def _has_run(pod: Mapping[str, Any]) -> bool:
    statuses = (pod.get("status") or {}).get("containerStatuses") or []
    return any(key in (each.get("state") or {}) for each in statuses for key in ("running", "terminated"))


def _printed(api: Api, pod: Mapping[str, Any], state: PodStatus) -> Steps:
    metadata = pod["metadata"]
    path = f"/api/v1/namespaces/{metadata['namespace']}/pods/{metadata['name']}/log"
    with api.stream(path, {"container": CONTAINER}, 30.0) as response:
        text = response.read().decode(errors="replace")
    lines = [line.removeprefix(probe.MARK) for line in text.splitlines() if line.startswith(probe.MARK)]
    found = [(step, said) for step, said in map(json.loads, lines)]
    if found or state.exit_code is None:
        return found or [("started", "")]
    last = text.strip().splitlines()[-1:]
    return [("started", ""), ("probe", last[0] if last else "it printed nothing")]
