"""What only pods can tell: a Job of two throwaway pods that pull the image, meet, and use the bucket.

They are made as a run's pods are: by a Job with its headless Service, from the same manifests, so that they
need no permission that a run does not. They ask for next to nothing and for no GPU. The Job goes as soon as
the answers are there or somebody presses Ctrl-C, and by its own deadline should this process be killed.
"""

import json
import secrets
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from launcher.backends.kubernetes.api import Api
from launcher.backends.kubernetes.labels import of_job
from launcher.backends.kubernetes.pods import newest_pods, pod_status
from launcher.backends.kubernetes.submit import create_all, remove_all
from launcher.doctor import probe
from launcher.doctor.base import FAIL, OK, WARN, Result, Subject
from launcher.doctor.storage import results as storage_results
from launcher.errors import ApiRejected, ClusterLost
from launcher.render import render
from launcher.render.manifests import CONTAINER, literal

_PODS = 2
_DEADLINE_SECONDS = 600  # of the Job itself, whatever becomes of this process
_POLL_SECONDS = 1.0
_FATAL = (
    "ErrImagePull",
    "ImagePullBackOff",
    "InvalidImageName",
    "ErrImageNeverPull",
    "CreateContainerConfigError",
)
_IMAGE_FIX = "push the image where the cluster pulls from, or give its nodes the right to pull it"
_DNS_FIX = "look at the cluster's DNS: kubectl get pods -n kube-system -l k8s-app=kube-dns"
_NETWORK_FIX = (
    "a NetworkPolicy of the namespace may forbid it; --profile network-policy brings one that does not"
)


def deep(subject: Subject, seconds: float, tell: Callable[[str], None]) -> list[Result]:
    """What the pods found, awaited for so many seconds; nothing of them is left.

    Raises:
        ClusterLost: the API server went away; the text says what may be left.
    """
    if subject.image is None:
        return [Result("image", WARN, "no image to pull is given", "give --image NAME:TAG")]
    name = f"doctor-{secrets.token_hex(4)}"
    manifests = probe_manifests(subject, name)
    tell(f"Job '{name}' with {_PODS} pods in namespace '{subject.api.namespace}', removed afterwards")
    try:
        create_all(subject.api, manifests)
        return list(_results(subject, *_awaited(subject.api, name, seconds)))
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


def probe_manifests(subject: Subject, name: str) -> list[dict[str, Any]]:
    """A run's own manifests with two small workers that run the probe."""
    spec = subject.spec.model_copy(
        update={
            "name": name,
            "workers": _PODS,
            "namespace": subject.api.namespace,
            "grace_seconds": 1,
            "backoff_limit": 0,
            "ttl_seconds_after_finished": 60,
            "active_deadline_seconds": _DEADLINE_SECONDS,
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
        *(f"{name}-{index}.{name}" for index in range(_PODS)),
    ]
    container["command"] = ["dumb-init", "--", "python", "-c", literal(source)]
    container["args"] = [literal(word) for word in words]
    container["resources"] = {
        "requests": {"cpu": "10m", "memory": "128Mi"},
        "limits": {"memory": "256Mi"},
    }
    return manifests


Told = dict[int, list[tuple[str, str]]]
"""What each pod printed, by its index."""


def _awaited(api: Api, job: str, seconds: float) -> tuple[list[str], Told, float]:
    """Why pods do not run, what those that ran have printed, and how long it took."""
    began = time.monotonic()
    while True:
        pods = {
            index: found[0] for index, found in newest_pods(api.list("Pod", of_job(job))["items"]).items()
        }
        states = {index: pod_status(index, [pod]) for index, pod in pods.items()}
        ended = [each for each in states.values() if each.phase in ("Succeeded", "Failed")]
        stuck = any(each.reason in _FATAL for each in states.values())
        late = time.monotonic() - began > seconds
        if len(ended) == _PODS or stuck or late:
            break
        time.sleep(_POLL_SECONDS)
    told = {index: _printed(api, pod) for index, pod in pods.items() if _has_run(pod)}
    troubles = [
        each.explanation for each in states.values() if each.explanation and not told.get(each.worker)
    ]
    if late and not pods:
        troubles.append(_why_none(api, job))
    return troubles, told, time.monotonic() - began


def _why_none(api: Api, job: str) -> str:
    """The last warning about a Job that has made no pods."""
    found = api.list("Event", fields=f"involvedObject.kind=Job,involvedObject.name={job}")["items"]
    said = [each.get("message") for each in found if each.get("type") == "Warning"]
    return f"no pod was made: {said[-1]}" if said else "no pod was made"


def _has_run(pod: Mapping[str, Any]) -> bool:
    statuses = (pod.get("status") or {}).get("containerStatuses") or []
    return any(key in (each.get("state") or {}) for each in statuses for key in ("running", "terminated"))


def _printed(api: Api, pod: Mapping[str, Any]) -> list[tuple[str, str]]:
    metadata = pod["metadata"]
    path = f"/api/v1/namespaces/{metadata['namespace']}/pods/{metadata['name']}/log"
    with api.stream(path, {"container": CONTAINER}, 30.0) as response:
        text = response.read().decode(errors="replace")
    lines = [line.removeprefix(probe.MARK) for line in text.splitlines() if line.startswith(probe.MARK)]
    found = [(step, said) for step, said in map(json.loads, lines)]
    last = text.strip().splitlines()[-1:] if not found else []
    return found or [("started", ""), ("probe", last[0] if last else "it printed nothing")]


def _results(subject: Subject, troubles: list[str], told: Told, took: float) -> Iterator[Result]:
    if troubles:
        yield Result("image", FAIL, "; ".join(troubles), _IMAGE_FIX)
    elif len(told) < _PODS:
        yield Result(
            "image", FAIL, f"{len(told)} of {_PODS} pods started within {took:.0f} s", "give --timeout more"
        )
    else:
        yield Result(
            "image", OK, f"'{subject.image}' pulled and started by {_PODS} pods, {took:.0f} s in all"
        )
    if not told:
        return
    steps = {step: said for index in sorted(told) for step, said in told[index] if said or index == 0}
    yield _of_pods(
        "pod dns", steps, "dns", "names of pods are resolved through the headless Service", _DNS_FIX
    )
    yield _of_pods("pod network", steps, "network", "pods reach each other", _NETWORK_FIX)
    if said := steps.get("probe"):
        yield Result(
            "pod", FAIL, f"the probe did not run in the image: {said}", "use an image of this version"
        )
    bucket = [
        (step.removeprefix("bucket "), said) for step, said in steps.items() if step.startswith("bucket ")
    ]
    if bucket:
        fix = "give the pods an account: --service-account or --google-service-account (docs/kubernetes.md)"
        yield from storage_results("pod bucket", bucket, subject.root, lambda _: fix)
    elif not subject.bucket:
        yield Result(
            "pod bucket", WARN, f"root is {subject.root}, which pods cannot reach", "give --root gs://…"
        )


def _of_pods(check: str, steps: Mapping[str, str], step: str, good: str, fix: str) -> Result:
    if step not in steps:
        return Result(check, FAIL, "the pods did not come so far", "")
    return Result(check, FAIL, steps[step], fix) if steps[step] else Result(check, OK, good)
