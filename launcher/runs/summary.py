"""Where one of many runs stands, with as few questions as its index entry and the cluster's Jobs leave open.

The index is written by the run's chief when it begins and when it ends. So an entry that says how the run
ended is the last word, unless a newer attempt is under way; its Job tells that, or the record of its
processes on this machine.
"""

from dataclasses import replace
from typing import Any

from launcher.backends.base import Backend, Known
from launcher.backends.kubernetes.jobs.record import record_of
from launcher.backends.kubernetes.status.jobs import is_stopped
from launcher.backends.local.backend import LocalBackend
from launcher.backends.local.record import last_word, read_record
from launcher.records.run_folder import Found, is_run
from launcher.records.states import (
    FAILED,
    FINISHED,
    RUNNING,
    STARTING,
    STOPPED,
    UNKNOWN,
    State,
    by_status,
)
from launcher.records.status import Files, RunStatus, assemble, read_json, read_word
from launcher.runs.find import Place, backend_of
from launcher.runs.job_lookup import Job, Jobs
from trainer.errors import GantryError
from trainer.run import layout
from trainer.run.index import Entry
from trainer.run.layout import RunPath
from trainer.storage import LocalStore


def standing(found: Found, entry: Entry | None, place: Place, jobs: Jobs) -> RunStatus | None:
    """Where a run stands, None for a folder that is no run; damaged files must not hide the other runs."""
    try:
        status = look(found, entry, place, jobs)
    except GantryError as error:
        state = State(UNKNOWN, str(error))
        status = assemble(found, Files({}, None), state, attempt=None, backend=None, checkpoint=False)
    return None if status.state == UNKNOWN and entry is None and not is_run(found.store) else status


def look(found: Found, entry: Entry | None, place: Place, jobs: Jobs) -> RunStatus:
    """Where a run stands; `entry` is the index's.

    Raises:
        GantryError: its folder cannot be read, or a file there is damaged.
    """
    settled = entry if entry is not None and _is_settled(entry) else None
    job = jobs.of(found.path) if "://" in found.path.root else None
    if job is not None:
        files = _from_index(settled) if settled and is_stopped(job) else _newest(found, entry)
        return of_job(found, job, place, jobs, files)
    if settled is None:
        backend = backend_of(found, place, ask=False)
        return backend.listed(found, lambda: _jobs_of(backend, jobs))
    files = _from_index(settled)
    if isinstance(found.store, LocalStore) and (record := read_record(found.store)) is not None:
        # Begun again, a run tells its index when TensorFlow is loaded; the record of its processes tells now.
        return LocalBackend().listed(found, _no_jobs, _dated(files, found) if record.ended else None)
    state = by_status(files.said, None)
    return assemble(found, files, state, attempt=None, backend=settled.backend, checkpoint=False)


def of_job(found: Found, job: Job, place: Place, jobs: Jobs, files: Files) -> RunStatus:
    """Where the run of a Job that the cluster has shown stands."""
    from launcher.backends.kubernetes.backend import KubernetesBackend

    known = Known({str(job["metadata"]["name"]): job}, jobs.time)
    backend = KubernetesBackend(record_of(job), place.context, place.namespace)
    return backend.listed(found, lambda: known, files)


def by_job(path: RunPath, job: Job, place: Place, jobs: Jobs) -> RunStatus:
    """Where a run stands whose folder cannot be read, which is what its Job says."""
    nowhere = LocalStore(path.url)  # never read, as there is a Job and what the folder says is given
    status = of_job(Found(path, nowhere), job, place, jobs, Files({}, None))
    if status.state != STARTING:
        return status
    return replace(status, state=RUNNING, explanation="its pods run; what its trainer says cannot be read")


def _jobs_of(backend: Backend, jobs: Jobs) -> Known:
    """The Jobs of where a run's record says that it is."""
    from launcher.backends.kubernetes.backend import KubernetesBackend

    return jobs.at(backend.record) if isinstance(backend, KubernetesBackend) else _no_jobs()


def _no_jobs() -> Known:
    return Known({})


def _is_settled(entry: Entry) -> bool:
    """Whether the run has ended, as far as its own words go.

    The Job of a schedule's firing does not name its run, so one that may go on is asked about.
    """
    return entry.state == FINISHED or (entry.state in (FAILED, STOPPED) and entry.schedule is None)


def _from_index(entry: Entry) -> Files:
    """What the index says, as if it had been read from the run's folder."""
    said = {"state": entry.state, "step": entry.step, "steps": entry.steps, "metrics": entry.metrics}
    return Files(_begun(entry), {**said, "updated": entry.ended})


def _dated(files: Files, found: Found) -> Files:
    """What the index says, with the trainer's own date of it, by which the record of its processes goes."""
    word = last_word(found.store)
    return files if word is None else files._replace(said={**(files.said or {}), "updated": word})


def _begun(entry: Entry) -> dict[str, Any]:
    about = {"created": entry.created, "preset": entry.preset, "world_size": entry.world_size}
    return {**about, "config": {"steps": entry.steps}}


def _newest(found: Found, entry: Entry | None) -> Files:
    """What the folder says of a run that is under way; how it began is in the index once it trains."""
    begun = _begun(entry) if entry is not None else read_json(found.store, layout.RUN) or {}
    return Files(begun, *read_word(found.store))
