"""What each of several runs was and came to. Their folders tell all of it, so no cluster is asked."""

import statistics
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from launcher import backends
from launcher.errors import SpecError
from launcher.looking.compare.differences import Difference, differing, traits
from launcher.looking.compare.judged import Ranking, origin, rank
from launcher.looking.curves import Curves, Figure, figures, read_curves
from launcher.records.run_folder import Found
from launcher.records.status import read_files
from launcher.runs.find import Place, backend_of, find
from launcher.runs.sorting import FIGURES
from trainer.errors import GantryError
from trainer.metrics import HEADLINES, RATE, TIMED
from trainer.run import evaluations
from trainer.run.evaluations import Entry, provenance
from trainer.run.layout import RunPath

_READERS = 8  # runs at once


@dataclass(frozen=True)
class Compared:
    """One of the runs."""

    label: str
    """The shortest of name, ``experiment/name`` and address that no other of the runs has."""
    experiment: str
    run: str
    root: str
    state: str
    step: int
    """Of the newest line of metrics."""
    images: int
    """Seen by then."""
    images_per_second: float | None
    """The median of all lines: a start or a pause does not move it."""
    metrics: dict[str, Figure]
    """The figures of every metric the run has."""


@dataclass(frozen=True)
class Comparison:
    """Several runs."""

    runs: list[Compared]
    metrics: list[str]
    """What is compared."""
    differences: list[Difference]
    """Their values are in the order of `runs`."""
    curves: list[Curves]
    ranking: Ranking | None = None
    """By a figure of their images; None where no run was judged."""


def compare(where: Place, names: Sequence[str], metrics: Sequence[str] = ()) -> Comparison:
    """Runs beside one another.

    Args:
        where: the place for names that are no addresses.
        names: at least two of ``name``, ``experiment/name`` or a whole address,
            ``gs://bucket/prefix/experiment/name``.
        metrics: what to compare; the losses when empty.

    Raises:
        SpecError: there are fewer than two, one twice, one without metrics or without one of `metrics`, or
            one of these is a figure of samples that was not measured alike in all.
        NoSuchRun: there is none of a name.
    """
    if len(names) < 2:
        given = f"'{names[0]}' alone" if names else "none"
        raise SpecError(f"runs to compare are {given}: expected at least two")
    with ThreadPoolExecutor(_READERS, thread_name_prefix="runs") as readers:
        found = list(readers.map(lambda name: _find(where, name), names))
        _check_twice([each.path for each in found])
        read = list(readers.map(_read, found))
    for each in read:
        _check_lines(each)
    wanted = list(dict.fromkeys(metrics)) or _usual(read)
    for each in read:
        for key in wanted:
            _check_metric(each, key)
    if figure := next((key for key in wanted if key in FIGURES), None):
        _check_alike(figure, read)
    labels = _labels([each.compared for each in read])
    runs = [replace(each.compared, label=label) for each, label in zip(read, labels, strict=True)]
    return Comparison(
        runs,
        wanted,
        differing([each.traits for each in read]),
        [each.curves for each in read],
        rank({run.label: each.judged for run, each in zip(runs, read, strict=True)}),
    )


class _Read(NamedTuple):
    """What one run's folder says."""

    compared: Compared
    traits: dict[str, Any]
    curves: Curves
    judged: list[Entry]


def _find(where: Place, name: str) -> Found:
    """A run by its name, or by its whole address: what is before the last two parts is a root."""
    root, _, rest = name.rstrip("/").rpartition("/")
    root, _, experiment = root.rpartition("/")
    if root or name.startswith("/"):
        return find(replace(where, root=root or "/"), f"{experiment}/{rest}")
    return find(where, name)


def _check_twice(paths: Sequence[RunPath]) -> None:
    for path, count in Counter(path.url for path in paths).items():
        if count > 1:
            raise SpecError(f"run {path} is given {count} times: expected different runs")


def _read(found: Found) -> _Read:
    path, files = found.path, read_files(found.store)
    try:
        backend = backend_of(found, ask=False)
        asked = backend.asked(found) or {}
    except GantryError:  # where it was submitted to is not what is compared
        backend, asked = backends.rest().unrecorded(), {}
    curves = read_curves(found.store)
    image = asked.get("image") or files.run.get("image")
    workers = asked.get("workers") or files.run.get("world_size")
    speeds = curves.points(RATE).y
    compared = Compared(
        label=path.name,
        experiment=path.experiment,
        run=path.name,
        root=path.root,
        state=backend.by_files(found, files).name,
        step=curves.steps[-1] if curves else 0,
        images=curves.images[-1] if curves else 0,
        images_per_second=statistics.median(speeds) if speeds else None,
        metrics=figures(curves),
    )
    return _Read(compared, traits(files.run, workers, image), curves, [*evaluations.every(found.store)])


def _check_lines(read: _Read) -> None:
    if read.curves:
        return
    torn = f", as its lines are damaged ({read.curves.damaged[0]})" if read.curves.damaged else ""
    raise SpecError(
        f"run '{_name(read)}' has no metrics to compare{torn}: expected a run that has trained for "
        "metrics.every_steps steps at least"
    )


def _usual(all_read: Sequence[_Read]) -> list[str]:
    """The losses; of runs that have others, the first metric that all of them have."""
    first, *others = ({key for key in read.curves.values if key not in TIMED} for read in all_read)
    shared = first.intersection(*others)
    if not shared:
        names = ", ".join(_name(read) for read in all_read)
        raise SpecError(f"runs {names} have no metric in common: expected runs of one kind")
    return [key for key in HEADLINES if key in shared] or sorted(shared)[:1]


def _check_metric(read: _Read, key: str) -> None:
    figures_of = read.compared.metrics
    if key not in figures_of or figures_of[key].last is None:
        has = ", ".join(each for each, figure in figures_of.items() if figure.last is not None)
        raise SpecError(f"--metric {key}: run '{_name(read)}' has none; it has {has}")


def _check_alike(key: str, all_read: Sequence[_Read]) -> None:
    """Refuse figures of samples that were measured otherwise in one run's training than in another's.

    Raises:
        SpecError: with what theirs were measured by.
    """
    made = [[entry for entry in read.judged if entry.get("made") == "training"] for read in all_read]
    kinds = {provenance(entry) for entries in made for entry in entries}
    if len(kinds) <= 1:
        return
    told = [
        f"{_name(read)} has {origin(each[-1])}" for read, each in zip(all_read, made, strict=True) if each
    ]
    raise SpecError(
        f"--metric {key}: figures that were measured otherwise are not compared: {' and '.join(told)}"
    )


def _name(read: _Read) -> str:
    return f"{read.compared.experiment}/{read.compared.run}"


def _labels(runs: Sequence[Compared]) -> list[str]:
    for name in (
        lambda run: run.run,
        lambda run: f"{run.experiment}/{run.run}",
    ):
        labels = [str(name(run)) for run in runs]
        if len(set(labels)) == len(labels):
            return labels
    return [RunPath(run.root, run.experiment, run.run).url for run in runs]
