"""Where a run stands, from what was seen of its Job and read of its folder, or of the folder alone."""

from collections.abc import Callable
from typing import Any

from launcher.backends.kubernetes.client.api import Api
from launcher.backends.kubernetes.jobs import replacing
from launcher.backends.kubernetes.jobs.cancellation import was_cancelled
from launcher.backends.kubernetes.jobs.record import ClusterRecord
from launcher.backends.kubernetes.kind import KIND
from launcher.backends.kubernetes.status import observe
from launcher.backends.kubernetes.status.pods import PodStatus
from launcher.records.run_folder import Found
from launcher.records.states import INTERRUPTED, STARTING, STOPPED, UNKNOWN, State, parse_time, unasked
from launcher.records.status import Files, RunStatus, WorkerStatus, assemble, read_dated, read_files
from trainer.errors import GantryError
from trainer.run import layout


def joined(
    record: ClusterRecord, found: Found, files: Files, seen: observe.Seen, api: Callable[[], Api] | None
) -> RunStatus:
    """Where a run stands, by cluster and folder.

    With `api`, the run's cluster, its pods are told and the newest checkpoint is looked for, else nothing
    more is asked.
    """
    submitted = read_dated(found.store, layout.CLUSTER)[1] if seen.job is None else None
    here = observe.join(seen, files.said, observe.Ages(files.age, submitted), record.workers)
    stale: dict[str, Any] = {} if here.told else {"trainer_restarts": 0, "storage": None}
    state = _unless_cancelled(record, found, seen, here.state, files)
    other = _replaced_by(record, found, seen, state, files, api) if api else None
    return assemble(
        found,
        files,
        state._replace(explanation=replacing.sentence(other)) if other else state,
        replaced_by=other,
        attempt=record.attempt,
        workers=[worker_status(pod) for pod in here.workers] if api else [],
        restarts=here.restarts,
        checkpoint=api is not None,
        **stale,
        **_known(record),
    )


def without_cluster(
    record: ClusterRecord, found: Found, error: GantryError, files: Files | None, checkpoint: bool
) -> RunStatus:
    """Where a run stands as its folder alone tells; `error` is why no cluster was asked."""
    files = files or read_files(found.store)
    state = unasked(files.said, files.age, f"the cluster cannot be asked: {error}")
    return assemble(
        found, files, state, attempt=record.attempt, checkpoint=checkpoint, asked=False, **_known(record)
    )


def worker_status(pod: PodStatus) -> WorkerStatus:
    """The same as every backend tells it."""
    return WorkerStatus(
        worker=pod.worker,
        alive=pod.ready,
        exit_code=pod.exit_code,
        pod=pod.pod,
        node=pod.node,
        restarts=pod.restarts,
        reason=pod.reason,
        held_by=pod.held_by,
    )


def _unless_cancelled(
    record: ClusterRecord, found: Found, seen: observe.Seen, state: State, files: Files
) -> State:
    """The state, or that of a run whose Job was deleted to cancel it, perhaps before it began."""
    if seen.job is not None or state.name not in (STARTING, INTERRUPTED, UNKNOWN):
        return state
    if not was_cancelled(found.store, record.attempt):
        return state
    return State(STOPPED, "it was cancelled" if files.said else "it was cancelled before it began")


def _replaced_by(
    record: ClusterRecord,
    found: Found,
    seen: observe.Seen,
    state: State,
    files: Files,
    api: Callable[[], Api],
) -> str | None:
    """The firing that a schedule's run had to make way for; None where a person cancelled it."""
    if seen.job is not None or state.name not in (STOPPED, INTERRUPTED, UNKNOWN):
        return None
    other = replacing.look(api(), found.path, record.job, parse_time((files.said or {}).get("updated")))
    return None if other and was_cancelled(found.store, record.attempt) else other


def _known(record: ClusterRecord) -> dict[str, Any]:
    return {
        "backend": KIND.name,
        "job": record.job,
        "namespace": record.namespace,
        "owner": record.owner,
        "world_size": record.workers,
    }
