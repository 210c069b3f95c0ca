"""Whether an attempt is over, as its Job says it or, before that, as its trainers' exit codes do.

A Job ends when its pods do, and a pod when all its containers do: one that a mesh injects may run on for ever
beside a trainer that has long finished. The trainers' exit codes mean the same without the Job's word.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from launcher.backends.kubernetes.status.jobs import Verdict, verdict, workers_of
from launcher.backends.kubernetes.status.pods import PodStatus, containers, newest_pods, pod_status, runs
from trainer.errors import EXIT_COLLAPSED, EXIT_USER


def workers_seen(
    count: int, pods: Sequence[Mapping[str, Any]], events: Sequence[Mapping[str, Any]] = ()
) -> list[PodStatus]:
    """Where each of so many workers stands, from the pods that a Job made."""
    newest = newest_pods(pods)
    return [pod_status(worker, newest.get(worker, ()), events) for worker in range(count)]


def end_of(job: Mapping[str, Any], workers: Sequence[PodStatus]) -> Verdict | None:
    """How a Job ended, or would have ended if its pods had; None while that is open.

    `workers` are all of its workers, or none where nobody looked.
    """
    return verdict(job) or _by_trainers(workers)


def is_over(job: Mapping[str, Any], pods: Sequence[Mapping[str, Any]]) -> bool:
    """Whether nothing of a Job trains any more, or will."""
    return end_of(job, workers_seen(workers_of(job), pods)) is not None


def _by_trainers(workers: Sequence[PodStatus]) -> Verdict | None:
    if workers and all(worker.done for worker in workers):
        return Verdict(True, "", "")
    refused = any(worker.exit_code in (EXIT_USER, EXIT_COLLAPSED) and worker.held_by for worker in workers)
    if refused and not any(worker.ready for worker in workers):
        return Verdict(False, "PodFailurePolicy", "")  # what the Job's controller says of it
    return None


def holding(workers: Sequence[PodStatus]) -> str:
    """A sentence about containers that keep the pods of an attempt that is over; empty where none does."""
    held = [worker for worker in workers if worker.held_by]
    if not held:
        return ""
    names = sorted({name for worker in held for name in worker.held_by})
    which = "its pod" if len(workers) == 1 else f"{len(held)} of its {len(workers)} pods"
    return (
        f"{containers(names)}, not the trainer's, still {runs(names)} in {which} and {_keeps(names)} the Job "
        "from ending: `launcher delete` removes both, and the run's files stay"
    )


def _keeps(names: Sequence[str]) -> str:
    return "keep" if len(names) > 1 else "keeps"
