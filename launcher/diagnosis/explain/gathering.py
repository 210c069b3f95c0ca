"""Asking cluster and bucket for the facts about a run, in few requests and where they can tell something.

A run that is well costs what `launcher status` costs. Of one that is not, events, the last lines of a few
logs and, as its pods' trouble suggests, nodes, quotas, claims, service accounts and Kueue's Workload are
asked for. Each of these may be refused or fail: then there is less to say, and `Facts.unasked` tells why.
"""

import re
import secrets
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TypeVar

from launcher.backends.base import Backend
from launcher.backends.kubernetes.backend import KubernetesBackend, of_pods
from launcher.backends.kubernetes.client.api import Api
from launcher.backends.kubernetes.client.login import IN_CLUSTER
from launcher.backends.kubernetes.jobs.cancellation import was_cancelled
from launcher.backends.kubernetes.status.endings import conditions_of
from launcher.backends.kubernetes.status.jobs import is_deleted, is_suspended
from launcher.backends.kubernetes.status.ours import Own
from launcher.backends.kubernetes.status.wording import event_time
from launcher.diagnosis.explain.causes.surroundings import wanted
from launcher.diagnosis.explain.facts import NAMESPACE, Facts, Line, Object, object_name
from launcher.diagnosis.explain.kueue import place_facts, workload_facts
from launcher.diagnosis.explain.lines import last_lines
from launcher.errors import CannotAsk, Transient
from launcher.records.run_folder import Found
from launcher.records.states import FINISHED, RUNNING
from launcher.records.status import Files, RunStatus, newest_checkpoint, read_files
from launcher.render.labels import queue_of
from launcher.spec.kubeconfig import current
from trainer.errors import Exhausted, GantryError, UserError
from trainer.storage import LocalStore, Store, open_store
from trainer.storage.limits import trouble

Asked = TypeVar("Asked")
# What a pod that is gone leaves behind, beside its warnings: these are Normal.
_TAKEN_AWAY = ("Preempted", "TaintManagerEviction", "Killing")
# A folder that is not there reads like one without files: it stands in for one that cannot be read.
_NOWHERE = f"{tempfile.gettempdir()}/gantry-{secrets.token_hex(8)}"
_LIMITS = ("ResourceQuota", "LimitRange")
_NO_ACCOUNT = re.compile(r"error looking up service account [^/]+/([^:]+):")


class Asking:
    """Answers, or None where there is none; `unasked` says which those are."""

    def __init__(self) -> None:
        self.unasked: list[str] = []

    def __call__(self, what: str, ask: Callable[[], Asked]) -> Asked | None:
        """What `ask` returns, None when it may not or cannot."""
        try:
            return ask()
        except (GantryError, Transient) as error:
            self.unasked.append(f"{what}: {error}")
            return None

    def list(self, api: Api, kind: str, selector: str = "", fields: str = "") -> "list[Object]":
        """Objects of a kind; items of a list do not say their kind, so it is added."""
        found = self(kind, lambda: api.list(kind, selector, fields)["items"]) or []
        return [{"kind": kind, **each} for each in found]


def gather(found: Found, backend: Backend) -> Facts:
    """All that is known of a run now; what cannot be asked is left out.

    Raises:
        UserError: neither its cluster nor its folder can be asked.
    """
    asking = Asking()
    files = asking("the run's folder", lambda: _readable(found))
    if files is None:
        found, files = Found(found.path, open_store(_NOWHERE)), Files({}, None)
    if pods := of_pods(backend):
        facts = _of_cluster(found, pods, files, asking)
    else:
        now = backend.status(found)
        facts = Facts(now, files.run, files.said or {})
        if not well(now):
            facts = replace(facts, logs=_logs(asking, now, found.store), disk=_disk(found.store))
    return replace(facts, unasked=tuple(dict.fromkeys(asking.unasked)))


def well(now: RunStatus) -> bool:
    """Whether a run is so well that nobody need look for a cause: it trains, or has finished and is gone."""
    if now.state == FINISHED:
        return not any(worker.held_by for worker in now.workers)
    return now.state == RUNNING and not now.explanation and not now.storage


def _readable(found: Found) -> Files:
    """What the folder says; raises where any of it cannot be read."""
    newest_checkpoint(found.store)
    return read_files(found.store)


def _disk(store: Store) -> Exhausted | None:
    return trouble(Path(store.url)) if isinstance(store, LocalStore) else None


def _logs(
    asking: Asking, now: RunStatus, store: Store, api: Api | None = None, pods: Sequence[Object] = ()
) -> Mapping[int, Sequence[Line]]:
    return asking("logs", lambda: last_lines(now, store, api, pods)) or {}


def _of_cluster(found: Found, backend: KubernetesBackend, files: Files, asking: Asking) -> Facts:
    spec = backend.record.spec
    try:
        api = backend.api
        seen = backend.look(found)
    except (CannotAsk, UserError) as error:
        asking.unasked.append(f"the cluster: {error}")
        now = backend.without_cluster(found, error)
        wish = _wish(found, now.attempt, asking)
        logs = _logs(asking, now, found.store)
        return Facts(now, files.run, files.said or {}, spec, logs=logs, cancelled=wish)
    files = asking("the run's folder", lambda: read_files(found.store)) or files  # what it said meanwhile
    now = backend.joined(found, files, seen)
    pods = sorted(seen.pods or (), key=_created, reverse=True)
    facts = Facts(now, files.run, files.said or {}, spec, seen.job, pods, time=seen.time)
    facts = replace(facts, context=other_context(api))
    if well(now):
        return facts
    if seen.job is None or is_deleted(seen.job):
        facts = _deserted(found, api, facts, asking)
    logs = _logs(asking, now, found.store, api, pods)
    facts = replace(facts, events=_events(backend.own(found), facts, asking), logs=logs)
    return _with_surroundings(api, facts, asking)


