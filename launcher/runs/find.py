"""Where a run is: below a root that was named, in the folder ``runs`` here, or where its Job says.

A Job carries its run's root as an annotation, so ``launcher logs RUN`` works with no root configured for as
long as the cluster remembers the run, and a run whose folder was emptied can still be cancelled. A firing of
a schedule is known by its Job alone until its first pod has written its record.

Where its pods are the run's own record says. Only what was typed for this command goes before it: a context
or a namespace from a file of settings is for runs of which nothing is known yet.
"""

from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple

from launcher.backends.base import Backend
from launcher.backends.kubernetes.jobs.record import ClusterRecord, read_record, record_of
from launcher.backends.kubernetes.status.jobs import attempt_of
from launcher.backends.kubernetes.status.ours import jobs_of
from launcher.backends.local.backend import LocalBackend
from launcher.errors import CannotAsk, NoSuchRun, SpecError
from launcher.records.run_folder import Found, find_run
from launcher.records.status import read_json
from launcher.render.labels import run_of
from launcher.spec.kubeconfig import current
from launcher.spec.next_commands import DEFAULT_ROOT
from trainer.errors import GantryError
from trainer.run import layout
from trainer.run.layout import RunPath
from trainer.storage import open_store

if TYPE_CHECKING:  # the client takes 0.4 s to import, which local runs need not pay
    from launcher.backends.kubernetes.client.api import Api


@dataclass(frozen=True)
class Place:
    """Where to look for runs; what is None is found out."""

    root: str | None = None
    """Folder or ``gs://bucket/prefix``; None looks in ``runs`` and then asks the cluster."""
    context: str | None = None
    """Context of the kubeconfig, as typed; None is the run's own, else the usual or the current one."""
    namespace: str | None = None
    """Namespace of the cluster, as typed; None is the run's own, else the usual or the context's."""
    usual_context: str | None = None
    """Context where neither the command nor the run's record says one."""
    usual_namespace: str | None = None
    """Namespace where neither the command nor the run's record says one."""

    @property
    def has_cluster(self) -> bool:
        """Whether a cluster could be asked: a context was named, or a kubeconfig has a current one.

        Raises:
            BadKubeconfig: there is no context of that name, or a file is damaged.
        """
        return current(self.context or self.usual_context) is not None

    def connect(self) -> "Api":
        """The cluster to ask about runs that are not known yet."""
        from launcher.backends.kubernetes.client.api import connect

        return connect(self.context or self.usual_context, self.namespace or self.usual_namespace)


class Located(NamedTuple):
    """A run and the backend that its workers are of."""

    found: Found
    backend: Backend


def locate(where: Place | str, run: str) -> Located:
    """The run called `run`, which is a name or ``experiment/name``; a `where` that is a text is a root.

    Raises:
        NoSuchRun: there is none; the text names the nearest ones.
        UserError: the name is in several experiments, or is no name that a run could have.
    """
    place = where if isinstance(where, Place) else Place(root=where)
    found = find(place, run)
    return Located(found, backend_of(found, place))


def find(place: Place, run: str) -> Found:
    """The run alone, which may have a damaged record of where its workers are.

    Raises:
        NoSuchRun, UserError: as `locate` does.
    """
    try:
        return find_run(place.root or DEFAULT_ROOT, run)
    except NoSuchRun as missing:
        # Pods reach buckets only, so that of a folder's runs no Job could tell.
        if place.root is not None and "://" not in place.root:
            raise
        return _ask_cluster(place, run, missing)


def backend_of(found: Found, place: Place, *, ask: bool = True) -> Backend:
    """The backend that started a run; the local one, which reads files alone, where none did.

    Where the run's folder lacks the record, the cluster is asked for a Job of it, unless `ask` is false.
    """
    record, job = read_record(found.store), found.job
    if record is None and ask:
        record, job = _of_job(found, place)
    if record is None:
        return LocalBackend()
    from launcher.backends.kubernetes.backend import KubernetesBackend

    return KubernetesBackend(record, place.context, place.namespace, job)


def _ask_cluster(place: Place, run: str, missing: NoSuchRun) -> Found:
    """Find a run by the labels of its Jobs."""
    from launcher.backends.kubernetes.status.observe import jobs

    experiment, _, name = run.rpartition("/")
    try:
        if not place.has_cluster:
            raise missing
        api = place.connect()
        known = [(path, job) for job in jobs(api) if (path := run_of(job))]
    except CannotAsk as error:
        raise NoSuchRun(f"{missing}, and the cluster cannot be asked: {error}") from None
    root = None if place.root is None else place.root.rstrip("/")
    known = [each for each in known if root in (None, each[0].root.rstrip("/"))]
    known = [each for each in known if experiment in ("", each[0].experiment)]
    there = [each for each in known if each[0].name == name]
    if not there and known and name == layout.LATEST:
        newest, _ = max(known, key=lambda each: str(each[1]["metadata"].get("creationTimestamp")))
        there = [each for each in known if each[0] == newest]
    if not there:
        called = [path for path, job in known if job["metadata"]["name"] == name]
        named = "".join(f"; Job '{name}' is run '{path.experiment}/{path.name}'" for path in called)
        raise NoSuchRun(f"{missing}; no Job of it in namespace '{api.namespace}' either{named}")
    paths = {path for path, _ in there}
    if len(paths) > 1:
        raise SpecError(f"run is '{run}': expected --root too, as it is in {_urls(paths)}")
    path, job = max(there, key=lambda each: attempt_of(each[1]) or 0)
    return Found(path, open_store(path.url), job)


def _of_job(found: Found, place: Place) -> tuple[ClusterRecord | None, dict[str, Any] | None]:
    """What the newest Job of a run tells in place of its record, and the Job; None where there is none.

    A schedule's firing is about to write its record, and of a run whose folder was emptied it is gone.
    """
    if "://" not in found.path.root:
        return None, None
    with suppress(GantryError):  # a damaged run.json says nothing
        begun = read_json(found.store, layout.RUN)
        if begun is not None and not _is_submitted(begun):
            return None, None
    try:
        if not place.has_cluster:
            return None, None
        api = place.connect()
        jobs = [found.job] if found.job else jobs_of(api, found.path)
    except CannotAsk:
        return None, None
    job = max(jobs, key=lambda each: attempt_of(each) or 0, default=None)
    if job is None:
        return None, None
    return replace(record_of(job), context=api.context, server=api.server, namespace=api.namespace), job


def _is_submitted(begun: Mapping[str, Any]) -> bool:
    """Whether a run is a launcher's or a schedule's, by its ``run.json``, and not somebody's own."""
    return begun.get("schedule") is not None or "launcher" in (begun.get("versions") or {})


def _urls(paths: Iterable[RunPath]) -> str:
    return ", ".join(sorted(path.url for path in paths))
