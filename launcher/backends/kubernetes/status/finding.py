"""Runs that a cluster knows and their folders do not tell of.

A Job carries its run's root as an annotation, so ``launcher logs RUN`` works with no root configured for as
long as the cluster remembers the run, and a run whose folder was emptied can still be cancelled. A firing of
a schedule is known by its Job alone until its first pod has written its record.
"""

from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any

from launcher.backends.kubernetes.jobs.record import ClusterRecord, record_of
from launcher.backends.kubernetes.status.jobs import attempt_of
from launcher.backends.kubernetes.status.ours import jobs_of
from launcher.backends.place import Place
from launcher.errors import CannotAsk, NoSuchRun, SpecError
from launcher.records.run_folder import Found
from launcher.records.status import read_json
from launcher.render.labels import run_of
from trainer.errors import GantryError
from trainer.run import layout
from trainer.run.layout import RunPath
from trainer.storage import open_store


def by_labels(place: Place, run: str, missing: NoSuchRun) -> Found:
    """A run by the labels of its Jobs; pods reach buckets only, so that of a folder's runs no Job could tell.

    Raises:
        NoSuchRun: there is none either; `missing` tells where it was looked for before.
        SpecError: the name is of several runs.
    """
    from launcher.backends.kubernetes.status.observe import jobs

    if place.root is not None and "://" not in place.root:
        raise missing
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


def of_job(found: Found, place: Place) -> tuple[ClusterRecord | None, dict[str, Any] | None]:
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
