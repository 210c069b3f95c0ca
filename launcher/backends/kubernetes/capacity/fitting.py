"""Whether a namespace's quotas and its cluster's nodes have room for a run, so far as one may ask."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from launcher.backends.kubernetes.capacity.fits import Fit
from launcher.backends.kubernetes.capacity.nodes import fits
from launcher.backends.kubernetes.client.api import Api
from launcher.backends.kubernetes.client.permissions import CLUSTER_ROLE
from launcher.backends.kubernetes.jobs.judgement import room
from launcher.errors import Forbidden
from launcher.spec.runspec import RunSpec

Manifests = Sequence[Mapping[str, Any]]

_PODS = "/api/v1/pods"  # of all namespaces
_ALIVE = {"fieldSelector": "status.phase!=Succeeded,status.phase!=Failed"}


class Nodes(NamedTuple):
    """What the cluster consists of."""

    nodes: Sequence[Mapping[str, Any]]
    pods: Sequence[Mapping[str, Any]] | None
    """Those of all namespaces that have not ended; None where they may not be listed."""
    why: str
    """Why they may not, else empty."""


def nodes_and_pods(api: Api) -> Nodes:
    """All nodes, and the pods that take room on them.

    Raises:
        Forbidden: the user may not list nodes.
    """
    try:
        nodes = api.list("Node")["items"]
    except Forbidden as error:
        raise _more(error) from None
    try:
        return Nodes(nodes, api.read_list(_PODS, _ALIVE)["items"], "")
    except Forbidden as error:
        return Nodes(nodes, None, str(_more(error)))


def _more(error: Forbidden) -> Forbidden:
    """The same with the Role that grants it, which is not the namespace's."""
    return Forbidden(f"{str(error).rpartition('; ')[0]}; {CLUSTER_ROLE} grants it")


def fit_in_quota(
    quotas: Sequence[Mapping[str, Any]], namespace: str, manifests: Manifests, spec: RunSpec
) -> Fit:
    """Whether the quotas of a namespace leave what a run asks for; if not, how many workers they do leave.

    None where that depends on what a LimitRange fills in, which a pod's manifest does not show.
    """
    if not quotas:
        return Fit("quota", True, f"namespace '{namespace}' has none")
    has = room(quotas, manifests, spec)
    lacking = [*has.never, *has.now]
    if not lacking:
        left = f"enough is left by {', '.join(each['metadata']['name'] for each in quotas)}"
        return Fit("quota", True, left)
    text = "; ".join(map(str, lacking))
    if all(each.asked is None for each in lacking):
        return Fit("quota", None, f"not known: {text}: only a LimitRange's default could let them in")
    return Fit("quota", False, f"{text}; {has.advice} fits" if has.advice else text)


def fit_on_nodes(found: Nodes, manifests: Manifests) -> Fit:
    """Whether nodes have room for a run's workers; None where that is so of empty nodes, as far as known."""
    job = manifests[0]["spec"]
    workers, each_node = int(job["parallelism"]), fits(found.nodes, job["template"]["spec"], found.pods)
    good = [each for each in each_node if not each.reason]
    if not good:
        why = "; ".join(f"{each.node} {each.reason}" for each in each_node[:3])
        return Fit(
            "nodes", False, f"a worker fits on none of {len(each_node)} nodes: {why or 'there are none'}"
        )
    room = sum(each.workers for each in good)
    text = f"a worker fits on {len(good)} of {len(each_node)} nodes, {room} at once when they are empty"
    if room < workers:
        return Fit("nodes", False, f"{text}, and the run has {workers}")
    if found.pods is None:
        return Fit("nodes", True, f"{text}; what is free now is not known, as {found.why}")
    now = sum(each.workers_now or 0 for each in good)
    return Fit("nodes", now >= workers, f"{text} and {now} now, and the run has {workers}")
