"""Submitting a run: all of it or nothing.

The order makes every moment safe to be cut off at. The name is claimed in the run's folder; the Job is
created suspended, so that no pod exists before its Service does; its children follow, owned by it; then the
Job may begin. On the way back one delete of the Job takes the children along, and only when nothing of it
can be left in the cluster are the run's records taken back too.

What is sent is what `render` returns, byte for byte, with three additions that nobody can know before: the
children's ownerReferences, which hold the Job's uid, who submits it, and a mark on the pods that the run has
its record.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, NamedTuple

from launcher.backends.kubernetes.client.api import Api, Object, connect
from launcher.backends.kubernetes.client.login import IN_CLUSTER
from launcher.backends.kubernetes.jobs.claim import Claim, mark
from launcher.backends.kubernetes.jobs.naming import in_the_way, other_job_name
from launcher.backends.kubernetes.jobs.owner import owner_of, sign
from launcher.backends.kubernetes.jobs.preflight import preflight
from launcher.backends.kubernetes.jobs.record import ClusterRecord
from launcher.backends.kubernetes.jobs.references import check_references
from launcher.backends.kubernetes.kind import KIND
from launcher.backends.kubernetes.status.jobs import is_stopped
from launcher.backends.kubernetes.status.ours import Own
from launcher.backends.kubernetes.status.over import is_over
from launcher.backends.kubernetes.status.pods import is_there
from launcher.errors import AlreadyExists, Interrupted, RunAlive, nothing_sent
from launcher.render import job_name, render, to_yaml
from launcher.render.labels import queue_of
from launcher.spec.next_commands import command_line
from launcher.spec.runspec import RunSpec
from trainer.errors import GantryError
from trainer.run.layout import RunPath
from trainer.storage import open_store

TAKEN_BACK = "interrupted: what was sent has been taken back"
_UNDO_PATIENCE = 20.0  # seconds; whoever pressed Ctrl-C does not wait two minutes for a server that is away

Manifests = list[Object]


class Submitted(NamedTuple):
    """An attempt that the cluster has taken over."""

    path: RunPath
    attempt: int
    job: str
    namespace: str
    context: str

    @property
    def backend(self) -> str:
        """This one's name."""
        return KIND.name


def start(spec: RunSpec, *, resuming: bool, ready: Callable[[], object] = lambda: None) -> Submitted:
    """Submit the next attempt of a run; returns when the cluster has all of it, long before it trains.

    `ready` is called when the cluster would take it, before anything is written.

    Raises:
        RunExists: a new run was asked for and there is one of that name.
        RunAlive: an attempt is under way.
        UserError: the cluster or the bucket refuses it; nothing was kept.
        ClusterLost: the API server went away; the text says whether something may be left there.
    """
    with nothing_sent():
        first = None if resuming else render(spec)  # a mistake in k8s/ shows before anybody is asked
        api, spec, claim = _opened(spec, resuming)
        previous = _here(api, claim.previous, spec.path)
        if previous is not None:
            check_idle(previous)
        attempt = claim.next_attempt() if resuming else 1
        manifests = _judged(api, spec, attempt, resuming, first)
        ready()
    try:
        job = _submit(api, manifests, claim, spec, attempt, resuming)
    except AlreadyExists as error:
        raise in_the_way(api, error, spec) from error
    if previous is not None:
        # It may be suspended, and would then stay for ever; a finished one's place is the run's folder.
        try:
            previous.delete()
        except KeyboardInterrupt:
            left = f"the Job of the attempt before, '{previous.name}', may still be there"
            raise Interrupted(f"interrupted: Job '{job}' was submitted, and {left}") from None
    return Submitted(spec.path, attempt, job, api.namespace, api.context)


def dry_run(spec: RunSpec) -> Manifests:
    """Let the API server judge what would be submitted, and keep nothing; the manifests.

    Raises:
        UserError: it refuses something.
    """
    first = render(spec)
    api = connect(spec.context, spec.namespace)
    return _judged(api, placed(spec, api), 1, resuming=False, first=first)


def _opened(spec: RunSpec, resuming: bool) -> tuple[Api, RunSpec, Claim]:
    """The cluster and the folder of a run that is to be submitted, of which the name must be free if new."""
    api = connect(spec.context, spec.namespace)
    spec = placed(spec, api)
    store = open_store(spec.path.url)
    store.check()
    claim = Claim(spec.path, store)
    if not resuming:
        claim.check_new()
    return api, spec, claim


def check(spec: RunSpec, *, resuming: bool) -> None:
    """Refuse what `start` would refuse but for an attempt that is under way, and what its pods would lack.

    Raises:
        RunExists: a new run was asked for and there is one of that name.
        UserError: the cluster or the bucket refuses it, or an object that its pods name is not there.
    """
    api, spec, claim = _opened(spec, resuming)
    manifests = _judged(api, spec, claim.next_attempt() if resuming else 1, resuming)
    check_references(api, manifests)


def _judged(
    api: Api, spec: RunSpec, attempt: int, resuming: bool, first: Manifests | None = None
) -> Manifests:
    """What is going to be sent, as the cluster has judged it; `first` is a new run's, where it is rendered.

    Raises:
        UserError: the cluster refuses it, or something else has a name that it needs.
    """
    try:
        return _accepted(api, spec, attempt, resuming, first)
    except AlreadyExists as error:
        raise in_the_way(api, error, spec) from error


