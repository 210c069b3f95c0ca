"""Pods that the API server lets no Job make; the Job's controller tells of it in FailedCreate events.

Every text here is the API server's own: of its quota, LimitRanger, PodSecurity, ServiceAccount and Priority
admission, of ValidatingAdmissionPolicy and of webhooks.
"""

import re
from decimal import Decimal
from typing import NamedTuple

from launcher.backends.kubernetes.jobs import is_suspended, workers_of
from launcher.backends.kubernetes.requests import Amounts, amounts, shown
from launcher.explain.base import Cause, Evidence, Finding
from launcher.explain.causes.again import resume, submit
from launcher.explain.evidence import from_event, from_field
from launcher.explain.facts import Facts, kubectl, message_of

_FIELDS = {"cpu": "cpu", "memory": "memory", "nvidia.com/gpu": "gpus", "pods": "workers"}
"""By a quota's resource: the field of a `RunSpec` that asks for it."""
_OUT_OF_RANGE = (
    r"(maximum|minimum) (\S+) usage per (\w+) is ([^,]+?), "
    r"but (?:(?:limit|request) is ([^.,]+)|(no \w+ is specified))"
)
_AND_OTHERS = "what others use; the Job tries again by itself when there is room"
_AMOUNTS = re.compile(r"([\w./-]+)=([^,\s]+)")


class _Refusal(NamedTuple):
    """The newest word of why no pod can be made, and what was found in it."""

    match: re.Match[str]
    evidence: Evidence


def refused(facts: Facts) -> bool:
    """Whether a worker has no pod because the API server lets none be made."""
    return _newest(facts) is not None


def _newest(facts: Facts) -> tuple[str, Evidence] | None:
    job = facts.job
    if job is None or facts.verdict or is_suspended(job) or len(facts.workers) >= workers_of(job):
        return None
    event = facts.newest_event("FailedCreate")
    return (message_of(event), from_event(event)) if event else None


def _refusal(facts: Facts, pattern: str) -> _Refusal | None:
    newest = _newest(facts)
    match = re.search(pattern, newest[0]) if newest else None
    return _Refusal(match, newest[1]) if match and newest else None


def quota(facts: Facts) -> Finding | None:
    """A ResourceQuota that has no room for a worker, or that wants more said of it."""
    if found := _refusal(facts, r"failed quota: ([^:]+): must specify (.+)"):
        name, what = found.match.groups()
        sentence = f"quota '{name}' of namespace '{facts.namespace}' wants pods to say {what}"
        fix = submit(facts, manifests="DIR").noting("a copy of k8s/ whose job.yaml says it")
        return Finding(sentence, (found.evidence, *_quota(facts, name)), fix)
    if not (found := _refusal(facts, r"exceeded quota: ([^,]+), requested: (.+), used: (.+), limited: (.+)")):
        return None
    name, *texts = found.match.groups()
    said = [dict(_AMOUNTS.findall(text)) for text in texts]
    told = "; ".join(
        f"a worker asks for {amount} of {key}, and {said[1].get(key)} of {said[2].get(key)} is used"
        for key, amount in said[0].items()
    )
    asked, used, limit = map(amounts, said)
    sentence = f"quota '{name}' of namespace '{facts.namespace}' has no room: {told}"
    less = _less(facts, asked, used, limit)
    look = facts.kubectl("describe resourcequota", name).noting(_AND_OTHERS)
    fix = submit(facts, **less) if less else look
    return Finding(sentence, (found.evidence, *_quota(facts, name)), fix)


def _less(facts: Facts, asked: Amounts, used: Amounts, limit: Amounts) -> dict[str, str]:
    """Fields of the run's specification with what the quota has left; none where it has nothing left."""
    found = {}
    for resource in asked:
        room = limit.get(resource, Decimal(0)) - used.get(resource, Decimal(0))
        plain = resource.removeprefix("requests.").removeprefix("limits.")
        if plain == "pods":
            room += len(facts.workers)
        if room <= 0:
            return {}
        if field := _FIELDS.get(plain):
            found[field] = shown(plain, room)
    return found


def _quota(facts: Facts, name: str) -> list[Evidence]:
    """What a quota allows and what is used of it, where it may be read."""
    found = [
        each for each in facts.quotas if each["metadata"]["name"] == name and each["kind"] == "ResourceQuota"
    ]
    return [
        from_field(
            each,
            "ResourceQuota",
            f"status.{key}",
            ", ".join(f"{name} {value}" for name, value in values.items()),
        )
        for each in found
        for key in ("hard", "used")
        if (values := (each.get("status") or {}).get(key))
    ]


def limit_range(facts: Facts) -> Finding | None:
    """A LimitRange that forbids containers of this size."""
    if not (found := _refusal(facts, _OUT_OF_RANGE)):
        return None
    bound, resource, per, allowed, asked, unsaid = found.match.groups()
    most = "at most" if bound == "maximum" else "at least"
    sentence = (
        f"a LimitRange of namespace '{facts.namespace}' allows a {per.lower()} {most} "
        f"{allowed} of {resource}, and a worker {f'asks for {asked}' if asked else f'says nothing: {unsaid}'}"
    )
    ranges = [
        from_field(each, "LimitRange", "spec.limits", "; ".join(map(str, each["spec"]["limits"])))
        for each in facts.quotas
        if each["kind"] == "LimitRange"
    ]
    field = _FIELDS.get(resource)
    fix = submit(facts, **{field: allowed}) if field else submit(facts, manifests="DIR")
    return Finding(
        sentence, (found.evidence, *ranges), resume(facts, "--memory", allowed) if field == "memory" else fix
    )


