"""All runs in one table: those of a root, and those whose Jobs the cluster still has."""

import sys
from functools import cached_property
from typing import Any

from launcher.backends.kubernetes.labels import run_of
from launcher.errors import ClusterUnreachable, Forbidden
from launcher.hints import DEFAULT_ROOT
from launcher.lookup import Found, all_runs
from launcher.places import Place, backend_of
from launcher.states import UNKNOWN, State
from launcher.status import Files, RunStatus, assemble
from trainer.errors import GantryError
from trainer.layout import RunPath
from trainer.storage import open_store


def list_runs(where: Place | str) -> list[RunStatus]:
    """Where every run of a place stands, the newest word last.

    A root that was named is listed whole; otherwise the folder ``runs`` and every root that a Job names.
    """
    place = where if isinstance(where, Place) else Place(root=where)
    jobs = _Jobs(place)
    roots = [place.root] if place.root is not None else [DEFAULT_ROOT, *jobs.roots]
    paths = {path for root in dict.fromkeys(roots) for path in all_runs(root)}
    runs = [_status(path, place, jobs) for path in paths]
    return sorted(runs, key=lambda run: (run.updated or "", run.experiment, run.run))


class _Jobs:
    """The Jobs of the place's namespace, asked for once and only when a run wants them."""

    def __init__(self, place: Place) -> None:
        self._place = place

    @cached_property
    def by_name(self) -> dict[str, dict[str, Any]]:
        """Jobs that a launcher made; none where no cluster answers, which is said on stderr."""
        if not self._place.has_cluster:
            return {}
        from launcher.backends.kubernetes.observe import jobs

        try:
            return {str(job["metadata"]["name"]): job for job in jobs(self._place.connect())}
        except (ClusterUnreachable, Forbidden) as error:
            sys.stderr.write(f"note: the table is of the files alone: {error}\n")
            return {}

    @property
    def roots(self) -> list[str]:
        """Roots of the runs that the Jobs are of."""
        return sorted({path.root for path in map(run_of, self.by_name.values()) if path})


def _status(path: RunPath, place: Place, jobs: _Jobs) -> RunStatus:
    """A run whose files are damaged must not hide the others."""
    found = Found(path, open_store(path.url))
    try:
        return backend_of(found, place).listed(found, lambda: jobs.by_name)
    except GantryError as error:
        return assemble(found, Files({}, None), State(UNKNOWN, str(error)), attempt=None, backend=None)
