"""Why a Job has no pods, or failed: the controller's words and events, for a person; pure functions."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from launcher.backends.kubernetes.status.jobs import Verdict, status
from launcher.backends.kubernetes.status.pods import PodStatus
from launcher.backends.kubernetes.status.wording import event_time, one_line
from trainer.errors import EXIT_COLLAPSED, EXIT_RESTART, EXIT_USER

_REFUSALS = (
    (r"exceeded quota: (.*)", "the namespace's quota is used up: {0}"),
    (r"failed quota: (.*)", "the namespace's quota wants more said: {0}"),
    (
        r"error looking up service account ([^/]+)/([^:]+):",
        "service account '{1}' does not exist in namespace '{0}'",
    ),
    (r'violates PodSecurity "([^"]+)": (.*)', 'Pod Security "{0}" of the namespace refuses its pods: {1}'),
    (r"no PriorityClass with name (\S+)", "priority class '{0}' does not exist"),
)


def refusal(events: Sequence[Mapping[str, Any]]) -> str:
    """Why the Job could not make a pod, from its newest event."""
    refused = [event for event in events if event.get("reason") == "FailedCreate"]
    if not refused:
        return ""
    text = one_line(max(refused, key=event_time).get("message"))
    for pattern, plain in _REFUSALS:
        if found := re.search(pattern, text):
            return plain.format(*found.groups())
    return f"its pods cannot be made: {text}"


def why_failed(end: Verdict, job: Mapping[str, Any], workers: Sequence[PodStatus], busy: bool) -> str:
    """Why a Job failed: the controller's reason, and the worker that gave it."""
    cause = _cause(end, workers)
    if end.reason == "PodFailurePolicy":
        text = cause.explanation if cause else one_line(end.message)
    elif end.reason == "BackoffLimitExceeded":
        failed = int(status(job).get("failed") or 0)
        limit = job["spec"].get("backoffLimit")
        text = f"too many pods of its workers ended badly ({failed}, its limit is {limit})"
        text += f"; {cause.explanation}" if cause else ""
    elif end.reason == "DeadlineExceeded":
        text = f"it ran longer than its deadline of {job['spec'].get('activeDeadlineSeconds')} s"
    else:
        text = f"{end.reason}: {one_line(end.message)}"
    return text + ("; those that are left are being stopped" if busy else "")


def _cause(end: Verdict, workers: Sequence[PodStatus]) -> PodStatus | None:
    """The worker that ended a Job: the one its message names, else the one that says most."""
    failed = [worker for worker in workers if worker.phase == "Failed" or worker.held_by]
    named = [worker for worker in failed if worker.pod and f"/{worker.pod} " in f"{end.message} "]
    return min(named or failed, key=_says_little, default=None)


def _says_little(worker: PodStatus) -> int:
    """0 for an end that explains others', 2 for one that others explain."""
    if worker.exit_code in (EXIT_USER, EXIT_COLLAPSED) or worker.reason == "OOMKilled":
        return 0
    return 2 if worker.exit_code in (EXIT_RESTART, 143) or worker.reason == "Deleted" else 1
