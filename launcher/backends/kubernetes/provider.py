"""What runs on clusters have in common; the client takes 0.4 s to import and is loaded where one is asked."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from launcher.backends.base import PLAIN, Attempt, Backend, Evaluating, Options, Overview, Provider, Started
from launcher.backends.kubernetes.jobs.record import ClusterRecord, read_record
from launcher.backends.kubernetes.kind import KIND
from launcher.backends.kubernetes.status.finding import by_labels, of_job
from launcher.backends.kubernetes.status.overview import Jobs
from launcher.backends.kubernetes.status.reading import Readable
from launcher.backends.place import Place
from launcher.errors import ClusterUnreachable, NoSuchRun
from launcher.records.run_folder import Found
from launcher.render.labels import run_of
from launcher.spec.redaction import without_password
from launcher.spec.runspec import RunSpec
from trainer.run.layout import RunPath
from trainer.storage import Store

if TYPE_CHECKING:
    from launcher.backends.kubernetes.client.api import Api

# Fields of a specification that are told by others than its `settings`.
_ELSEWHERE = frozenset({"preset", "overrides", "root", "experiment", "name", "workers", "env"})


class Kubernetes(Provider):
    """Clusters."""

    kind = KIND

    def submit(self, spec: RunSpec, ready: Callable[[], object], options: Options = PLAIN) -> Started:
        """Submit a new run; returns when the cluster has all of it, long before it trains."""
        from launcher.backends.kubernetes.jobs.submit import start

        return start(spec, resuming=False, ready=ready)

    def check_new(self, spec: RunSpec, options: Options = PLAIN) -> None:
        """Refuse what `submit` would refuse, and a run whose pods name what is not there."""
        from launcher.backends.kubernetes.jobs.submit import check

        check(spec, resuming=False)

    def dry_run(self, spec: RunSpec) -> list[dict[str, Any]]:
        """Let the API server judge a run's manifests, and keep nothing; the manifests."""
        from launcher.backends.kubernetes.jobs.submit import dry_run

        return dry_run(spec)

    def evaluate(self, spec: RunSpec, words: Sequence[str], store: Store) -> Evaluating:
        """Have a run judged by a Job of one pod."""
        from launcher.backends.kubernetes.jobs.evaluate import evaluate

        return evaluate(spec, words, store)

    def recorded(self, found: Found, place: Place) -> Backend | None:
        """The backend of a run with a ``cluster.json``."""
        record = read_record(found.store)
        return None if record is None else _backend(record, place, found.job)

    def sought(self, found: Found, place: Place) -> Backend | None:
        """The backend of a run that a Job is of."""
        record, job = of_job(found, place)
        return None if record is None else _backend(record, place, job)

    def find(self, place: Place, run: str, missing: NoSuchRun) -> Found:
        """A run by the labels of its Jobs."""
        return by_labels(place, run, missing)

    def home(self, found: Found, place: Place) -> Place:
        """Where the run's record says, as what was typed is for another one."""
        record = read_record(found.store)
        if record is None or not record.server:
            return place
        from launcher.backends.kubernetes.jobs.context import context_of

        try:
            context_of(record)
        except ClusterUnreachable:  # the cluster has another address by now, under which a context is named
            return Place(place.root, place.context)
        return Place(place.root)

    def newest(self, store: Store) -> Attempt | None:
        """What ``cluster.json`` says; how it ended, it does not."""
        record = read_record(store)
        return None if record is None else _attempt(record)

    def overview(self, place: Place, everywhere: bool = False) -> Overview:
        """Jobs, those of each namespace in one request."""
        return Jobs(place, everywhere)

    def polling(self, place: Place) -> Callable[[], Overview]:
        """Jobs of the place's namespace, in one request each time and through one connection."""
        connected: list[Api] = []

        def look() -> Overview:
            from launcher.backends.kubernetes.status import observe

            if not connected:
                connected.append(place.connect())
            api, jobs = connected[0], Jobs(place)
            jobs.take(Readable(observe.jobs(api), api.now, api.server, frozenset({api.namespace})))
            return jobs

        return look

    def known(self, place: Place) -> list[RunPath]:
        """Runs that the Jobs of the place's namespace are of."""
        from launcher.backends.kubernetes.status.observe import jobs

        if not place.has_cluster:
            return []
        return [path for path in map(run_of, jobs(place.connect())) if path]

    def load(self, place: Place) -> None:
        """Import the client, which takes ten times as long on a machine that is training."""
        if place.has_cluster:
            import kubernetes.client  # noqa: F401

            import launcher.backends.kubernetes.status.observe  # noqa: F401


def _attempt(record: ClusterRecord) -> Attempt:
    """Of the pods' environment the names alone: what somebody hands to a program is nobody else's concern."""
    place = {"job": record.job, "namespace": record.namespace, "context": record.context}
    server = without_password(record.server)
    given = {key: value for key, value in record.spec.items() if key not in _ELSEWHERE and value}
    return Attempt(
        number=record.attempt,
        begun=record.submitted,
        where=f"Job {record.job} in namespace {record.namespace}, context {record.context} ({server})",
        told={
            **place,
            "server": server,
            "workers": record.workers,
            "env": sorted(record.spec.get("env") or {}),
            "settings": given,
        },
    )


def _backend(record: ClusterRecord, place: Place, job: dict[str, Any] | None) -> Backend:
    from launcher.backends.kubernetes.backend import KubernetesBackend

    return KubernetesBackend(record, place.context, place.namespace, job)


PROVIDER = Kubernetes()
