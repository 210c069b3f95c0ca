"""Finding a run by its name in a root."""

import difflib
from typing import NamedTuple

from launcher.errors import NoSuchRun, SpecError
from trainer import layout
from trainer.layout import RunPath
from trainer.storage import Store, open_store

_MARKS = (
    layout.RUN,
    layout.LOCAL,
    layout.CLUSTER,
    layout.STATUS,
)  # a folder that holds one of these is a run


class Found(NamedTuple):
    """A run and the store that holds its files."""

    path: RunPath
    store: Store


def all_runs(root: str) -> list[RunPath]:
    """Every run below a root, by experiment and name; none when there is no such folder."""
    store = open_store(root)
    return [
        RunPath(root, experiment, name)
        for experiment in store.folders()
        for name in store.folders(f"{experiment}/")
        if _is_run(store, experiment, name)
    ]


def _is_run(store: Store, experiment: str, name: str) -> bool:
    return any(store.stat(f"{experiment}/{name}/{mark}") for mark in _MARKS)


def find_run(root: str, run: str) -> Found:
    """The run called `run`, which is a name that is unique below the root, or ``experiment/name``.

    Raises:
        NoSuchRun: there is none; the text names the nearest ones.
        UserError: the name is in several experiments, or is no name that a run could have.
    """
    experiment, _, name = run.rpartition("/")
    layout.run_path(root, experiment or "gan", name)
    store = open_store(root)
    # Asked for by name: a bucket of 10,000 runs is not listed to find one.
    groups = [experiment] if experiment else list(store.folders())
    found = [RunPath(root, group, name) for group in groups if _is_run(store, group, name)]
    if not found:
        raise NoSuchRun(f"no run '{run}' in root {root}{_nearest(run, all_runs(root))}")
    if len(found) > 1:
        choices = ", ".join(f"{path.experiment}/{path.name}" for path in found)
        raise SpecError(
            f"run is '{run}': expected experiment/name, because several have that name: {choices}"
        )
    return Found(found[0], open_store(found[0].url))


def _nearest(run: str, runs: list[RunPath]) -> str:
    if not runs:
        return ", which holds no runs"
    names = {path.name: path.name for path in runs}
    names |= {f"{path.experiment}/{path.name}": f"{path.experiment}/{path.name}" for path in runs}
    near = difflib.get_close_matches(run, names, n=3, cutoff=0.4)
    return (
        f"; the nearest are {', '.join(near)}"
        if near
        else f"; `launcher list --root {runs[0].root}` shows all"
    )
