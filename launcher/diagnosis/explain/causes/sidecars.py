"""Containers that are not the run's own, as a mesh injects them, and keep pods whose trainer has ended."""

from collections.abc import Iterable, Mapping
from dataclasses import replace

from launcher.backends.kubernetes.status.endings import ending
from launcher.backends.kubernetes.status.jobs import workers_of
from launcher.backends.kubernetes.status.pods import containers, held_by, runs
from launcher.diagnosis.explain.base import Cause, Evidence, Finding
from launcher.diagnosis.explain.evidence import from_condition, from_container, present
from launcher.diagnosis.explain.facts import Facts, Object
from launcher.records.states import FINISHED
from launcher.render.labels import CONTAINER

# How a pod declines what injects a container of this name, after the projects' documentation.
_DECLINED = {
    "istio-proxy": "--pod-label sidecar.istio.io/inject=false",
    "linkerd-proxy": "--pod-annotation linkerd.io/inject=disabled",
    "kuma-sidecar": "--pod-label kuma.io/sidecar-injection=disabled",
    "consul-dataplane": "--pod-annotation consul.hashicorp.com/connect-inject=false",
}


def left_over(facts: Facts) -> Finding | None:
    """A run that is finished, and whose pods another container keeps."""
    if facts.status.state != FINISHED or not (held := _held(facts)):
        return None
    names = sorted({name for pod in held.values() for name in held_by(pod)})
    workers = len(held) if facts.job is None else workers_of(facts.job)
    which = "its pod" if workers == 1 else f"{len(held)} of its {workers} pods"
    sentence = (
        f"{facts.name} is finished, but {containers(names)}, not the trainer's, still {runs(names)} in "
        f"{which}, so that its Job never ends; {_kept_out(facts, names)}"
    )
    return Finding(sentence, _evidence(held.values()), facts.command("delete"))


def in_the_way(facts: Facts) -> Finding | None:
    """A worker whose trainer ended badly, and that gets no new pod while another container keeps the old."""
    for worker, pod in _held(facts).items() if facts.status.live else ():
        trainer = next(each for each in _statuses(pod) if each["name"] == CONTAINER)
        names = held_by(pod)
        sentence = (
            f"worker {worker} {ending(pod, trainer['state']['terminated'])[1]}, and gets no new pod, as "
            f"{containers(names)}, not the trainer's, still {runs(names)} in the old one; "
            f"{_kept_out(facts, names)}"
        )
        seen = [from_container(pod, trainer), *_evidence([pod])]
        return Finding(sentence, seen, facts.kubectl("delete", "pod", pod["metadata"]["name"]))
    return None


def _held(facts: Facts) -> Mapping[int, Object]:
    return {worker: pod for worker, pod in facts.newest if held_by(pod)}


def _statuses(pod: Object) -> list[Object]:
    found: list[Object] = (pod.get("status") or {}).get("containerStatuses") or []
    return found


def _evidence(pods: Iterable[Object]) -> list[Evidence]:
    pod = next(iter(pods))
    held = [
        replace(from_container(pod, each), text=f"runs, of image '{each.get('image')}'")
        for each in _statuses(pod)
        if each["name"] in held_by(pod)
    ]
    return [*held, *present([from_condition(pod, "Pod", "Ready")])]


def _kept_out(facts: Facts, names: Iterable[str]) -> str:
    """How the next run goes without these containers."""
    own = _own(facts)
    injected = [name for name in names if name not in own]
    if not injected:
        return "the Job's own manifests have it, and may make it an init container that is always restarted"
    flags = [_DECLINED[name] for name in injected if name in _DECLINED]
    if flags:
        return f"{' '.join(flags)} keeps it out of the next one's"
    return "--pod-label or --pod-annotation may decline it for the next one, as what injects it says"


def _own(facts: Facts) -> set[str]:
    """Containers that the Job itself has."""
    template = ((facts.job or {}).get("spec") or {}).get("template") or {}
    return {str(each.get("name")) for each in (template.get("spec") or {}).get("containers") or []}


LEFT_OVER = Cause(
    "foreign-container",
    "Another container keeps the pods of a finished run",
    "All trainers left with 0, and the pods are NotReady: a container beside the trainer's, such as a mesh's "
    "proxy, still runs in them",
    "`launcher delete RUN` ends them, and the run's files stay; `--pod-label` or `--pod-annotation` declines "
    "the injection for the next run",
    left_over,
)
IN_THE_WAY = Cause(
    "foreign-container-holds",
    "Another container keeps the pod of a trainer that ended badly",
    "A trainer has ended, and the Job makes no new pod as the old one still has a container that runs",
    "Delete the pod, which the Job then replaces; decline the injection for the next run",
    in_the_way,
)
