"""Pods that the API server lets no Job make; the Job's controller tells of it in FailedCreate events.

Every text here is the API server's own: of its quota, LimitRanger, PodSecurity, ServiceAccount and Priority
admission, of ValidatingAdmissionPolicy and of webhooks.
"""

from launcher.diagnosis.explain.base import Cause, Evidence, Finding
from launcher.diagnosis.explain.causes.needs import at_least
from launcher.diagnosis.explain.causes.quota import QUOTA
from launcher.diagnosis.explain.causes.refusals import refusal
from launcher.diagnosis.explain.causes.restart import resume, submit
from launcher.diagnosis.explain.evidence import from_field
from launcher.diagnosis.explain.facts import Facts, kubectl
from launcher.diagnosis.explain.fix import Fix

_FIELDS = {"cpu": "cpu", "nvidia.com/gpu": "gpus"}
"""By a LimitRange's resource: the field of a `RunSpec` that asks for it."""
_OUT_OF_RANGE = (
    r"(maximum|minimum) (\S+) usage per (\w+) is ([^,]+?), "
    r"but (?:(?:limit|request) is ([^.,]+)|(no \w+ is specified))"
)


def limit_range(facts: Facts) -> Finding | None:
    """A LimitRange that forbids containers of this size."""
    if not (found := refusal(facts, _OUT_OF_RANGE)):
        return None
    bound, resource, per, allowed, asked, unsaid = found.match.groups()
    most = "at most" if bound == "maximum" else "at least"
    sentence = (
        f"a LimitRange of namespace '{facts.namespace}' allows a {per.lower()} {most} "
        f"{allowed} of {resource}, and a worker {f'asks for {asked}' if asked else f'says nothing: {unsaid}'}"
    )
    return Finding(sentence, (found.evidence, *_ranges(facts)), _allowed(facts, bound, resource, allowed))


def _ranges(facts: Facts) -> list[Evidence]:
    return [
        from_field(each, "LimitRange", "spec.limits", "; ".join(map(str, each["spec"]["limits"])))
        for each in facts.quotas
        if each["kind"] == "LimitRange"
    ]


def _allowed(facts: Facts, bound: str, resource: str, allowed: str) -> Fix:
    """The command that keeps a run within a LimitRange's bound of a resource."""
    if resource == "memory":
        size = at_least(facts, allowed)
        if bound == "maximum" and size != allowed:
            return facts.kubectl("describe limitrange").noting(f"have it raised: a worker needs {size}")
        return resume(facts, "--memory", str(size))
    field = _FIELDS.get(resource)
    return submit(facts, **{field: allowed}) if field else submit(facts, manifests="DIR")


def limit_default(facts: Facts) -> Finding | None:
    """A LimitRange whose default limit is less than what a worker asks for."""
    pattern = r'Invalid value: "?([^":\s]+)"?: must be less than or equal to (\S+) limit of (\S+)'
    if not (found := refusal(facts, pattern)):
        return None
    asked, resource, limit = found.match.groups()
    sentence = (
        f"a worker asks for {asked} of {resource}, and a LimitRange of namespace '{facts.namespace}' gives "
        f"containers that state no limit one of {limit}"
    )
    return Finding(sentence, (found.evidence, *_ranges(facts)), _allowed(facts, "maximum", resource, limit))


def pod_security(facts: Facts) -> Finding | None:
    """The namespace's Pod Security level, which the pods do not meet."""
    if not (found := refusal(facts, r'violates PodSecurity "([^"]+)": (.*)')):
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
    if not (found := refusal(facts, r"error looking up service account ([^/]+)/([^:]+): ")):
        return None
    namespace, name = found.match.groups()
    sentence = f"service account '{name}' does not exist in namespace '{namespace}'"
    return Finding(
        sentence, (found.evidence,), kubectl(facts.context, namespace, "create serviceaccount", name)
    )


def priority_class(facts: Facts) -> Finding | None:
    """A priority class that the cluster does not have."""
    if not (found := refusal(facts, r"no PriorityClass with name (\S+) was found")):
        return None
    sentence = f"priority class '{found.match[1]}' does not exist in the cluster"
    return Finding(sentence, (found.evidence,), facts.wide("get priorityclasses"))


def webhook_away(facts: Facts) -> Finding | None:
    """A webhook that must be asked about every pod and does not answer."""
    if not (found := refusal(facts, r'failed calling webhook "([^"]+)": (.*)')):
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
    if found := refusal(facts, webhook):
        name, why = found.match.groups()
        sentence = f"admission webhook '{name}' refuses the pods: {why or 'it gives no reason'}"
    elif found := refusal(
        facts, r"ValidatingAdmissionPolicy '([^']+)' with binding '[^']+' denied request:? ?(.*)"
    ):
        name, why = found.match.groups()
        sentence = f"ValidatingAdmissionPolicy '{name}' refuses the pods: {why or 'it gives no reason'}"
    else:
        return None
    fix = submit(facts, manifests="DIR").noting("a copy of k8s/ that meets it")
    return Finding(sentence, (found.evidence,), fix)


ADMISSION = (
    QUOTA,
    Cause(
        "limit-range",
        "A LimitRange forbids the size of the pods",
        "FailedCreate of the Job with `maximum memory usage per Container is …` and the like",
        "Ask for what the LimitRange allows",
        limit_range,
    ),
    Cause(
        "limit-default",
        "A LimitRange's default limit is less than what a worker asks for",
        "FailedCreate of the Job with `must be less than or equal to cpu limit of …`",
        "Ask for no more, state a limit in a copy of `k8s/`, or have the default raised",
        limit_default,
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