def _deserted(found: Found, api: Api, facts: Facts, asking: Asking) -> Facts:
    """The facts about a run whose Job goes or is gone, with who may have wanted that: a person, of the run or
    of the whole namespace."""
    wish = _wish(found, facts.status.attempt, asking)
    asked = asking("the namespace", lambda: [api.get("Namespace", api.namespace)])
    others = {} if asked is None else {NAMESPACE + api.namespace: asked[0] or {}}
    return replace(facts, cancelled=wish, others=others)


def _wish(found: Found, attempt: int | None, asking: Asking) -> bool | None:
    return asking("cancel.json", lambda: attempt is not None and was_cancelled(found.store, attempt))


def other_context(api: Api) -> str | None:
    """The context that kubectl has to be told of, None where it goes by that one anyway."""
    usual = current()
    return None if api.context == IN_CLUSTER or (usual and usual.name == api.context) else api.context


def _created(found: Object) -> str:
    return str(found["metadata"].get("creationTimestamp") or "")


def _events(own: Own, facts: Facts, asking: Asking) -> Sequence[Object]:
    """Events about the Job and its pods, those that are gone too, oldest first.

    A request for each pod would be a thousand for a thousand workers, so the namespace's warnings about pods
    are asked for at once. Pods that are gone are known by name, unless another's Job has that name now.
    """
    api, job = own.api, own.name
    selectors = [f"involvedObject.kind=Job,involvedObject.name={job}", "involvedObject.kind=Pod,type=Warning"]
    # One that has no node yet may follow one that was preempted, whose object is gone at once.
    if (
        facts.status.restarts
        or facts.verdict
        or any(_is_gone(pod) or _is_homeless(pod) for pod in facts.pods)
    ):
        selectors += [f"involvedObject.kind=Pod,reason={reason}" for reason in _TAKEN_AWAY]
    found = [event for selector in selectors for event in asking.list(api, "Event", fields=selector)]
    pod_name = re.compile(rf"{re.escape(job)}-\d+-[a-z0-9]+")
    if facts.job is None and asking(f"Job '{job}'", lambda: api.get("Job", job)) is not None:
        pod_name = re.compile(r"(?!)")  # matches nothing
    uids = {own.uid, *(pod["metadata"].get("uid") for pod in facts.pods)} - {None}
    return sorted((event for event in found if _is_about(event, uids, pod_name)), key=event_time)


def _is_about(event: Object, uids: set[object], pod_name: "re.Pattern[str]") -> bool:
    about: Object = event.get("involvedObject") or {}
    by_name = about.get("kind") == "Pod" and pod_name.fullmatch(str(about.get("name"))) is not None
    return about.get("uid") in uids or by_name


def _is_gone(pod: Object) -> bool:
    return "deletionTimestamp" in pod["metadata"] or "DisruptionTarget" in conditions_of(pod)


def _is_homeless(pod: Object) -> bool:
    pending = (pod.get("status") or {}).get("phase") == "Pending"
    return pending and not (pod.get("spec") or {}).get("nodeName")


def _with_surroundings(api: Api, facts: Facts, asking: Asking) -> Facts:
    """The facts with what the pods' trouble suggests to look at beside them."""
    pods = [pod for _, pod in facts.newest if (pod.get("status") or {}).get("phase") == "Pending"]
    refused = facts.events_of("FailedCreate")
    return replace(
        facts,
        others={**facts.others, **dict(_others(api, facts, pods, asking))},
        nodes=asking.list(api, "Node") if any(map(_is_homeless, pods)) else (),
        quotas=[each for kind in _LIMITS for each in asking.list(api, kind)] if refused else (),
    )


def _others(api: Api, facts: Facts, pods: Sequence[Object], asking: Asking) -> Iterator[tuple[str, Object]]:
    names = [("PersistentVolumeClaim", name) for name in sorted(_claims(pods))]
    messages = [str(event.get("message")) for event in facts.events_of("FailedCreate")]
    names += [("ServiceAccount", found[1]) for text in messages if (found := _NO_ACCOUNT.search(text))]
    names += [(each.kind, each.name) for each in wanted(facts) if each.name]
    for kind, name in dict.fromkeys(names):
        if known := asking(f"{kind} '{name}'", partial(api.get, kind, name)):
            yield f"{kind}/{name}", known
    for kind in (each.kind for each in wanted(facts) if not each.name):
        yield from ((object_name(found), found) for found in asking.list(api, kind))
    job = facts.job
    if job is not None and is_suspended(job) and (queue := queue_of(job)):
        told = asking("Kueue", lambda: dict(workload_facts(api, job))) or {}
        yield from told.items()
        if len(told) > 1:  # it has a Workload
            place = asking("the place in the queue", lambda: list(place_facts(api, queue, told)))
            yield from place or ()


def _claims(pods: Sequence[Object]) -> set[str]:
    """Names of the claims that pods mount."""
    volumes = [volume for pod in pods for volume in (pod.get("spec") or {}).get("volumes") or []]
    claims = [volume.get("persistentVolumeClaim") or {} for volume in volumes]
    return {str(claim["claimName"]) for claim in claims if "claimName" in claim}
