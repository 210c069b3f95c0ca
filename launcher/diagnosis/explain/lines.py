"""The last lines of a few workers' logs: of their pods while there are any, with times, else the folder's."""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime

from launcher.backends.kubernetes.client.api import Api
from launcher.backends.kubernetes.client.kinds import kind_of
from launcher.backends.kubernetes.logs.exact_lines import SECOND, stamped
from launcher.backends.kubernetes.status.pods import newest_pods
from launcher.diagnosis.explain.evidence import utc
from launcher.diagnosis.explain.facts import Line, Object
from launcher.errors import Transient
from launcher.records.follow import log_attempts, shown
from launcher.records.states import LIVE_STATES
from launcher.records.status import RunStatus, WorkerStatus
from launcher.render.labels import CONTAINER
from trainer.errors import EXIT_DONE, GantryError
from trainer.run.layout import worker_log_parts
from trainer.storage import Store

_WORKERS = 4  # whose logs are read: what ends one mostly shows in all
_LINES = 80
_BYTES = 64 << 10  # of the copy in the folder, which may be of gigabytes
_SECONDS = 10.0


def last_lines(
    now: RunStatus, store: Store, api: Api | None = None, pods: Sequence[Object] = ()
) -> dict[int, list[Line]]:
    """Last lines of the workers in trouble, and of worker 0, by worker; those with none are left out.

    Raises:
        GantryError: the folder cannot be read.
    """
    newest = {worker: each[0] for worker, each in newest_pods(pods).items()}
    chosen = _chosen(now, newest)
    attempt = now.attempt or max(log_attempts(store), default=None)

    def read(worker: int) -> list[Line]:
        pod = newest.get(worker)
        lines = _of_pod(api, pod, worker) if api is not None and pod is not None else []
        return lines or _of_folder(store, attempt, worker)

    with ThreadPoolExecutor(_WORKERS) as pool:
        found = dict(zip(chosen, pool.map(read, chosen), strict=True))
    return {worker: lines for worker, lines in found.items() if lines}


def _chosen(now: RunStatus, pods: Mapping[int, Object]) -> list[int]:
    """Workers that ended badly, then those that do not live though the run does, then worker 0."""
    workers = now.workers or [WorkerStatus(worker, False) for worker in range(now.world_size or 1)]
    bad = [each.worker for each in workers if each.exit_code not in (None, EXIT_DONE)]
    away = [each.worker for each in workers if not each.alive and each.exit_code is None]
    restarted = [each.worker for each in workers if each.restarts]
    quiet = [0] if now.state in LIVE_STATES or not bad else []
    order = [*bad, *restarted, *away, *quiet, 0]
    return list(dict.fromkeys(order))[:_WORKERS]


def _of_pod(api: Api, pod: Object, worker: int) -> list[Line]:
    """The end of a pod's log; nothing where its container never began or the node does not answer."""
    states = (pod.get("status") or {}).get("containerStatuses") or []
    begun = any(
        each.get("name") == CONTAINER and "waiting" not in (each.get("state") or {}) for each in states
    )
    if not begun:
        return []
    path = kind_of("Pod").path(api.namespace, str(pod["metadata"]["name"])) + "/log"
    query = {"container": CONTAINER, "tailLines": str(_LINES), "timestamps": "true"}
    with suppress(GantryError, Transient), api.stream(path, query, _SECONDS) as response:
        return [line for raw in response.read().split(b"\n") if (line := _timed(worker, raw))]
    return []


def _timed(worker: int, raw: bytes) -> Line | None:
    line = stamped(raw)
    if line is None or not line.content.strip():
        return None
    return Line(worker, shown(line.content), _time_of(line.stamp))


def _time_of(stamp: int) -> str | None:
    """A time in nanoseconds since 1970 as ISO."""
    return utc(datetime.fromtimestamp(stamp // SECOND, UTC).isoformat())


def _of_folder(store: Store, attempt: int | None, worker: int) -> list[Line]:
    """The end of the copy of a worker's log, however long that is."""
    if attempt is None:
        return []
    prefix = f"logs/{attempt}/worker-{worker}."
    pieces = [
        (parts.segment or 0, stat) for stat in store.list(prefix) if (parts := worker_log_parts(stat.name))
    ]
    content = b""
    for _, piece in sorted(pieces, key=lambda each: each[0], reverse=True)[:2]:
        begin = max(0, piece.size - _BYTES)
        content = store.read(piece.name, begin, _BYTES) + content
    texts = [shown(line) for line in content.split(b"\n") if line.strip()]
    return [Line(worker, text) for text in texts[-_LINES:]]
