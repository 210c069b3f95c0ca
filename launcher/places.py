"""Where a run is: below a root that was named, in the folder ``runs`` here, or where its Job says.

A Job carries its run's root as an annotation, so ``launcher logs RUN`` works with no root configured for as
long as the cluster remembers the run. A firing of a schedule is known by its Job alone until its first pod
has written its record.
"""

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple

from launcher.backends.base import Backend
from launcher.backends.kubernetes.jobs import attempt_of
from launcher.backends.kubernetes.labels import belongs, of_run, run_of
from launcher.backends.kubernetes.record import ClusterRecord, read_record, record_of
from launcher.backends.local.backend import LocalBackend
from launcher.errors import ClusterUnreachable, Forbidden, NoSuchRun, SpecError
from launcher.hints import DEFAULT_ROOT
from launcher.kubeconfig import current
from launcher.lookup import Found, find_run
from launcher.status import read_json
from trainer import layout
from trainer.errors import GantryError
from trainer.layout import RunPath
from trainer.storage import open_store

if TYPE_CHECKING:  # the client takes 0.4 s to import, which local runs need not pay
    from launcher.backends.kubernetes.api import Api


@dataclass(frozen=True)
class Place:
    """Where to look for runs; what is None is found out."""

    root: str | None = None
    """Folder or ``gs://bucket/prefix``; None looks in ``runs`` and then asks the cluster."""
    context: str | None = None
    """Context of the kubeconfig; None is the run's own, else the current one."""
    namespace: str | None = None
    """Namespace of the cluster; None is the run's own, else the context's."""

    @property
    def has_cluster(self) -> bool:
        """Whether a cluster could be asked: a context was named, or a kubeconfig has a current one.

        Raises:
            SpecError: there is no context of that name.
        """
        return current(self.context) is not None

    def connect(self) -> "Api":
        """The cluster to ask about runs that are not known yet."""
        from launcher.backends.kubernetes.api import connect

        return connect(self.context, self.namespace)


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
        # A schedule's firing has no folder before its first pod begins; schedules are of buckets alone.
        if (place.root is not None and "://" not in place.root) or not place.has_cluster:
            raise
        return _ask_cluster(place, run, missing)


def backend_of(found: Found, place: Place) -> Backend:
    """The backend that started a run; the local one, which reads files alone, where none did."""
    record, job = read_record(found.store), found.job
    if record is None:
        record, job = _of_firing(found, place)
    if record is None:
        return LocalBackend()
    from launcher.backends.kubernetes.backend import KubernetesBackend

    return KubernetesBackend(record, place.context, place.namespace, job)


def _ask_cluster(place: Place, run: str, missing: NoSuchRun) -> Found:
    """Find a run by the labels of its Jobs."""
    from launcher.backends.kubernetes.observe import jobs

    experiment, _, name = run.rpartition("/")
    try:
        api = place.connect()
        known = [(path, job) for job in jobs(api) if (path := run_of(job))]
    except ClusterUnreachable as error:
        raise NoSuchRun(f"{missing}, and no cluster to ask: {error}") from None
    root = None if place.root is None else place.root.rstrip("/")
    known = [each for each in known if root in (None, each[0].root.rstrip("/"))]
    known = [each for each in known if experiment in ("", each[0].experiment)]
    there = [each for each in known if each[0].name == name]
    if not there:
        called = [path for path, job in known if job["metadata"]["name"] == name]
        named = "".join(f"; Job '{name}' is run '{path.experiment}/{path.name}'" for path in called)
        raise NoSuchRun(f"{missing}; no Job of it in namespace '{api.namespace}' either{named}")
    paths = {path for path, _ in there}
    if len(paths) > 1:
        raise SpecError(f"run is '{run}': expected --root too, as it is in {_urls(paths)}")
    path, job = max(there, key=lambda each: attempt_of(each[1]) or 0)
    return Found(path, open_store(path.url), job)


def _of_firing(found: Found, place: Place) -> tuple[ClusterRecord | None, dict[str, Any] | None]:
    """The record that a schedule's firing is about to write, and its Job; None for any other run."""
    path = found.path
    if "://" not in path.root or not place.has_cluster:
        return None, None
    with suppress(GantryError):  # a damaged run.json says nothing
        begun = read_json(found.store, layout.RUN)
        if begun is not None and begun.get("schedule") is None:
            return None, None  # somebody's own trainer
    try:
        api = place.connect()
        jobs = [found.job] if found.job else api.list("Job", of_run(path))["items"]
    except (ClusterUnreachable, Forbidden):
        return None, None
    own = [job for job in jobs if belongs(job, path)]
    if not own:
        return None, None
    record = replace(record_of(own[0]), context=api.context, server=api.server, namespace=api.namespace)
    return record, own[0]


def _urls(paths: Iterable[RunPath]) -> str:
    return ", ".join(sorted(path.url for path in paths))
