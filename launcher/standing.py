"""Where one of many runs stands, with as few questions as its index entry and the cluster's Jobs leave open.

The index is written by the run's chief when it begins and when it ends. So an entry that says how the run
ended is the last word, unless a newer attempt is under way; its Job tells that, or the record of its
processes on this machine.
"""

import sys
import threading
from datetime import UTC, datetime
from typing import Any

from launcher.backends.kubernetes.jobs import attempt_of, is_stopped
from launcher.backends.kubernetes.labels import run_of, schedule_of
from launcher.backends.kubernetes.record import record_of
from launcher.backends.local.backend import LocalBackend
from launcher.backends.local.record import last_word, read_record
from launcher.errors import ClusterUnreachable, Forbidden
from launcher.lookup import Found, is_run
from launcher.places import Place, backend_of
from launcher.states import FAILED, FINISHED, STOPPED, UNKNOWN, State, by_status
from launcher.status import Files, RunStatus, assemble, read_json
from trainer import layout
from trainer.errors import GantryError
from trainer.index import Entry
from trainer.layout import RunPath
from trainer.storage import LocalStore

Job = dict[str, Any]


class Jobs:
    """The Jobs of a place's namespace, asked for once and only when a run wants them."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._lock = threading.Lock()
        self._found: dict[str, Job] | None = None
        self._by_run: dict[RunPath, Job] = {}

    @property
    def by_name(self) -> dict[str, Job]:
        """Jobs that a launcher made; none where no cluster answers, which is said on stderr."""
        with self._lock:
            if self._found is None:
                self.known(self._ask())
            return self._found or {}

    def known(self, jobs: dict[str, Job]) -> None:
        """Take these for what the cluster has, by name, instead of asking."""
        self._found, self._by_run = jobs, _newest_attempts(jobs)

    def of(self, path: RunPath) -> Job | None:
        """The Job of a run's newest attempt, None when the cluster has none."""
        return self._by_run.get(_plain(path)) if self.by_name else None

    @property
    def roots(self) -> list[str]:
        """Roots of the runs that the Jobs are of."""
        return sorted({path.root for path in map(run_of, self.by_name.values()) if path})

    def firings(self, root: str) -> list[RunPath]:
        """Runs of schedules below a root that Jobs are of; a root on a disk has none."""
        if "://" not in root:
            return []
        own = [job for job in self.by_name.values() if schedule_of(job) is not None]
        plain = root.rstrip("/")
        return [path for path in map(run_of, own) if path and path.root.rstrip("/") == plain]

    def _ask(self) -> dict[str, Job]:
        if not self._place.has_cluster:
            return {}
        from launcher.backends.kubernetes.observe import jobs

        try:
            return {str(job["metadata"]["name"]): job for job in jobs(self._place.connect())}
        except (ClusterUnreachable, Forbidden) as error:
            sys.stderr.write(f"note: the table is of the files alone: {error}\n")
            return {}


def _newest_attempts(jobs: dict[str, Job]) -> dict[RunPath, Job]:
    named = [(path, job) for job in jobs.values() if (path := run_of(job)) and attempt_of(job) is not None]
    named.sort(key=lambda each: attempt_of(each[1]) or 0)
    return {_plain(path): job for path, job in named}


def _plain(path: RunPath) -> RunPath:
    return path._replace(root=path.root.rstrip("/"))


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
        from launcher.backends.kubernetes.backend import KubernetesBackend

        files = _from_index(settled) if settled and is_stopped(job) else _newest(found, entry)
        backend = KubernetesBackend(record_of(job), place.context, place.namespace)
        return backend.listed(found, lambda: jobs.by_name, files)
    if settled is None:
        return backend_of(found, place).listed(found, lambda: jobs.by_name)
    files = _from_index(settled)
    if isinstance(found.store, LocalStore) and (record := read_record(found.store)) is not None:
        # Begun again, a run tells its index when TensorFlow is loaded; the record of its processes tells now.
        return LocalBackend().listed(found, lambda: {}, _dated(files, found) if record.ended else None)
    state = by_status(files.said, datetime.now(UTC), datetime.now(UTC))
    return assemble(found, files, state, attempt=None, backend=settled.backend, checkpoint=False)


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
    return Files(begun, read_json(found.store, layout.STATUS))
