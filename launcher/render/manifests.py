"""A run's values in their places in the manifests of ``k8s/``.

The Job comes first, suspended: its children are made with it as their owner, and then it is set going. Every
object of an attempt is named after the Job, and every selector chooses this attempt's pods alone.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from launcher.errors import SpecError
from launcher.render.kustomize import load
from launcher.render.labels import (
    APP,
    ATTEMPT,
    COMPONENT,
    CONTAINER,
    INSTANCE,
    JOB_NAME,
    MANAGED_BY,
    NAME,
    PART_OF,
    ROOT,
)
from launcher.render.paths import Manifest
from launcher.spec.footprint import scratch_mib
from launcher.spec.kinds import kind as kind_of
from launcher.spec.kubeconfig import DEFAULT_NAMESPACE, current
from launcher.spec.runspec import RunSpec
from launcher.spec.templates import check_profiles, folder
from launcher.spec.validation import quantity
from trainer import __version__
from trainer.config import VARIABLE as CONFIG
from trainer.environment import surroundings

VERSION = "app.kubernetes.io/version"
SCRATCH = "tmp"
"""Name of the volume for temporary files."""
_DISK = "ephemeral-storage"
_POD = "spec.template.spec"
TRAINER = f"{_POD}.containers[name={CONTAINER}]"
# Keys by which a pod names another object of its namespace.
_REFERENCES = ("name", "claimName", "secretName", "serviceAccountName", "subdomain")
_SELECTORS = {
    "Service": "spec.selector",
    "NetworkPolicy": "spec.podSelector.matchLabels",
    "PodDisruptionBudget": "spec.selector.matchLabels",
}


def job_name(run: str, attempt: int = 1) -> str:
    """Name of the Job of an attempt, counted from 1: the run's own name for the first.

    Its headless Service, which gives the pods their names, is called the same.
    """
    return run if attempt == 1 else f"{run}-r{attempt}"


def render(spec: RunSpec, attempt: int = 1, job: str | None = None) -> list[dict[str, Any]]:
    """What is sent to the cluster for one attempt of a run: the Job, suspended, and then its children.

    `job` is the Job's name where it is not `job_name`'s, which somebody else's may have.

    Raises:
        SpecError: the run is a local one, a profile is unknown, or ``k8s/`` lacks something.
    """
    if not kind_of(spec.backend).pods:
        raise SpecError(f"backend is {spec.backend}: expected kubernetes, as processes have no manifests")
    check_profiles(spec.profiles, spec.manifests)
    source = folder(spec.manifests)
    objects = load(source, spec.profiles)
    jobs = [manifest for manifest in objects if manifest.kind == "Job"]
    if len(jobs) != 1:
        raise SpecError(f"{source}: expected one Job, found {len(jobs)}")
    objects.sort(key=lambda manifest: manifest.kind != "Job")
    namespace = namespace_of(spec)
    name = job or job_name(spec.name, attempt)
    rename([jobs[0].name], name, objects)
    for manifest in objects:
        label(manifest, spec, attempt, chosen={JOB_NAME: name})
        manifest.put("metadata.namespace", namespace)
    fill_job(jobs[0], spec, attempt, name, arguments(spec, "--run"))
    for manifest in objects[1:]:
        fill_child(manifest, spec)
    return [manifest.data for manifest in objects]


def namespace_of(spec: RunSpec) -> str:
    """The namespace that a run goes to: its own, or the context's."""
    if spec.namespace is not None:
        return spec.namespace
    context = current(spec.context)
    return context.namespace if context else DEFAULT_NAMESPACE


def rename(olds: Sequence[str], new: str, objects: list[Manifest]) -> None:
    """Name every object after the attempt in place of one of the `olds`, and what the pods say of them.

    Raises:
        SpecError: an object is named after none of them.
    """
    names = {}
    for manifest in objects:
        name = manifest.name
        old = next((each for each in olds if name == each or name.startswith(f"{each}-")), None)
        if old is None:
            raise SpecError(
                f"{manifest.source}: metadata.name is '{name}': expected {olds[0]} or {olds[0]}-…, after the "
                f"{objects[0].kind}, as every run makes its own"
            )
        names[name] = new + name.removeprefix(old)
        manifest.set("metadata.name", names[name])
    job = objects[0]
    job.get(f"{_POD}.subdomain")
    _refer(job.get(_POD), names)


