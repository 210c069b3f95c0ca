"""A worker's pod put before the API server in a dry run: whether it is let in, and what becomes of it there.

A Job is taken though no pod of it ever can be: LimitRanges, quotas, Pod Security and most webhooks look at
pods alone, and what they say to the Job's controller nobody hears who has submitted it. So a pod as that
controller would make it is judged before anything is kept, for `submit`, `resume`, `cron` and `doctor`.

What can pass is no refusal. A quota that others have used up has room again when they end, and the Job's
controller tries again until then; a quota that could not take the run's workers if nothing else were there
is one. The account 'default' of a namespace that was made a moment ago is about to be there.
"""

import re
import secrets
import uuid
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from launcher.backends.kubernetes.capacity.admitted import Change, changes
from launcher.backends.kubernetes.capacity.requests import Amounts, Shortage, amounts, job_of, shortages
from launcher.backends.kubernetes.capacity.room import fewer
from launcher.backends.kubernetes.client.api import Api, Object
from launcher.errors import ApiRejected, Forbidden, SpecError
from launcher.render.labels import COMPLETION_INDEX, JOB_NAME
from launcher.spec.runspec import RunSpec

Manifests = Sequence[Mapping[str, Any]]

_FULL = re.compile(r"exceeded quota: [^,]+, requested: (?P<asked>.+), used: .+, limited: (?P<limit>.+)")
_AMOUNTS = re.compile(r"([\w./-]+)=([^,\s]+)")
_DEFAULT = "must be less than or equal to cpu limit"  # which k8s/ states none of
_COMING = re.compile(r'serviceaccount "default" not found')


class Judgement(NamedTuple):
    """What the API server says of a worker's pod."""

    refusal: str = ""
    """Why it is not let in and never will be, in the server's words."""
    passing: str = ""
    """Why it is not let in now, while it may be later."""
    unknown: str = ""
    """Why nobody knows: who submits may not create pods."""
    spec: Mapping[str, Any] | None = None
    """The admitted pod's, None where there is none."""
    changes: Sequence[Change] = ()
    """What it was admitted with and not asked for."""


def judge(api: Api, manifests: Manifests) -> Judgement:
    """What the API server says of the first worker's pod of a Job, or of a CronJob's firing.

    Raises:
        NamespaceMissing, ClusterUnreachable and the like: nobody was there to judge.
    """
    pod = worker_pod(manifests)
    try:
        admitted = api.create(pod, dry_run=True)["spec"]
    except Forbidden as error:
        return Judgement(unknown=str(error))
    except ApiRejected as error:
        text = str(error)
        return Judgement(passing=text) if passes(text) else Judgement(refusal=text)
    return Judgement(spec=admitted, changes=changes(pod["spec"], admitted))


def passes(text: str) -> bool:
    """Whether a refusal in the API server's words is one that may be over when it is asked again."""
    if _COMING.search(text):
        return True
    found = _FULL.search(text)
    if found is None:
        return False
    asked, limit = (_amounts(found[key]) for key in ("asked", "limit"))
    return all(amount <= limit.get(name, amount) for name, amount in asked.items())


def _amounts(text: str) -> Amounts:
    return amounts(dict(_AMOUNTS.findall(text)))


def worker_pod(manifests: Manifests) -> Object:
    """The pod of worker 0 as the Job's controller would make it: its labels, its host name and its owner.

    An account that comes with the run is not there yet, so the pod is judged with the namespace's default.
    """
    first = manifests[0]
    template = job_of(first)["template"]
    job = str(first["metadata"]["name"])
    metadata, spec = template["metadata"], dict(template["spec"])
    own = [each["metadata"]["name"] for each in manifests if each["kind"] == "ServiceAccount"]
    if spec.get("serviceAccountName") in own:
        del spec["serviceAccountName"]
    index = {COMPLETION_INDEX: "0"}
    # Policies that want no pods but those of a controller look for the owner. It is none that anybody has.
    owner = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "name": job,
        "uid": str(uuid.uuid4()),
        "controller": True,
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": f"{job}-0-{secrets.token_hex(3)}",
            "labels": {**(metadata.get("labels") or {}), JOB_NAME: job, **index},
            "annotations": {**(metadata.get("annotations") or {}), **index},
            "ownerReferences": [owner],
        },
        "spec": {"hostname": f"{job}-0", **spec},
    }


class Room(NamedTuple):
    """What the quotas of a namespace say to a whole run."""

    never: Sequence[Shortage] = ()
    """Where a quota could not take it if nothing else were there."""
    now: Sequence[Shortage] = ()
    """Where one cannot while others use what they use."""
    workers: int = 0
    """A smaller number of workers that there is room for, 0 where there is none."""

    @property
    def advice(self) -> str:
        """The flag to type, empty where a smaller number helps nothing."""
        return f"--workers {self.workers}" if self.workers else ""


def room(
    quotas: Sequence[Mapping[str, Any]],
    manifests: Manifests,
    spec: RunSpec,
    pod: Mapping[str, Any] | None = None,
) -> Room:
    """What quotas say to a run. `pod` is the spec of an admitted worker's pod, None where none is known."""
    lacking = shortages(quotas, manifests, pod)
    if not lacking:
        return Room()
    asked = pod or job_of(manifests[0])["template"]["spec"]
    return Room(
        [each for each in lacking if each.never],
        [each for each in lacking if not each.never],
        fewer(quotas, asked, spec.workers, spec.config().batch_size, spec.gpus),
    )


def note_pods(api: Api, manifests: Manifests, spec: RunSpec) -> None:
    """The same as `check_pods`, with what there is to know noted on stderr."""
    for text in check_pods(api, manifests, spec):
        api.transport.note(f"note: {text}")


def check_pods(api: Api, manifests: Manifests, spec: RunSpec) -> list[str]:
    """Refuse a run whose pods the cluster would never make; what else there is to know of them, a line each.

    Raises:
        SpecError: the cluster refuses the pods, or the namespace's quotas are too small for the run.
    """
    name = f"{manifests[0]['kind']} '{manifests[0]['metadata']['name']}'"
    found = judge(api, manifests)
    if found.refusal:
        why = f"{found.refusal} (a LimitRange's default)" if _DEFAULT in found.refusal else found.refusal
        raise SpecError(f"{name}: the cluster refuses its pods: {why}")
    notes = [
        f"a worker's pod is admitted otherwise than asked for: {each}" for each in found.changes if each.harm
    ]
    if found.unknown:
        notes.append(f"whether a worker's pod is admitted is not known: {found.unknown}")
    try:
        quotas = api.list("ResourceQuota")["items"]
    except Forbidden:  # of one pod the server has just said it
        return [*notes, *([_later(found.passing)] if found.passing else [])]
    has = room(quotas, manifests, spec, found.spec)
    # What pods have to state was judged with the pod: a LimitRange may fill it in, unseen from here.
    if never := [str(each) for each in has.never if each.asked is not None]:
        raise SpecError(f"{name} {'; '.join(never)}: expected {has.advice or 'less'}, or a larger quota")
    return [*notes, *map(_later, map(str, has.now) if has.now else filter(None, [found.passing]))]


def _later(why: str) -> str:
    return f"its pods cannot be made now, which the cluster tries again until they can: {why}"
