"""What a cluster and a namespace must have for a run to be submitted and to start."""

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from launcher.backends.kubernetes.capacity.admitted import CPU_LIMIT
from launcher.backends.kubernetes.capacity.fitting import fit_on_nodes
from launcher.backends.kubernetes.capacity.nodes import gpus
from launcher.backends.kubernetes.client.permissions import ROLE, RULES, always_needed, missing
from launcher.backends.kubernetes.client.transport import Request
from launcher.backends.kubernetes.jobs.judgement import room
from launcher.backends.kubernetes.jobs.preflight import check_version, needed
from launcher.diagnosis.doctor.base import FAIL, OK, WARN, Check, Result, Subject
from launcher.diagnosis.doctor.clock import judged
from launcher.errors import ApiRejected, Forbidden, NamespaceMissing
from launcher.spec.next_commands import kubectl_line
from launcher.wording import counted

_LEVEL = "pod-security.kubernetes.io/enforce"
_NOT_FOUND = 404
_KUEUE = "/apis/kueue.x-k8s.io"
# Fields of our Job that an older or a cut-down API server drops without a word.
_FIELDS = ("completionMode", "podFailurePolicy", "podReplacementPolicy", "ttlSecondsAfterFinished", "suspend")


def reach(subject: Subject) -> Result:
    """The API server answers, knows us, and is new enough."""
    version = subject.api.read("/version")
    check_version(version)
    api = subject.api
    return Result("cluster", OK, f"context '{api.context}' at {api.server}, {version.get('gitVersion')}")


def clock(subject: Subject) -> Result:
    """The API server's clock, from the Date of an answer (whole seconds)."""
    response = subject.api.transport.send(Request("GET", "/version"))
    stated = response.headers.get("Date")
    response.drain_conn()
    response.release_conn()
    if not stated:
        return Result("cluster clock", WARN, "the API server does not state its time")
    return judged("cluster clock", (parsedate_to_datetime(stated) - datetime.now(UTC)).total_seconds())


def features(subject: Subject) -> Result:
    """The server keeps all of our Job that a run goes by, shown by a dry run."""
    kept = subject.api.create(subject.manifests[0], dry_run=True)["spec"]
    lost = [name for name in _FIELDS if name not in kept]
    if lost:
        return Result(
            "jobs", FAIL, f"the API server drops {', '.join(lost)} of a Job", "use Kubernetes 1.31 or newer"
        )
    return Result("jobs", OK, "Indexed, with podFailurePolicy and podReplacementPolicy")


def kueue(subject: Subject) -> Result:
    """Kueue, and the queue that a run is to wait in."""
    queue, namespace = subject.spec.queue, subject.api.namespace
    found = _found(subject, _KUEUE)
    if found is None:
        if queue is None:
            return Result("kueue", OK, "not installed, and no queue is asked for")
        return Result(
            "kueue", FAIL, f"not installed: queue '{queue}' would hold a run for ever", "leave out --queue"
        )
    version = found["preferredVersion"]["version"]
    if queue is None:
        return Result("kueue", OK, f"installed ({version}); --queue NAME has a run wait in one")
    if _found(subject, f"{_KUEUE}/{version}/namespaces/{namespace}/localqueues/{queue}") is None:
        return Result(
            "kueue", FAIL, f"namespace '{namespace}' has no LocalQueue '{queue}'", "choose another --queue"
        )
    return Result("kueue", OK, f"installed ({version}), with LocalQueue '{queue}'")


def _found(subject: Subject, path: str) -> dict[str, Any] | None:
    """What lies at an address, None where the server knows none; a group that is absent has no Status."""
    try:
        return subject.api.read(path)
    except ApiRejected as error:
        if error.code != _NOT_FOUND:
            raise
        return None


def permissions(subject: Subject) -> list[Result]:
    """Every verb that the launcher uses, by access reviews."""
    everything = list(dict.fromkeys(each for rule in RULES for each in rule.permissions))
    must = {*always_needed(), *needed(subject.manifests)}
    lacking = missing(subject.api, everything)
    found = []
    if bad := [each for each in lacking if each in must]:
        found.append(
            Result(
                "permissions", FAIL, f"may not {', '.join(map(str, bad))}: runs are refused", _grant(subject)
            )
        )
    for rule in RULES:
        if less := [each for each in rule.permissions if each in lacking and each not in must]:
            text = f"may not {', '.join(map(str, less))}: {rule.purpose}"
            found.append(Result("permissions", WARN, text, _grant(subject)))
    return found or [Result("permissions", OK, f"all {len(everything)} that the launcher may ask for")]


def _grant(subject: Subject) -> str:
    return kubectl_line(subject.api.context, "apply", "-n", subject.api.namespace, "-f", ROLE)