def _refer(node: Any, names: dict[str, str]) -> None:
    if isinstance(node, dict):
        for key, value in node.items():
            if key in _REFERENCES and isinstance(value, str):
                node[key] = names.get(value, value)
            else:
                _refer(value, names)
    elif isinstance(node, list):
        for value in node:
            _refer(value, names)


def label(
    manifest: Manifest,
    spec: RunSpec,
    attempt: int,
    more: Mapping[str, str] = {},
    chosen: Mapping[str, str] = {},
) -> None:
    """The labels of an object and of its pods, and in selectors those that choose the attempt's pods.

    `more` labels count in both and `chosen` in selectors alone; neither need be in the files. A namesake in
    another experiment or root has the same name and attempt, so a selector needs something of the Job's own.
    """
    own = {NAME: APP, INSTANCE: spec.name, ATTEMPT: str(attempt)}
    labels = {**own, PART_OF: spec.experiment, MANAGED_BY: APP}
    for where in ("metadata", "spec.template.metadata") if manifest.kind == "Job" else ("metadata",):
        for key, value in labels.items():
            manifest.set(f'{where}.labels["{key}"]', value)
        for key, value in {COMPONENT: CONTAINER, **more}.items():  # which a copy of k8s/ of before lacks
            manifest.put(f'{where}.labels["{key}"]', value)
    if path := _SELECTORS.get(manifest.kind):
        for key in own:
            manifest.get(f'{path}["{key}"]')
    _choose(manifest.data.get("spec"), {**own, **more, **chosen})


def _choose(node: Any, chosen: dict[str, str]) -> None:
    """Make every selector that means the demo's pods mean the attempt's."""
    if isinstance(node, dict):
        for key, value in node.items():
            if key in ("matchLabels", "selector") and isinstance(value, dict) and INSTANCE in value:
                value.update(chosen)
            else:
                _choose(value, chosen)
    elif isinstance(node, list):
        for value in node:
            _choose(value, chosen)


def fill_job(job: Manifest, spec: RunSpec, attempt: int, service: str, words: Sequence[str]) -> None:
    """A run's values in the Job of an attempt; `words` are what the image's entry point is told."""
    job.set("spec.suspend", True)
    job.set("spec.completions", spec.workers)
    job.set("spec.parallelism", spec.workers)
    job.set("spec.backoffLimit", spec.backoff_limit)
    job.set("spec.ttlSecondsAfterFinished", spec.ttl_seconds_after_finished)
    if spec.active_deadline_seconds is not None:
        job.put("spec.activeDeadlineSeconds", spec.active_deadline_seconds)
    if spec.queue is not None:
        job.set('metadata.labels["kueue.x-k8s.io/queue-name"]', spec.queue)
    for where in ("metadata", "spec.template.metadata"):
        job.set(f'{where}.annotations["{ROOT}"]', spec.root)
        job.put(f'{where}.labels["{VERSION}"]', __version__)  # whose idea of the configuration it is
    for key, value in spec.pod_labels.items():
        job.put(f'spec.template.metadata.labels["{key}"]', value)
    for key, value in spec.pod_annotations.items():
        job.put(f'spec.template.metadata.annotations["{key}"]', value)
    job.set(f"{_POD}.terminationGracePeriodSeconds", spec.grace_seconds)
    if spec.service_account is not None:
        job.put(f"{_POD}.serviceAccountName", spec.service_account)
    _fill_container(job, spec, attempt, service, words)
    _raise_scratch(job, spec)


