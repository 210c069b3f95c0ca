"""Workers that do not find or do not reach each other, and training that stands still."""

import re
from collections.abc import Mapping
from datetime import timedelta

from launcher.backends.kubernetes.status.pods import is_there
from launcher.diagnosis.explain.base import Cause, Evidence, Finding
from launcher.diagnosis.explain.causes import restart
from launcher.diagnosis.explain.causes.policies import forbidden, selects
from launcher.diagnosis.explain.causes.words import Said, Word, evidence, find, fresh
from launcher.diagnosis.explain.evidence import from_field, from_log, from_status, since
from launcher.diagnosis.explain.facts import Facts, Object
from launcher.diagnosis.explain.health import passing
from launcher.records.states import RUNNING

MEETING_PORT = 2222
_UNRESOLVED = r"after (\d+) s the names of \d+ of (\d+) workers do not resolve: ([^;]+)"
_APART = (
    r"after (\d+) s the workers have not met: (.*)",
    r"after (\d+) s (\d+ of \d+ workers did not come.*)",
    r"the (\d+) workers did not all come: (.*)",
)
_WAITING = r"waiting for (.*)"
_LONG = timedelta(minutes=1)  # all pods run for so long, and still do not find each other
_PROFILE = "network-policy"


def unreachable(facts: Facts) -> Finding | None:
    """Workers do not find each other's names, or nobody answers at them."""
    said = find(facts, _UNRESOLVED, *_APART) or _waits(facts)
    if not said:
        return None
    trouble = _trouble(said)
    for look in (_service, _policies):
        if found := look(facts, said, trouble):
            return found
    pods = facts.kubectl(
        "get", "pods", "-o", "wide", "-l", f"batch.kubernetes.io/job-name={facts.status.job}"
    )
    return Finding(f"the workers of {facts.name} cannot meet: {trouble}", evidence(facts, said), pods)


def stalled(facts: Facts) -> Finding | None:
    """No step for longer than the limit, or no word for minutes."""
    said = find(facts, r"no step for (\d+) s \(the limit is (\d+) s\)")
    if said and not passing(facts):  # it begins again by itself
        seconds, limit = said.match.groups()
        sentence = (
            f"training stood still: {said.who} took no step for {seconds} s, and its limit is {limit} s "
            "(recovery.stall_seconds)"
        )
        return Finding(sentence, evidence(facts, said, _stack(facts, said)), restart.resume(facts))
    now = facts.status
    if now.state != RUNNING or "written nothing" not in now.explanation:
        return None
    seen = [each for each in (from_status(facts, "state"),) if each]
    seen += [from_log(lines[-1]) for _, lines in sorted(facts.logs.items()) if lines][:2]
    where = "" if now.step is None else f" since step {now.step}"
    return Finding(f"{facts.name} may stand still: {now.explanation}{where}", seen, restart.resume(facts))


def is_apart(facts: Facts) -> bool:
    """Whether a worker waits, or waited in vain, for others."""
    waiting = any(
        re.match(_WAITING, line.text) for lines in facts.logs.values() for line in fresh(lines)[-3:]
    )
    return waiting or find(facts, _UNRESOLVED, *_APART) is not None


def _waits(facts: Facts) -> Said | None:
    """A line that says whom a pod waits for, where all pods have run for long or the run is over."""
    if facts.status.live and not _run_for_long(facts) and _has_service(facts):
        return None
    for worker, lines in sorted(facts.logs.items()):
        recent = fresh(lines)
        for line in recent[-1:] if facts.status.live else recent[-3:]:
            if match := re.match(_WAITING, line.text):
                return Said(Word(line.text, from_log(line), worker), match)
    return None


def _run_for_long(facts: Facts) -> bool:
    pods = [pod for _, pod in facts.newest]
    ages = [since((pod.get("status") or {}).get("startTime"), facts.time) for pod in pods if is_there(pod)]
    return len(ages) == facts.status.world_size and all((age or 0) > _LONG.total_seconds() for age in ages)


def _trouble(said: Said) -> str:
    """What the workers said, short."""
    if said.match.re.pattern == _UNRESOLVED:
        return f"after {said.match[1]} s the names {said.match[3].strip()} do not resolve"
    return said.match[0]


def service_name(facts: Facts) -> str | None:
    """The headless Service in whose domain the workers' names are."""
    template = ((facts.job or {}).get("spec") or {}).get("template") or {}
    name = (template.get("spec") or {}).get("subdomain")
    return None if name is None else str(name)


