"""Waiting for the end of a Job, through everything that may happen to the connection meanwhile.

A list gives the Job and the resource version from which a watch goes on. Whenever the watch ends (the server
ends each after some minutes, forgets old versions, is restarted, or the connection is cut) the Job is listed
again, so that no change is missed; the list waits for a server that is away.
"""

import time
from collections.abc import Callable
from typing import Literal, NamedTuple

from launcher.backends.kubernetes.client.api import Object
from launcher.backends.kubernetes.status.jobs import is_stopped, rests
from launcher.backends.kubernetes.status.ours import Own
from launcher.errors import Expired, Transient

_WATCH_SECONDS = 300.0  # a firewall on the way forgets a silent connection sooner or later
# Between two looks at a run none of whose pods is ready, which may be over for all that its Job says.
_LOOK_SECONDS = 10.0
_PAUSE_SECONDS = 0.2  # between a watch that was cut and the next list


class Waited(NamedTuple):
    """Why the waiting is over."""

    end: Literal["stopped", "over", "gone", "late"]
    """``stopped``: decided, or suspended by a person; ``over``: the caller says so; ``gone``: deleted;
    ``late``: time is up."""
    job: Object | None
    """The Job as it was last seen, None for one that was gone from the start."""


def _never() -> bool:
    return False


def wait(own: Own, timeout: float | None = None, is_over: Callable[[], bool] = _never) -> Waited:
    """Wait until an attempt's Job is decided, suspended or deleted, at most `timeout` seconds.

    A Job is decided as soon as its controller says so (``SuccessCriteriaMet``, ``FailureTarget``): the last
    word (``Complete``, ``Failed``) comes only when its last pod is gone, a grace period later. `is_over` is
    asked while none of its pods is ready: a container beside the trainer's may keep them, and so the Job.

    Raises:
        ClusterLost: the API server stayed away for minutes.
    """
    deadline = None if timeout is None else time.monotonic() + timeout
    fields, last = f"metadata.name={own.name}", None
    while True:
        listed = own.api.list("Job", fields=fields)
        if (found := own.seen(next(iter(listed["items"]), None))) is None:
            return Waited("gone", last)
        last = found
        if is_stopped(last):
            return Waited("stopped", last)
        idle = rests(last)
        if idle and is_over():
            return Waited("over", last)
        patience = _LOOK_SECONDS if idle else _WATCH_SECONDS
        left = patience if deadline is None else deadline - time.monotonic()
        if left <= 0:
            return Waited("late", last)
        try:
            ended = _watch(own, fields, listed["metadata"]["resourceVersion"], min(left, patience), idle)
        except (Transient, Expired):
            time.sleep(_PAUSE_SECONDS)
            continue
        if ended is not None:
            return ended


def _watch(own: Own, fields: str, version: str, seconds: float, idle: bool) -> Waited | None:
    """The end of a Job; None when it was not seen within some seconds, or its pods are no longer ready."""
    for event in own.api.watch("Job", resource_version=version, timeout=seconds, fields=fields):
        kind, found = event["type"], event["object"]
        if kind != "BOOKMARK" and not own.is_job(found):
            return Waited("gone", None)  # it took the name of one that went while nobody watched
        if kind == "DELETED":
            return Waited("stopped" if is_stopped(found) else "gone", found)
        if kind != "BOOKMARK" and is_stopped(found):
            return Waited("stopped", found)
        if kind != "BOOKMARK" and not idle and rests(found):
            return None
    return None