def namespace(subject: Subject) -> Result:
    """The namespace and its Pod Security level."""
    name = subject.api.namespace
    found = subject.api.get("Namespace", name)
    if found is None:
        make = kubectl_line(subject.api.context, "create", "namespace", name)
        return Result("namespace", FAIL, f"'{name}' does not exist", make)
    if "deletionTimestamp" in found["metadata"]:
        return Result("namespace", FAIL, f"'{name}' is being deleted", "choose another with -n")
    level = (found["metadata"].get("labels") or {}).get(_LEVEL)
    shown = f"Pod Security '{level}'" if level else "no Pod Security level of its own"
    return Result("namespace", OK, f"'{name}', {shown}")


def admission(subject: Subject) -> list[Result]:
    """A worker's pod passes quotas, Pod Security, LimitRanges and webhooks as it is, shown by a dry run."""
    try:
        found = subject.judgement()
    except NamespaceMissing:  # its own check tells of it
        text = f"namespace '{subject.api.namespace}' cannot be asked about a worker's pod"
        return [Result("pod", WARN, text)]
    if found.unknown:
        raise Forbidden(found.unknown)
    if found.refusal:
        fix = "change what the namespace demands, or the pod with --manifests DIR"
        return [Result("pod", FAIL, f"a worker's pod is refused: {found.refusal}", fix)]
    if found.passing:  # the quota's own line says how much is in use
        return [Result("pod", WARN, f"a worker's pod is refused for now: {found.passing}", _LATER)]
    harmful = [each for each in found.changes if each.harm]
    harmless = "; ".join(each.text for each in found.changes if not each.harm)
    if harmful:
        return [Result("pod", WARN, str(each), _AS_ASKED.get(each.field, "")) for each in harmful]
    return [Result("pod", OK, "a worker's pod is admitted" + (f"; {harmless}" if harmless else " as it is"))]


_LATER = "wait, or end other runs; `kubectl describe quota` shows what is in use"
_LIMITS = "set it in a copy of k8s/ (--manifests DIR), or have the LimitRange changed"
_AS_ASKED = {
    CPU_LIMIT: _LIMITS,
    "limits.memory": _LIMITS,
    "containers": "decline the injection for these pods, by a label or an annotation (docs/kubernetes.md)",
}
"""What brings back what was asked for, by the field of a change."""


def quota(subject: Subject) -> list[Result]:
    """What the namespace's quotas leave for such a run."""
    try:
        admitted = subject.judgement().spec  # with what a LimitRange fills in, which quotas count
    except NamespaceMissing:
        return [Result("quota", WARN, f"namespace '{subject.api.namespace}' has none to look at")]
    quotas = subject.api.list("ResourceQuota")["items"]
    has = room(quotas, subject.manifests, subject.spec, admitted)
    if not has.never and not has.now:
        left = (
            f"{len(quotas)} of them leave room for {counted(subject.spec.workers, 'worker')}"
            if quotas
            else "none"
        )
        return [Result("quota", OK, left)]
    less = has.advice or "less with --workers, --cpu, --memory"
    never, look = f"ask for {less}, or have the quota raised", "describe quota"
    look = kubectl_line(subject.api.context, "-n", subject.api.namespace, *look.split())
    now = f"{_LATER}, `{look}` shows what is in use; or ask for {less}"
    return [
        *(Result("quota", FAIL, str(each), never) for each in has.never),
        *(Result("quota", WARN, str(each), now) for each in has.now),
    ]


def gpu(subject: Subject) -> Result:
    """GPUs that nodes offer, by type."""
    found = gpus(subject.nodes().nodes)
    shown = ", ".join(f"{count} {product}" for product, count in found.items()) or "none"
    if subject.spec.gpus and not found:
        return Result(
            "gpus", FAIL, "no node offers nvidia.com/gpu", "install NVIDIA's device plugin, or add GPU nodes"
        )
    return Result("gpus", OK, f"allocatable: {shown}")


def nodes(subject: Subject) -> Result:
    """Nodes on which a worker fits, empty and now."""
    fit = fit_on_nodes(subject.nodes(), subject.manifests)
    if fit.fits:
        return Result("nodes", OK, fit.text)
    level = FAIL if fit.text.startswith("a worker fits on none") else WARN
    return Result(
        "nodes", level, fit.text, "ask for less with --workers, --cpu, --memory, --gpus, or add nodes"
    )


REACH = Check("cluster", reach)
CLUSTER = (
    Check("cluster clock", clock),
    Check("jobs", features),
    Check("kueue", kueue),
    Check("permissions", permissions),
    Check("namespace", namespace),
    Check("pod", admission),
    Check("quota", quota),
    Check("gpus", gpu),
    Check("nodes", nodes),
)
