"""Pods that were let in otherwise than they were asked for: with a limit on CPU, or a container more."""

from decimal import Decimal

from launcher.backends.kubernetes.capacity.admitted import CPU_LIMIT, Change, changes
from launcher.backends.kubernetes.capacity.requests import amounts
from launcher.diagnosis.explain.base import Cause, Evidence, Finding
from launcher.diagnosis.explain.causes.restart import submit
from launcher.diagnosis.explain.evidence import from_field
from launcher.diagnosis.explain.facts import Facts, Object
from launcher.records.states import RESTARTING, STARTING
from launcher.render.labels import CONTAINER

# Importing TensorFlow alone takes 6 s of a processor, which at 150m are 40 s.
_SLOW_CORES = Decimal(1)
_LIMIT_RANGER = "kubernetes.io/limit-ranger"  # annotation by which the API server says what it has filled in


def altered(facts: Facts) -> list[tuple[Object, Change]]:
    """What the newest pods were admitted with and not asked for, each thing once, and a pod that shows it."""
    if facts.job is None:
        return []
    asked = facts.job["spec"]["template"]["spec"]
    found: dict[Change, Object] = {}
    for _, pod in facts.newest:
        for change in changes(asked, pod["spec"]):
            found.setdefault(change, pod)
    return [(pod, change) for change, pod in found.items()]


def harmful(facts: Facts) -> str:
    """What of it does a run harm, in a few words; empty where nothing does."""
    return "; ".join(str(change) for _, change in altered(facts) if change.harm)


def throttled(facts: Facts) -> Finding | None:
    """Workers that take long to start on the part of a processor that a LimitRange leaves them."""
    if facts.status.state not in (STARTING, RESTARTING):
        return None
    for pod, change in altered(facts):
        if change.field == CPU_LIMIT and change.harm and (limit := _cpu_limit(pod)) < _SLOW_CORES:
            sentence = f"{facts.name} starts slowly, as {change}"
            path = f"spec.containers[{CONTAINER}].resources.limits.cpu"
            fix = submit(facts, manifests="DIR").noting("a copy of k8s/ whose job.yaml sets limits.cpu")
            return Finding(sentence, [from_field(pod, "Pod", path, f"{limit:f}"), *_filled_in(pod)], fix)
    return None


def _cpu_limit(pod: Object) -> Decimal:
    """The trainer's limit; one core where it has none."""
    for container in pod["spec"]["containers"]:
        if container["name"] == CONTAINER:
            return amounts((container.get("resources") or {}).get("limits")).get("cpu", _SLOW_CORES)
    return _SLOW_CORES


def _filled_in(pod: Object) -> list[Evidence]:
    said = (pod["metadata"].get("annotations") or {}).get(_LIMIT_RANGER)
    return [from_field(pod, "Pod", f"metadata.annotations[{_LIMIT_RANGER}]", said)] if said else []


THROTTLED = Cause(
    "throttled",
    "A LimitRange throttles the workers",
    "The pods have a limit on CPU below one core that the Job's template lacks, and trainers still start",
    "State a limit that is large enough in a copy of `k8s/`, or have the LimitRange's default changed",
    throttled,
)
