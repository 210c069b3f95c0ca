"""Why some workers do not run, in one sentence about the worst; pure functions of what their pods are at."""

from collections.abc import Mapping, Sequence
from typing import Any

from launcher.backends.kubernetes.status.pods import PodStatus
from launcher.backends.kubernetes.status.reasons import refusal

_PASSING = frozenset({"ContainerCreating", "Pending", "Terminating", ""})


def absent(workers: Sequence[PodStatus]) -> list[PodStatus]:
    """Workers that neither run nor are done."""
    return [worker for worker in workers if not (worker.ready or worker.done)]


def not_begun(workers: Sequence[PodStatus], events: Sequence[Mapping[str, Any]]) -> str:
    """What keeps workers from running that were never needed before; some of them are absent."""
    missing = absent(workers)
    refused = refusal(events) if any(worker.pod is None for worker in missing) else ""
    return (refused or _plainly(min(missing, key=_urgency))) + _others(workers, missing)


def being_replaced(workers: Sequence[PodStatus], events: Sequence[Mapping[str, Any]]) -> str:
    """Why a worker that trained is gone, and what its new pod waits for; some of them are absent."""
    missing = absent(workers)
    worker = min(missing, key=_urgency)
    if worker.pod is None:
        text = f"worker {worker.worker} has lost its pod; {refusal(events) or 'a new one is to come'}"
    elif worker.phase == "Pending":
        before = worker.before or f"worker {worker.worker} has lost its pod"
        text = f"{before}; its new pod {_plainly(worker).removeprefix(f'worker {worker.worker} ')}"
    elif worker.phase == "Failed":
        text = f"{_plainly(worker)}; a new pod is to come"
    else:
        text = _plainly(worker)
    return text + _others(workers, missing)


def too_few(most: int, workers: int) -> str:
    """Why workers of a Job that may have no more than so many pods at a time are missing."""
    pods = "no pod" if most == 0 else f"{most} pod{'s' * (most > 1)} at a time"
    need = "1 worker needs one" if workers == 1 else f"{workers} workers need one each"
    return f"its Job may have {pods}, and its {need} (spec.parallelism is {most})"


def _plainly(worker: PodStatus) -> str:
    return worker.explanation or f"worker {worker.worker} does not run"


def _others(workers: Sequence[PodStatus], missing: Sequence[PodStatus]) -> str:
    if len(workers) == 1:
        return ""
    return f"; {len(workers) - len(missing)} of {len(workers)} workers run"


def _urgency(worker: PodStatus) -> tuple[bool, int]:
    """What a person wants to read first: what will not pass by itself."""
    return worker.reason in _PASSING, worker.worker