def _fill_container(job: Manifest, spec: RunSpec, attempt: int, service: str, words: Sequence[str]) -> None:
    job.set(f"{TRAINER}.image", spec.image)
    if spec.image_pull_policy is not None:
        job.put(f"{TRAINER}.imagePullPolicy", spec.image_pull_policy)
    job.set(f"{TRAINER}.args", [literal(word) for word in words])
    if spec.cpu is not None:
        job.set(f"{TRAINER}.resources.requests.cpu", spec.cpu)
    if spec.memory is not None:
        job.set(f"{TRAINER}.resources.requests.memory", spec.memory)
        job.set(f"{TRAINER}.resources.limits.memory", spec.memory)
    if spec.gpus:
        job.set(f'{TRAINER}.resources.limits["nvidia.com/gpu"]', spec.gpus)
    own = {
        "SERVICE": service,
        "WORKERS": spec.workers,
        "ATTEMPT": attempt,
        "GRACE_SECONDS": spec.grace_seconds,
    }
    for name, value in own.items():
        job.set(f"{TRAINER}.env[name=GANTRY_{name}].value", str(value))
    for name in ("JOB", "POD", "PORT", "PEER_SECONDS"):
        job.get(f"{TRAINER}.env[name=GANTRY_{name}]")
    _carry(job, spec)
    given = _given(spec)
    kept = [entry for entry in job.get(f"{TRAINER}.env") if entry.get("name") not in given]
    job.set(f"{TRAINER}.env", [*kept, *(given[name] for name in sorted(given))])


def _carry(job: Manifest, spec: RunSpec) -> None:
    """What the run's preset and overrides mean here; a copy of ``k8s/`` of before has no place for it."""
    entries = job.get(f"{TRAINER}.env")
    if not any(entry.get("name") == CONFIG for entry in entries):
        job.set(f"{TRAINER}.env", [*entries, {"name": CONFIG, "value": ""}])
    job.set(f"{TRAINER}.env[name={CONFIG}].value", literal(spec.carried()))


def _raise_scratch(job: Manifest, spec: RunSpec) -> None:
    """Raise the bound on the disk for temporary files for the run's checkpoints, and what is requested of it.

    Either only where it is stated: a folder of one's own has other ideas, and of a node that does not measure
    its disk nothing may be requested. No limit goes with the request, as it would count the logs too.
    """
    places = [
        volume.get("emptyDir") or {}
        for volume in job.get(_POD).get("volumes") or []
        if volume.get("name") == SCRATCH
    ]
    if any(place.get("medium") for place in places):
        return
    needed = scratch_mib(spec.config())
    requests = (job.get(TRAINER).get("resources") or {}).get("requests") or {}
    for stating, key in [*((place, "sizeLimit") for place in places), (requests, _DISK)]:
        stated = quantity(str(stating[key])) if key in stating else None
        if stated is not None and stated < needed << 20:
            stating[key] = f"{needed}Mi"


def _given(spec: RunSpec) -> dict[str, dict[str, Any]]:
    """The variables that the user adds, by name; of those from Secrets only where they are."""
    given: dict[str, dict[str, Any]] = {
        name: {"name": name, "value": literal(value)} for name, value in spec.env.items()
    }
    if listed := surroundings.rules([*spec.env, *spec.env_secrets]):
        names = ",".join(rule.name for rule in listed)
        given[surroundings.TYPED] = {"name": surroundings.TYPED, "value": names}
    for name, where in spec.env_secrets.items():
        secret, _, key = where.partition("/")
        given[name] = {"name": name, "valueFrom": {"secretKeyRef": {"name": secret, "key": key}}}
    return given


def arguments(spec: RunSpec, named: str) -> list[str]:
    """What the image's entry point, the trainer, is told; `named` is the option with the spec's name."""
    words = ["worker", "--preset", spec.preset, "--root", spec.root]
    words += ["--experiment", spec.experiment, named, spec.name]
    for override in spec.overrides:
        words += ["--set", override]
    if spec.accepts_changed_data:
        words.append("--accept-changed-data")
    if spec.pod_threads is not None:
        words += ["--threads", str(spec.pod_threads)]
    return words


def literal(text: str) -> str:
    """A text as it must be written where Kubernetes puts variables in place of ``$(NAME)``."""
    return text.replace("$", "$$")


def fill_child(manifest: Manifest, spec: RunSpec) -> None:
    """A run's values in an object that is not the Job."""
    manifest.get("metadata").setdefault("annotations", {})[ROOT] = spec.root
    if manifest.kind == "PodDisruptionBudget":
        manifest.set("spec.minAvailable", spec.workers - 1)
    if manifest.kind == "ServiceAccount" and spec.google_service_account is not None:
        manifest.set('metadata.annotations["iam.gke.io/gcp-service-account"]', spec.google_service_account)
