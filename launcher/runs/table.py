"""All runs in one table: those of a root, and those whose Jobs the cluster still has.

Made for thousands of runs. One request brings the Jobs of a namespace. Each experiment costs its index and
one listing of its folders; a run that has ended is an entry of the index and costs nothing more. What the
index does not settle is asked of the run's own folder, several at once: one small object of a run that is
under way, a few more of one that the index lacks.
"""

import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

from launcher.errors import SpecError
from launcher.notes import note
from launcher.records.run_folder import AT_ONCE, Found, experiments, is_run
from launcher.records.status import RunStatus
from launcher.runs.find import Place
from launcher.runs.summary import Overviews, look, overviews, standing
from launcher.spec.next_commands import DEFAULT_ROOT
from trainer.errors import GantryError
from trainer.run import index, layout
from trainer.run.index import Entry
from trainer.run.layout import RunPath
from trainer.storage import Inside, LocalStore, Store, open_store

_MANY = 50  # runs that an index lacks before somebody should be told how it is mended


class Indexed(NamedTuple):
    """An experiment whose index was written anew."""

    experiment: str
    root: str
    runs: int


def list_runs(where: Place | str, experiment: str | None = None, everywhere: bool = False) -> list[RunStatus]:
    """Where every run of a place stands, or of one experiment, the newest word last.

    A root that was named is listed whole; otherwise the folder ``runs`` and every root that a Job names, with
    `everywhere` a Job of any namespace that the user may read. What would cost requests for each run is left
    out: checkpoints, pods, and of a run that has ended what only its own folder tells.

    Raises:
        UserError: the experiment is no name of one, or the bucket refuses.
    """
    place = where if isinstance(where, Place) else Place(root=where)
    known = overviews(place, everywhere)
    if place.root is not None:
        runs = _in_root(place.root, experiment, known)
    else:
        runs = _in_root(DEFAULT_ROOT, experiment, known)
        roots = (root for each in known for root in each.roots)
        others = dict.fromkeys(root for root in roots if root.rstrip("/") != DEFAULT_ROOT)
        runs += [run for root in others for run in _of_others(root, experiment, known)]
    return sorted(runs, key=lambda run: (run.updated or "", run.experiment, run.run))


def stand(paths: Iterable[RunPath], known: Overviews) -> list[RunStatus]:
    """Where some runs stand, in the same order, from their own folders and what their backends know.

    Raises:
        GantryError: a folder cannot be read.
    """
    stores: dict[str, Store] = {}
    found = [_found(stores.setdefault(path.root, open_store(path.root)), path) for path in paths]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        return list(pool.map(lambda each: look(each, None, known), found))


def reindex(where: Place | str, experiment: str | None = None) -> list[Indexed]:
    """Write the index of every experiment of a root anew, or of one, from the runs' own folders.

    Raises:
        UserError: there is no such experiment, or a newer Gantry wrote an index.
    """
    root = (where.root if isinstance(where, Place) else where) or DEFAULT_ROOT
    store = open_store(root)
    names = [name for name in _experiments(store, experiment) if _has_runs(Inside(store, name))]
    if experiment is not None and not names:
        there = ", ".join(experiments(store)) or "none"
        raise SpecError(f"--experiment {experiment}: has no runs in root {root}, whose folders are {there}")
    return [Indexed(name, root, len(index.rebuild(Inside(store, name), note))) for name in names]


def _has_runs(store: Store) -> bool:
    """Whether a folder is an experiment: what else lies in a bucket must not get an index."""
    return store.stat(layout.INDEX) is not None or any(
        is_run(Inside(store, name)) for name in store.folders()
    )


class _Survey(NamedTuple):
    """One experiment: what its index says, and which folders there are."""

    experiment: str
    entries: Mapping[str, Entry]
    names: Sequence[str]


def _in_root(root: str, experiment: str | None, known: Overviews) -> list[RunStatus]:
    store = open_store(root)
    every = [path for each in known for path in each.expected(root)]
    expected = [path for path in every if experiment in (None, path.experiment)]
    names = dict.fromkeys([*_experiments(store, experiment), *(path.experiment for path in expected)])
    with ThreadPoolExecutor(AT_ONCE) as pool:
        surveys = pool.map(lambda name: _survey(Inside(store, name), name, expected), names)
        each = [run for survey in surveys for run in _runs(store, root, survey)]
        found = pool.map(lambda run: standing(run[0], run[1], known), each)
        return [status for status in found if status is not None]


def _of_others(root: str, experiment: str | None, known: Overviews) -> list[RunStatus]:
    """Runs of a root that Jobs name, which may be somebody else's: then its Jobs alone tell."""
    try:
        return _in_root(root, experiment, known)
    except GantryError as error:
        note(f"the runs in {root} are told of by their Jobs alone: {error}")
    told = (each.alone(path) for each in known for path in each.runs(root))
    return [status for status in told if status and experiment in (None, status.experiment)]


def _experiments(store: Store, experiment: str | None) -> list[str]:
    if experiment is None:
        return experiments(store)
    layout.run_path("", experiment, "any")
    return [experiment]


def _reindexing(store: Store, experiment: str) -> str:
    root = store.url.removesuffix(f"/{experiment}")
    return shlex.join(["launcher", "reindex", "--experiment", experiment, "--root", root])


def _survey(store: Store, experiment: str, expected: Sequence[RunPath]) -> _Survey:
    """What is known of an experiment; a schedule's firing that waits for a node has no folder yet."""
    known = index.load(store)
    names = [name for name in store.folders() if layout.LABEL.fullmatch(name)]
    if known.note:
        note(f"{known.note}; `{_reindexing(store, experiment)}` mends it")
    elif "://" in store.url and (missing := len(set(names) - known.entries.keys())) > _MANY:
        how = f"`{_reindexing(store, experiment)}` writes it anew"
        note(f"{missing} runs are not in the index of {store.url} and are asked one by one; {how}")
    waiting = {path.name for path in expected if path.experiment == experiment} - set(names)
    return _Survey(experiment, known.entries, [*names, *sorted(waiting)])


def _runs(store: Store, root: str, survey: _Survey) -> Iterator[tuple[Found, Entry | None]]:
    """Every folder that may be a run; an entry without a folder is of a run that was removed."""
    for name in survey.names:
        yield _found(store, RunPath(root, survey.experiment, name)), survey.entries.get(name)


def _found(store: Store, path: RunPath) -> Found:
    """A run in the store of its root; a folder on a disk is opened for nothing."""
    inside = Inside(store, f"{path.experiment}/{path.name}")
    return Found(path, LocalStore(path.url) if isinstance(store, LocalStore) else inside)
