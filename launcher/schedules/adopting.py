"""What a schedule was asked for: as its annotation has it, else read back from what the cluster has.

Others may replace a CronJob by a manifest without our annotation, or take that away. Its pods' template still
says nearly all: their arguments, resources and limits, and in GANTRY_RECORD the specification as it was when
the schedule was changed last. Where both say something, what the pods would do counts.
"""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from launcher.backends.kubernetes.jobs.record import template_of
from launcher.backends.kubernetes.kind import KIND, RESERVED
from launcher.backends.kubernetes.status.pods import variables
from launcher.render.labels import CONTAINER, QUEUE, SPEC, annotation
from launcher.schedules.model import path_of
from launcher.spec import redaction
from launcher.spec.runspec import RunSpec
from launcher.spec.validation import cores, quantity

_GPU = "nvidia.com/gpu"
# Of the folder k8s/, where nobody has said otherwise.
_USUAL = {("GANTRY_PEER_SECONDS", "600"), ("image_pull_policy", "IfNotPresent"), ("memory", "2Gi")}
_USUAL_CPU = "500m"
_GRACE = "GANTRY_GRACE_SECONDS"  # which repeats a value of the pod's
_SILENT = ("name", "backend", "context", "namespace")  # by which the schedule was found
_IMPLIED = {"kueue": "queue", "gpu": "gpus"}  # profiles that have gone with a value


class Asked(NamedTuple):
    """What a schedule was asked for."""

    spec: dict[str, Any]
    """Fields of a `RunSpec`, so far as they are known."""
    taken: list[str]
    """What was read back, a value each, such as ``image reg/gantry:1``; empty where nothing had to be."""


def asked_of(cron: Mapping[str, Any]) -> Asked:
    """The specification that a schedule was created or changed with; a pure function of its CronJob."""
    try:
        found = json.loads(annotation(cron, SPEC) or "")
    except ValueError:
        found = None
    if isinstance(found, dict):
        return Asked(found, [])
    spec = _read_back(cron)
    usual = {key: field.default for key, field in RunSpec.model_fields.items()}
    told = {key: value for key, value in spec.items() if key not in _SILENT and value != usual[key]}
    return Asked(spec, [f"{key} {_shown(value)}" for key, value in told.items()])


def _read_back(cron: Mapping[str, Any]) -> dict[str, Any]:
    job, path = cron["spec"]["jobTemplate"]["spec"], path_of(cron)
    known = template_of(job["template"])
    # What a newer launcher wrote into it besides is not ours to keep.
    said = known.spec if known else {}
    before = {key: said[key] for key in RunSpec.model_fields if said.get(key) is not None}
    where = {"name": path.name, "root": path.root, "experiment": path.experiment, "backend": KIND.name}
    where["namespace"] = str(cron["metadata"]["namespace"])
    live = {**_of_job(cron["spec"]["jobTemplate"]), **_of_container(job["template"], before)}
    found = {**before, **live, **where}
    gone = [profile for profile, field in _IMPLIED.items() if not found.get(field)]
    found["profiles"] = [each for each in before.get("profiles") or () if each not in gone]
    return {key: value for key, value in found.items() if value not in (None, {}, (), [], "")}


def _of_job(template: Mapping[str, Any]) -> dict[str, Any]:
    spec = template["spec"]
    pod = spec["template"]["spec"]
    account = pod.get("serviceAccountName")
    return {
        "workers": spec.get("completions"),
        "backoff_limit": spec.get("backoffLimit"),
        "ttl_seconds_after_finished": spec.get("ttlSecondsAfterFinished"),
        "active_deadline_seconds": spec.get("activeDeadlineSeconds"),
        "grace_seconds": pod.get("terminationGracePeriodSeconds"),
        "queue": ((template.get("metadata") or {}).get("labels") or {}).get(QUEUE),
        # The profile workload-identity makes one that is called like the Service.
        "service_account": None if account == pod.get("subdomain") else account,
    }


def _of_container(template: Mapping[str, Any], before: Mapping[str, Any]) -> dict[str, Any]:
    containers = template["spec"].get("containers") or ()
    trainer = next((each for each in containers if each.get("name") == CONTAINER), None)
    if trainer is None:
        return {}
    resources = trainer.get("resources") or {}
    wants, limits = resources.get("requests") or {}, resources.get("limits") or {}
    words = dict(_options(trainer.get("args") or ()))
    found: dict[str, Any] = {
        "image": trainer.get("image"),
        "image_pull_policy": _said("image_pull_policy", trainer.get("imagePullPolicy"), before),
        "cpu": _as_before(wants.get("cpu"), before.get("cpu")),
        "memory": _said("memory", _as_before(wants.get("memory"), before.get("memory")), before),
        "gpus": int(limits[_GPU]) if _GPU in limits else None,
        "preset": words.get("--preset"),
        "overrides": [value for word, value in _options(trainer.get("args") or ()) if word == "--set"],
        **_environment(template, before),
    }
    cpu, threads = found["cpu"], words.get("--threads")
    derived = math.ceil(cores(cpu)) if cpu and quantity(cpu) else None
    if not threads and not before.get("cpu") and cpu == _USUAL_CPU:
        found["cpu"] = None  # nobody has asked for it: else there would be --threads
    found["threads"] = int(threads) if threads and threads.isdecimal() and int(threads) != derived else None
    return found


def _as_before(live: str | None, before: str | None) -> str | None:
    """A quantity as it was written before, if it is still the same: an API server writes 0.5 as 500m."""
    return before if live and before and quantity(live) == quantity(before) else live


def _said(name: str, value: str | None, before: Mapping[str, Any]) -> str | None:
    """A value, None where it is the usual one that nobody had asked for."""
    return None if (name, value) in _USUAL and not before.get(name) else value


def _options(args: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Options of the trainer and their values, in order."""
    plain = [str(word).replace("$$", "$") for word in args]
    for place, word in enumerate(plain[:-1]):
        if word.startswith("--"):
            yield word, plain[place + 1]


def _environment(template: Mapping[str, Any], before: Mapping[str, Any]) -> dict[str, Any]:
    env, hidden = {}, {}
    for each in variables(template, CONTAINER):
        name, secret = str(each["name"]), (each.get("valueFrom") or {}).get("secretKeyRef")
        if secret:
            hidden[name] = f"{secret['name']}/{secret['key']}"
        elif name not in RESERVED and name != _GRACE and "valueFrom" not in each:
            value = str(each.get("value") or "").replace("$$", "$")
            if _said(name, value, before.get("env") or {}) is not None:
                env[name] = value
    # What is there in plain text has been said to be no secret.
    plain = [name for name, value in env.items() if redaction.looks_secret(name, value)]
    known = [name for name in before.get("env_plain") or () if name in env]
    return {"env": env, "env_secrets": hidden, "env_plain": list(dict.fromkeys([*known, *plain]))}


def _shown(value: object) -> str:
    if isinstance(value, dict):
        return ",".join(value)  # of variables the names alone: a terminal may be shared
    return ",".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
