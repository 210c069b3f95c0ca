"""The run to explain: by its folder as everywhere, else by its Job, which a broken bucket does not hide."""

from dataclasses import replace

from launcher.backends.kubernetes.backend import KubernetesBackend, of_pods
from launcher.backends.kubernetes.client.api import Api
from launcher.backends.kubernetes.jobs.record import record_of
from launcher.backends.kubernetes.status.observe import jobs
from launcher.diagnosis.explain.facts import Object
from launcher.errors import CannotAsk, NoSuchRun, SpecError
from launcher.records.run_folder import Found
from launcher.render.labels import run_of
from launcher.runs.find import Located, Place, locate
from trainer.errors import AccessError, StorageError, UserError
from trainer.run import layout
from trainer.run.layout import RunPath
from trainer.storage import open_store

_WORDS = (layout.RUN, layout.STATUS, layout.LOCAL)  # a folder without these says nothing of its run


def find(place: Place, run: str) -> Located:
    """A run and its backend.

    A Job whose workers never began may have left nothing in the bucket, as a schedule's firing whose image
    cannot be fetched, and the bucket itself may be what is wrong: then the Job alone tells.

    Raises:
        NoSuchRun: there is none of that name.
        AccessError, StorageError: its folder cannot be read, and no Job is known by the name.
    """
    try:
        located = locate(place, run)
    except (AccessError, StorageError, NoSuchRun):
        if (known := _by_job(place, run)) is None:
            raise
        return known
    bare = of_pods(located.backend) is None and not any(map(located.found.store.stat, _WORDS))
    return (_by_job(place, run) if bare else None) or located


def _by_job(place: Place, run: str) -> Located | None:
    """A run as its newest Job tells of it; None where no cluster knows one."""
    experiment, _, name = run.rpartition("/")
    try:
        if not place.has_cluster:
            return None
        api = place.connect()
        found = [(path, job) for job in jobs(api) if (path := run_of(job)) and path.name == name]
    except (CannotAsk, UserError):
        return None
    own = [(path, job) for path, job in found if experiment in ("", path.experiment) and _is_in(place, path)]
    if not own:
        return None
    if len(urls := sorted({each[0].url for each in own})) > 1:
        raise SpecError(f"run is '{run}': expected experiment/name and --root, as it is in {', '.join(urls)}")
    path, job = max(own, key=lambda each: str(each[1]["metadata"].get("creationTimestamp")))
    return located_by_job(place, api, path, job)


def _is_in(place: Place, path: RunPath) -> bool:
    return place.root is None or place.root.rstrip("/") == path.root.rstrip("/")


def located_by_job(place: Place, api: Api, path: RunPath, job: Object) -> Located:
    """A run that is known by its Job alone.

    Raises:
        GantryError: its root is none that could be opened.
    """
    record = replace(record_of(job), context=api.context, server=api.server)
    backend = KubernetesBackend(record, place.context, api.namespace)
    return Located(Found(path, open_store(path.url)), backend)
