"""Where a run is: below a root that was named, in the folder ``runs`` here, or where its Job says.

A Job carries its run's root as an annotation, so ``launcher logs RUN`` works with no root configured for as
long as the cluster remembers the run. A firing of a schedule is known by its Job alone until its first pod
has written its record.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple

from launcher.backends.base import Backend
from launcher.backends.kubernetes.jobs import attempt_of
from launcher.backends.kubernetes.labels import belongs, of_run, run_of, schedule_of_run
from launcher.backends.kubernetes.record import ClusterRecord, read_record, record_of
from launcher.backends.local.backend import LocalBackend
from launcher.errors import CannotAsk, NoSuchRun, SpecError
from launcher.hints import DEFAULT_ROOT
from launcher.kubeconfig import current
from launcher.lookup import Found, find_run
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
            BadKubeconfig: there is no context of that name, or a file is damaged.
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
        firing = schedule_of_run(run.rpartition("/")[2]) is not None
        if place.root is not None and not firing:
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
        if not place.has_cluster:
            raise missing
        api = place.connect()
        there = [(path, job) for job in jobs(api) if (path := run_of(job)) and path.name == name]
    except CannotAsk as error:
        raise NoSuchRun(f"{missing}, and the cluster cannot be asked: {error}") from None
    root = None if place.root is None else place.root.rstrip("/")
    there = [each for each in there if root in (None, each[0].root.rstrip("/"))]
    there = [each for each in there if experiment in ("", each[0].experiment)]
    if not there:
        raise NoSuchRun(f"{missing}; no Job of it in namespace '{api.namespace}' either")
    paths = {path for path, _ in there}
    if len(paths) > 1:
        raise SpecError(f"run is '{run}': expected --root too, as it is in {_urls(paths)}")
    path, job = max(there, key=lambda each: attempt_of(each[1]) or 0)
    return Found(path, open_store(path.url), job)


def _of_firing(found: Found, place: Place) -> tuple[ClusterRecord | None, dict[str, Any] | None]:
    """The record that a schedule's firing is about to write, and its Job; None for any other run."""
    path = found.path
    if "://" not in path.root or schedule_of_run(path.name) is None:
        return None, None
    try:
        if not place.has_cluster:
            return None, None
        api = place.connect()
        jobs = [found.job] if found.job else api.list("Job", of_run(path))["items"]
    except CannotAsk:
        return None, None
    own = [job for job in jobs if belongs(job, path)]
    if not own:
        return None, None
    record = replace(record_of(own[0]), context=api.context, server=api.server, namespace=api.namespace)
    return record, own[0]


def _urls(paths: Iterable[RunPath]) -> str:
    return ", ".join(sorted(path.url for path in paths))