def _has_service(facts: Facts) -> bool:
    """Whether the Service is there, or nobody can say."""
    name = service_name(facts)
    asked = not any(line.startswith(f"Service '{name}'") for line in facts.unasked)
    return name is None or not asked or f"Service/{name}" in facts.others


def _service(facts: Facts, said: Said, trouble: str) -> Finding | None:
    """What is wrong with the Service, if anything."""
    name = service_name(facts)
    if name is None:
        return None
    if not _has_service(facts):
        seen = evidence(facts, said, Evidence(f"Service/{name}", "", "does not exist"))
        sentence = (
            f"the workers cannot find each other, as their headless Service '{name}' is gone: {trouble}"
        )
        return Finding(sentence, seen, restart.resume(facts))
    service = facts.others.get(f"Service/{name}")
    wrong = service and _wrong_with(service, _labels(facts))
    if not (service and wrong):
        return None
    path, value, needed = wrong
    sentence = (
        f"the workers cannot find each other, as {path} of Service '{name}' is {value}: expected {needed}"
    )
    return Finding(
        sentence, evidence(facts, said, from_field(service, "Service", path, value)), restart.resume(facts)
    )


def _wrong_with(service: Object, labels: Mapping[str, str]) -> tuple[str, str, str] | None:
    """A field of a Service that keeps names from resolving, its value and what it should be."""
    spec = service.get("spec") or {}
    if spec.get("clusterIP") != "None":
        return "spec.clusterIP", str(spec.get("clusterIP")), "None, for it is headless"
    if not spec.get("publishNotReadyAddresses"):
        return "spec.publishNotReadyAddresses", "false", "true, as workers meet before they are ready"
    selector = spec.get("selector") or {}
    if labels and not selects({"matchLabels": selector}, labels):
        wanted = ",".join(f"{key}={value}" for key, value in sorted(selector.items()))
        return "spec.selector", wanted, "labels that the pods have"
    return None


def _policies(facts: Facts, said: Said, trouble: str) -> Finding | None:
    """NetworkPolicies that keep the workers from finding or reaching each other."""
    known = {name: found for name, found in facts.others.items() if name.startswith("NetworkPolicy/")}
    lacks = forbidden(known.values(), _labels(facts), MEETING_PORT)
    if not lacks:
        return None
    names = sorted({name for each in lacks for name in each.policies})
    plural = "NetworkPolicies" if len(names) > 1 else "NetworkPolicy"
    which = ", ".join(f"'{name}'" for name in names)
    whose = f"{plural} {which} of namespace '{facts.namespace}'"
    sentence = f"{whose} does not allow the workers {lacks[0].what}: {trouble}"
    seen = [
        Evidence(f"NetworkPolicy/{name}", "spec", f"does not allow {each.what}")
        for each in lacks
        for name in each.policies
    ]
    profiles = tuple(facts.spec.get("profiles") or ())
    fix = (
        facts.kubectl("describe", "networkpolicy", *names)
        if _PROFILE in profiles
        else restart.submit(facts, profiles=[*profiles, _PROFILE])
    )
    return Finding(sentence, evidence(facts, said, *seen), fix)


def _labels(facts: Facts) -> Mapping[str, str]:
    """Labels of the run's pods."""
    template = ((facts.job or {}).get("spec") or {}).get("template") or {}
    pods = [pod["metadata"].get("labels") or {} for _, pod in facts.newest]
    return dict(pods[0] if pods else (template.get("metadata") or {}).get("labels") or {})


def _stack(facts: Facts, said: Said) -> Evidence | None:
    """Where the worker's main thread stood, from the stacks that the watchdog wrote."""
    lines = list(facts.logs.get(said.word.worker or 0, ()))
    starts = [
        at
        for at, line in enumerate(lines)
        if line.text.startswith("Thread ") or "Current thread" in line.text
    ]
    inner = [lines[at + 1] for at in starts if at + 1 < len(lines) and "trainer/" in lines[at + 1].text]
    return from_log(inner[-1]) if inner else None


UNREACHABLE = Cause(
    "peer-unreachable",
    "Workers do not reach each other",
    "Names do not resolve, or the chief does not answer, for GANTRY_PEER_SECONDS; pods leave with 42",
    "The headless Service back, or a NetworkPolicy that allows DNS and the workers each other",
    unreachable,
)
STALLED = Cause(
    "stalled",
    "Training stands still",
    "No step for recovery.stall_seconds; the stacks of all threads are in the log, the trainer starts again",
    "Look at the stacks for what it waited for; resume goes on from the newest checkpoint",
    stalled,
)
