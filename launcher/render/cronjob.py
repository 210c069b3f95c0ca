"""From a schedule to its manifests: ``k8s/cronjob`` with its values in named places.

The profiles' components patch a Job. So the Job in the CronJob's template is taken out, given its profiles
and its values as the Job of any run, and put back.
"""

import json
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

from launcher.errors import SpecError
from launcher.render.kustomize import lay_over, load
from launcher.render.labels import COMPONENT, ROOT
from launcher.render.manifests import (
    TRAINER,
    arguments,
    fill_child,
    fill_job,
    label,
    literal,
    namespace_of,
    rename,
)
from launcher.render.paths import Manifest
from launcher.spec.kinds import kind as kind_of
from launcher.spec.kubeconfig import current
from launcher.spec.runspec import RunSpec
from launcher.spec.templates import check_profiles, folder

FOLDER = "cronjob"
SCHEDULE, SPEC, TIMING, WORKERS = (f"gantry/{key}" for key in ("schedule", "spec", "timing", "workers"))
_RECORD_FORMAT = 1  # of cluster.json


@dataclass(frozen=True)
class Timing:
    """When a schedule fires, and what becomes of firings that cannot begin or have ended."""

    schedule: str
    """Cron line."""
    time_zone: str = "Etc/UTC"
    concurrency_policy: str = "Forbid"
    """Forbid: what is due while a firing runs waits, and is missed in the end; Allow: both run; Replace: the
    one that runs is stopped."""
    starting_deadline_seconds: int = 3600
    """How late a firing may begin before it is missed."""
    successful_history: int = 3
    """Jobs of firings that finished which the cluster keeps."""
    failed_history: int = 3
    """The same of those that failed."""
    suspended: bool = False


class Cluster(NamedTuple):
    """The cluster that a schedule is on, for the records of its firings."""

    namespace: str
    context: str
    server: str


def render_schedule(spec: RunSpec, timing: Timing, cluster: Cluster | None = None) -> list[dict[str, Any]]:
    """What is sent to the cluster for a schedule named `spec.name`: the CronJob, and then what it owns.

    `cluster` is by default what the kubeconfig says.

    Raises:
        SpecError: the run is a local one, a profile is unknown, or ``k8s/`` lacks something.
    """
    if not kind_of(spec.backend).pods:
        raise SpecError(f"backend is {spec.backend}: expected kubernetes, as a schedule is the cluster's")
    check_profiles(spec.profiles, spec.manifests)
    source = folder(spec.manifests)
    objects = load(source / FOLDER)
    cron = _only("CronJob", objects, source / FOLDER)
    job = _taken_out(cron)
    others = [manifest for manifest in objects if manifest is not cron]
    parts = [job, *others]
    lay_over(source, spec.profiles, parts)
    rename([cron.name, _only("Job", load(source), source).name], spec.name, parts)
    for manifest in parts:
        label(manifest, spec, 1, {SCHEDULE: spec.name})
        manifest.put("metadata.namespace", namespace_of(spec))
    _fill(job, spec, cluster or _by_kubeconfig(spec))
    children = [manifest for manifest in parts if manifest is not job]
    for child in children:
        fill_child(child, spec)
        if child.kind == "PodDisruptionBudget":
            # Its number is of so many workers: a firing that began with another number is not its business.
            child.put(f'spec.selector.matchLabels["{WORKERS}"]', str(spec.workers))
    _put_back(cron, job, spec, timing)
    return [cron.data, *(child.data for child in children)]


def _only(kind: str, objects: list[Manifest], source: Any) -> Manifest:
    found = [manifest for manifest in objects if manifest.kind == kind]
    if len(found) != 1:
        raise SpecError(f"{source}: expected one {kind}, found {len(found)}")
    return found[0]


def _taken_out(cron: Manifest) -> Manifest:
    """The Job that the CronJob would make, as an object of its own."""
    template = cron.get("spec.jobTemplate")
    for key in ("metadata.labels", "metadata.annotations", "spec"):
        cron.get(f"spec.jobTemplate.{key}")
    metadata = {"name": cron.name, **template["metadata"]}
    data = {"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "spec": template["spec"]}
    return Manifest(cron.source, data)


def _fill(job: Manifest, spec: RunSpec, cluster: Cluster) -> None:
    job.get("spec.activeDeadlineSeconds")
    fill_job(job, spec, 1, spec.name, arguments(spec, "--schedule"))
    job.set("spec.suspend", spec.queue is not None)
    job.put(f'spec.template.metadata.labels["{WORKERS}"]', str(spec.workers))
    job.set(f"{TRAINER}.env[name=GANTRY_RECORD].value", literal(record_template(spec, cluster)))


def _put_back(cron: Manifest, job: Manifest, spec: RunSpec, timing: Timing) -> None:
    made = job.data["metadata"]
    labels = {key: made["labels"][key] for key in (*cron.get("metadata.labels"), COMPONENT)}
    cron.set("metadata.name", spec.name)
    cron.put("metadata.namespace", made["namespace"])
    cron.put("metadata.labels", labels)
    cron.set(f'metadata.annotations["{ROOT}"]', spec.root)
    cron.put(f'metadata.annotations["{SPEC}"]', json.dumps(asked(spec), separators=(",", ":")))
    cron.put(f'metadata.annotations["{TIMING}"]', timing_json(timing))
    for field, value in _fields(timing).items():
        cron.set(f"spec.{field}", value)
    inside = {key: made[key] for key in ("labels", "annotations")}
    cron.set("spec.jobTemplate", {"metadata": inside, "spec": job.data["spec"]})


def asked(spec: RunSpec) -> dict[str, Any]:
    """What of a specification is not as it is anyway, from which `RunSpec` makes the same again."""
    return spec.model_dump(mode="json", exclude_defaults=True) | {"backend": spec.backend}


def timing_json(timing: Timing) -> str:
    """What was asked for of a schedule's times, for its annotation: others may edit the fields themselves."""
    return json.dumps(asdict(timing), separators=(",", ":"))


def _fields(timing: Timing) -> dict[str, Any]:
    values = asdict(timing)
    return {field: values[name] for field, name in FIELDS.items()}


FIELDS = {
    "schedule": "schedule",
    "timeZone": "time_zone",
    "suspend": "suspended",
    "concurrencyPolicy": "concurrency_policy",
    "startingDeadlineSeconds": "starting_deadline_seconds",
    "successfulJobsHistoryLimit": "successful_history",
    "failedJobsHistoryLimit": "failed_history",
}
"""Fields of a CronJob's spec, and of `Timing`."""


def record_template(spec: RunSpec, cluster: Cluster) -> str:
    """``cluster.json`` of a firing as JSON, so far as it is known before; its first pod adds the rest."""
    record = {
        "attempt": 1,
        "namespace": cluster.namespace,
        "context": cluster.context,
        "server": cluster.server,
        "workers": spec.workers,
        "spec": spec.model_dump(mode="json"),
        "format": _RECORD_FORMAT,
    }
    return json.dumps(record, separators=(",", ":"))


def _by_kubeconfig(spec: RunSpec) -> Cluster:
    context = current(spec.context)
    name, server = (context.name, context.server) if context else ("", "")
    return Cluster(namespace_of(spec), name, server)