def pod_security(facts: Facts) -> Finding | None:
    """The namespace's Pod Security level, which the pods do not meet."""
    if not (found := _refusal(facts, r'violates PodSecurity "([^"]+)": (.*)')):
        return None
    level, why = found.match.groups()
    sentence = f"Pod Security '{level}' of namespace '{facts.namespace}' refuses the pods: {why}"
    # The project's own k8s/ meets "restricted", so somebody's copy or profile does not.
    if facts.spec.get("manifests"):
        fix = submit(facts, manifests=None).noting("k8s/ as it comes meets it")
    else:
        fix = submit(facts, manifests="DIR").noting("a copy of k8s/ that meets it")
    return Finding(sentence, (found.evidence,), fix)


def service_account(facts: Facts) -> Finding | None:
    """A service account that the namespace does not have."""
    if not (found := _refusal(facts, r"error looking up service account ([^/]+)/([^:]+): ")):
        return None
    namespace, name = found.match.groups()
    sentence = f"service account '{name}' does not exist in namespace '{namespace}'"
    return Finding(
        sentence, (found.evidence,), kubectl(facts.context, namespace, "create serviceaccount", name)
    )


def priority_class(facts: Facts) -> Finding | None:
    """A priority class that the cluster does not have."""
    if not (found := _refusal(facts, r"no PriorityClass with name (\S+) was found")):
        return None
    sentence = f"priority class '{found.match[1]}' does not exist in the cluster"
    return Finding(sentence, (found.evidence,), facts.wide("get priorityclasses"))


def webhook_away(facts: Facts) -> Finding | None:
    """A webhook that must be asked about every pod and does not answer."""
    if not (found := _refusal(facts, r'failed calling webhook "([^"]+)": (.*)')):
        return None
    name, why = found.match.groups()
    sentence = f"admission webhook '{name}' does not answer, and without it the cluster makes no pods: {why}"
    kinds = "validatingwebhookconfigurations,mutatingwebhookconfigurations"
    webhooks = "WEBHOOKS:.webhooks[*].name,SERVICES:.webhooks[*].clientConfig.service.name"
    look = facts.wide("get", kinds, "-o", f"custom-columns=CONFIGURATION:.metadata.name,{webhooks}")
    fix = look.noting(f"the service of '{name}' is to be mended")
    return Finding(sentence, (found.evidence,), fix)


def policy(facts: Facts) -> Finding | None:
    """A webhook or a ValidatingAdmissionPolicy that refuses the pods."""
    webhook = r'admission webhook "([^"]+)" denied the request:? ?(.*)'
    if found := _refusal(facts, webhook):
        name, why = found.match.groups()
        sentence = f"admission webhook '{name}' refuses the pods: {why or 'it gives no reason'}"
    elif found := _refusal(
        facts, r"ValidatingAdmissionPolicy '([^']+)' with binding '[^']+' denied request:? ?(.*)"
    ):
        name, why = found.match.groups()
        sentence = f"ValidatingAdmissionPolicy '{name}' refuses the pods: {why or 'it gives no reason'}"
    else:
        return None
    fix = submit(facts, manifests="DIR").noting("a copy of k8s/ that meets it")
    return Finding(sentence, (found.evidence,), fix)


ADMISSION = (
    Cause(
        "quota",
        "The namespace's quota has no room",
        "FailedCreate of the Job with `exceeded quota` or `failed quota`",
        "Ask for less or for fewer workers, wait until other runs end, or have the quota raised",
        quota,
    ),
    Cause(
        "limit-range",
        "A LimitRange forbids the size of the pods",
        "FailedCreate of the Job with `maximum memory usage per Container is …` and the like",
        "Ask for what the LimitRange allows",
        limit_range,
    ),
    Cause(
        "pod-security",
        "Pod Security refuses the pods",
        'FailedCreate of the Job with `violates PodSecurity "restricted:latest"`',
        'Use `k8s/` as it comes, which meets "restricted", or mend the copy that `--manifests` names',
        pod_security,
    ),
    Cause(
        "service-account-missing",
        "The service account does not exist",
        "FailedCreate of the Job with `error looking up service account`",
        "Create it, or rerun with another `--service-account`; the Job tries again by itself",
        service_account,
    ),
    Cause(
        "priority-class-missing",
        "The priority class does not exist",
        "FailedCreate of the Job with `no PriorityClass with name`",
        "Name one that `kubectl get priorityclasses` shows in the copy of `k8s/` that `--manifests` names",
        priority_class,
    ),
    Cause(
        "webhook-failing",
        "An admission webhook does not answer",
        "FailedCreate of the Job with `failed calling webhook`",
        "Mend the webhook's service, or ask who installed it; the Job tries again by itself",
        webhook_away,
    ),
    Cause(
        "admission-refused",
        "An admission webhook or policy refuses the pods",
        "FailedCreate of the Job with `denied the request`; of a Job that is refused itself `submit` tells "
        "at once, and leaves nothing behind",
        "Give the pods what it asks for, in a copy of `k8s/` that `--manifests` names",
        policy,
    ),
)
