"""Finding a run by its name in a root."""

import difflib
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Any, NamedTuple

from launcher.errors import NoSuchRun, SpecError
from trainer.run import index, layout
from trainer.run.layout import RunPath
from trainer.storage import Inside, Store, open_store

MARKS = (
    layout.RUN,
    layout.LOCAL,
    layout.CLUSTER,
    layout.STATUS,
)
"""A folder that holds one of these is a run."""
_CANDIDATES = 20  # of those whose index says when they were begun, by clocks that may differ
AT_ONCE = 8  # requests of one listing; the storage client keeps ten connections


class Found(NamedTuple):
    """A run and the store that holds its files."""

    path: RunPath
    store: Store
    job: dict[str, Any] | None = None
    """Its newest Job, where the cluster had to be asked to find the run."""


def experiments(store: Store) -> list[str]:
    """Folders of a root that may be experiments: what no run can be called is somebody else's."""
    return [name for name in store.folders() if layout.LABEL.fullmatch(name)]


def all_names(root: str) -> list[RunPath]:
    """What lies where runs lie below a root, by experiment and name: one listing for each experiment."""
    store = open_store(root)
    groups = experiments(store)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        names = pool.map(lambda group: list(store.folders(f"{group}/")), groups)
        pairs = zip(groups, names, strict=True)
        return [RunPath(root, group, name) for group, found in pairs for name in found]


def is_run(store: Store) -> bool:
    """Whether a folder is a run's."""
    return any(store.stat(mark) for mark in MARKS)


def find_run(root: str, run: str) -> Found:
    """The run called `run`, which is a name that is unique below the root, or ``experiment/name``.

    ``latest`` and ``experiment/latest`` are the run that was begun last.

    Raises:
        NoSuchRun: there is none; the text names the nearest ones.
        UserError: the name is in several experiments, or is no name that a run could have.
    """
    experiment, _, name = run.rpartition("/")
    layout.run_path(root, experiment or "gan", name)
    store = open_store(root)
    # Asked for by name: a bucket of 10,000 runs is not listed to find one.
    groups = [experiment] if experiment else experiments(store)
    found = [RunPath(root, group, name) for group in groups if is_run(Inside(store, f"{group}/{name}"))]
    if not found and name == layout.LATEST:
        found = _latest(root, store, groups)
    if not found:
        raise NoSuchRun(f"no run '{run}' in root {root}{_nearest(run, root)}")
    if len(found) > 1:
        choices = ", ".join(f"{path.experiment}/{path.name}" for path in found)
        raise SpecError(
            f"run is '{run}': expected experiment/name, because several have that name: {choices}"
        )
    return Found(found[0], open_store(found[0].url))


def _latest(root: str, store: Store, groups: list[str]) -> list[RunPath]:
    """The run that was begun last, by the dates that the store gave the runs' records; empty without runs."""
    paths: list[RunPath] = []
    for group in groups:
        known, names = index.read(Inside(store, group)), set(store.folders(f"{group}/"))
        # The index dates by its chiefs' clocks: good enough to leave out what is old.
        dated = sorted((known[name].created or "~", name) for name in names & known.keys())
        chosen = [*(name for _, name in dated[-_CANDIDATES:]), *(names - known.keys())]
        paths += [RunPath(root, group, name) for name in chosen]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        dates = pool.map(lambda path: _begun(Inside(store, f"{path.experiment}/{path.name}")), paths)
        begun = [(date, path) for date, path in zip(dates, paths, strict=True) if date is not None]
    return [max(begun)[1]] if begun else []


def _begun(store: Store) -> datetime | None:
    """When a run was begun by the store's clock: its record is written once, before all else."""
    found = (store.stat(mark) for mark in MARKS)
    return next((stat.updated for stat in found if stat), None)


def _nearest(run: str, root: str) -> str:
    """The runs whose names are like a wrong one: names first, and only of the near ones whether they are."""
    paths = all_names(root)
    names = {path.name: path for path in paths}
    names |= {f"{path.experiment}/{path.name}": path for path in paths}
    near = difflib.get_close_matches(run, names, n=3, cutoff=0.4)
    near = [name for name in near if is_run(open_store(names[name].url))]
    if near:
        return f"; the nearest are {', '.join(near)}"
    if any(is_run(open_store(path.url)) for path in paths[:AT_ONCE]):
        return f"; `launcher list --root {root}` shows all"
    return ", which holds no runs"


def is_claimed(run: Mapping[str, Any]) -> bool:
    """Whether a ``run.json`` is a launcher's, and no trainer has begun the run."""
    versions = run.get("versions")
    return isinstance(versions, dict) and "launcher" in versions and "python" not in versions