def _accepted(api: Api, spec: RunSpec, attempt: int, resuming: bool, first: Manifests | None) -> Manifests:
    """The same with the first of a run's names that is free.

    Raises:
        AlreadyExists: something else has a name that it needs; of a resumed run, both that it might have.
    """
    plain = job_name(spec.name, attempt)
    for job in (plain, other_job_name(spec, attempt)) if resuming else (plain,):
        manifests = render(spec, attempt, job) if first is None else _inside(first, api.namespace)
        try:
            preflight(api, manifests, spec)
        except AlreadyExists as error:
            taken = error
        else:
            return manifests
    raise taken


def _inside(manifests: Manifests, namespace: str) -> Manifests:
    """The same in the namespace that was connected to, which in a pod no kubeconfig tells."""
    return [{**each, "metadata": {**each["metadata"], "namespace": namespace}} for each in manifests]


def check_idle(own: Own) -> None:
    """Refuse a run whose attempt has not ended.

    Raises:
        RunAlive: with the commands that follow and stop it.
    """
    found, pods = own.job(), own.pods()
    ended = found is None or is_stopped(found) or is_over(found, pods)
    # Pods outlive their Job by the time they take to save, and two attempts must never share a folder.
    if not ended or any(map(is_there, pods)):
        raise RunAlive(
            f"run '{own.path.name}' is under way as Job '{own.name}' in namespace '{own.api.namespace}': "
            f"follow it with `{command_line('logs', own.path, '--follow')}`, stop it with "
            f"`{command_line('cancel', own.path)}`"
        )


def _nothing(job: Object) -> None:
    """Note nothing."""


def create_all(api: Api, manifests: Manifests, made: Callable[[Object], None] = _nothing) -> Object:
    """Create a suspended Job and what it owns, then let it begin unless a queue decides that.

    `made` is called with the Job as soon as there is one.

    Raises:
        ApiRejected: one is refused; what was made before stays.
    """
    job = api.create(manifests[0])
    made(job)
    for child in manifests[1:]:
        api.create(owned(child, job))
    if queue_of(job) is None:
        job = api.patch("Job", job, {"spec": {"suspend": False}})
    return job


def owned(child: Mapping[str, Any], job: Mapping[str, Any]) -> Object:
    """A manifest with the reference that lets it go when its Job goes."""
    owner = {
        "apiVersion": job["apiVersion"],
        "kind": job["kind"],
        "name": job["metadata"]["name"],
        "uid": job["metadata"]["uid"],
        "controller": False,
        "blockOwnerDeletion": True,
    }
    return {**child, "metadata": {**child["metadata"], "ownerReferences": [owner]}}


def remove_all(api: Api, manifests: Manifests) -> None:
    """Take back what `create_all` has made through the same `Api`, however far it came."""
    name = manifests[0]["metadata"]["name"]
    found = api.get("Job", name)
    if found is not None and api.made(found):
        api.delete("Job", found)


def _submit(api: Api, manifests: Manifests, claim: Claim, spec: RunSpec, attempt: int, resuming: bool) -> str:
    job = str(manifests[0]["metadata"]["name"])
    record = ClusterRecord(
        attempt=attempt,
        job=job,
        namespace=api.namespace,
        context=api.context,
        server=api.server,
        workers=spec.workers,
        # By the cluster's clock, as the times of all that follows are.
        submitted=(api.now or datetime.now(UTC)).isoformat(timespec="microseconds"),
        spec=spec.model_dump(mode="json"),
        owner=owner_of(api),
    )
    sent = False
    try:
        claim.write(spec, record, to_yaml(manifests), new=not resuming)
        sent = True
        job_manifest = mark(manifests[0], record.spec)
        sign(job_manifest, record.owner)
        create_all(
            api,
            [job_manifest, *manifests[1:]],
            lambda made: claim.made(replace(record, uid=made["metadata"]["uid"])),
        )
    except BaseException as error:  # Ctrl-C too
        _take_back(api, manifests if sent else [], claim, error)
        raise
    return job


def _take_back(api: Api, manifests: Manifests, claim: Claim, error: BaseException) -> None:
    """Undo a submission; while something may be left in the cluster, the run's records tell of it.

    Raises:
        Interrupted: it was a person who ended it.
        GantryError: something may be left.
    """
    try:
        if manifests:
            api.transport.patience = _UNDO_PATIENCE
            remove_all(api, manifests)
        claim.take_back()
    except (GantryError, KeyboardInterrupt) as failure:
        left = f"Job '{manifests[0]['metadata']['name']}' in namespace '{api.namespace}'" if manifests else ""
        where = " and ".join(filter(None, [left, "the run's folder"]))
        because = str(error) or "interrupted"
        kind = Interrupted if isinstance(error, KeyboardInterrupt) else GantryError
        undone = f"not all could be taken back ({failure or 'interrupted'}): look at {where}"
        raise kind(f"{because}; {undone}") from error
    if isinstance(error, KeyboardInterrupt):
        raise Interrupted(TAKEN_BACK) from error


def placed(spec: RunSpec, api: Api) -> RunSpec:
    """The run with its place said: its next attempt goes there whatever context is current by then."""
    context = None if api.context == IN_CLUSTER else api.context
    return spec.model_copy(update={"context": context, "namespace": api.namespace})


def _here(api: Api, previous: ClusterRecord | None, path: RunPath) -> Own | None:
    """The previous attempt if its Job is in reach; one of another cluster is its own concern."""
    if previous and (previous.server, previous.namespace) == (api.server, api.namespace):
        return Own(api, path, previous.job, previous.attempt, previous.uid)
    return None
