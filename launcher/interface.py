"""The launcher for scripts and notebooks: every name here is exported by `launcher` itself (docs/python.md).

A run is what `submit` returned, an entry of `list_runs`, or its name, ``experiment/name`` or ``latest``. A
name is looked for in a place: a root, or a `Place` where the cluster has to be said too; None looks in the
folder ``runs`` here and then asks the cluster of the current context. Settings' files and GANTRY_ROOT are the
command line's alone: a script says what it means.

Nothing is printed and nothing ends the process: a mistake raises a `UserError`, anything else that goes wrong
a `GantryError`. Notes go to the logger ``launcher``.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from launcher.artifacts import Artifact, Download
from launcher.backends.base import LogChoice, Update
from launcher.errors import FieldError, NoSuchRun, RunAlive, RunExists
from launcher.looking.curves import Curves, read_curves
from launcher.looking.show import Shown
from launcher.looking.show import show as show_run
from launcher.notes import say
from launcher.records.follow import LogLine
from launcher.records.status import RunStatus, WorkerStatus
from launcher.runs import verbs
from launcher.runs.data_survey import data_lines
from launcher.runs.find import Place, find, locate
from launcher.runs.verbs import Deleted
from launcher.spec.runspec import RunSpec
from trainer.errors import GantryError, UserError
from trainer.run.layout import RunPath

__all__ = [
    "Artifact",
    "Curves",
    "Deleted",
    "Download",
    "FieldError",
    "GantryError",
    "LogLine",
    "NoSuchRun",
    "Place",
    "RunAlive",
    "RunExists",
    "RunPath",
    "RunSpec",
    "RunStatus",
    "Shown",
    "Update",
    "UserError",
    "WorkerStatus",
    "cancel",
    "delete",
    "download",
    "evaluate",
    "follow",
    "list_artifacts",
    "list_runs",
    "logs",
    "metrics",
    "resume",
    "show",
    "status",
    "submit",
    "wait",
]

Run = RunPath | RunStatus | str
Where = Place | Path | str | None

_OWN = ("preset", "overrides", "name", "root", "experiment")  # of `RunSpec`: one for all attempts


def submit(spec: RunSpec) -> RunPath:
    """Start a new run and return long before it trains; it goes on when the script ends.

    Raises:
        RunExists, RunAlive: the name is taken.
        UserError: something that the run needs is missing or refuses; nothing is left behind.
    """
    said = data_lines(spec)  # a mistake in the data is refused before there is a process
    return verbs.submit(spec, ready=lambda: say("\n".join(said)) if said else None).path


def resume(
    run: Run,
    overrides: Iterable[str] = (),
    *,
    place: Where = None,
    abandon: bool = False,
    accept_changed_data: bool = False,
    **changes: Any,
) -> RunPath:
    """Start the next attempt of a run that has ended, from its newest complete checkpoint.

    Args:
        run: the run.
        overrides: ``key=value`` pairs: a higher ``steps``, and what `recovery` holds.
        place: where a name is looked for.
        abandon: do not ask the cluster where the run was, when `changes` name another.
        accept_changed_data: go on with data that is not what the run began with.
        changes: other fields of `RunSpec` for this attempt, such as `workers`.

    Raises:
        NoSuchRun: there is none of that name.
        RunAlive: an attempt is under way.
        UserError: a change that would make it another run, or it is finished.
    """
    _check_fields(changes)
    started = verbs.resume(
        *_at(run, place),
        _several(overrides),
        abandon=abandon,
        accept_changed_data=accept_changed_data,
        **changes,
    )
    return started.path


def status(run: Run, *, place: Where = None) -> RunStatus:
    """Where a run stands.

    Raises:
        NoSuchRun: there is none of that name.
    """
    return verbs.status(*_at(run, place))


def wait(run: Run, seconds: float | None = None, *, place: Where = None) -> RunStatus:
    """How a run ended, as soon as it has; after `seconds`, where it stands then, which `over` tells apart.

    Raises:
        NoSuchRun: there is none of that name.
    """
    where = _at(run, place)
    return verbs.wait(*where, seconds) or verbs.status(*where)


def follow(
    run: Run, *, place: Where = None, worker: int | None = None, tail: int | None = None
) -> Iterator[Update]:
    """What a run's newest attempt writes until it ends: new lines of its logs, and where it stands by then.

    Updates come every so often, also without a line. `worker` chooses one, and `tail` leaves out all but so
    many of the lines that each has written already.

    Raises:
        NoSuchRun: there is none of that name.
    """
    return verbs.follow(*_at(run, place), LogChoice(worker=worker, tail=tail))


def logs(
    run: Run,
    *,
    place: Where = None,
    worker: int | None = None,
    tail: int | None = None,
    attempt: int | None = None,
) -> list[LogLine]:
    """Lines of a run's logs so far, worker by worker; of its newest attempt unless one is named.

    Raises:
        NoSuchRun: there is none of that name.
        UserError: the run has no such attempt or worker.
    """
    return verbs.logs(*_at(run, place), LogChoice(worker=worker, tail=tail, attempt=attempt))


def cancel(run: Run, *, place: Where = None, kill: bool = False) -> RunStatus:
    """Have a run's workers save and stop, and wait until they are gone; with `kill` they do not save.

    A run that has ended stays as it is.

    Raises:
        NoSuchRun: there is none of that name.
        UserError: its workers are not to be reached from here.
        GantryError: it did not end in time.
    """
    return verbs.cancel(*_at(run, place), kill=kill)


def delete(run: Run, *, place: Where = None, artifacts: bool = False, force: bool = False) -> Deleted:
    """Remove what the cluster keeps of a run that has ended and, with `artifacts`, its files for good.

    With `force` one that has not ended is cancelled first.

    Raises:
        NoSuchRun: there is none of that name.
        RunAlive: it has not ended.
    """
    return verbs.delete(*_at(run, place), artifacts=artifacts, force=force)


def list_runs(place: Where = None, *, experiment: str | None = None) -> list[RunStatus]:
    """Where every run of a place stands, or of one experiment, the newest word last; without checkpoints.

    Raises:
        UserError: the experiment is no name of one, or the bucket refuses.
    """
    return verbs.list_runs(_place(place), experiment)


def metrics(run: Run, *, place: Where = None) -> Curves:
    """A run's figures as columns of one length: `steps`, `images` and `values`; empty before the first.

    Raises:
        NoSuchRun: there is none of that name.
    """
    return read_curves(find(*_at(run, place)).store)


def show(run: Run, *, place: Where = None) -> Shown:
    """Everything about one run: settings, attempts, checkpoints, grids, sizes and what is damaged.

    Raises:
        NoSuchRun: there is none of that name.
    """
    return show_run(*_at(run, place))


def evaluate(
    run: Run,
    step: int | str = "newest",
    *,
    place: Where = None,
    samples: int = 10_000,
    last_weights: bool = False,
    reference: str | None = None,
    held_out: str | None = None,
    metrics: Iterable[str] = (),
    features: str | None = None,
    draws: int = 3,
    again: bool = False,
    on: str | None = None,
    **pod: Any,
) -> list[dict[str, Any]]:
    """Judge a run's images and wait for the figures, an entry for each checkpoint as ``evaluations/`` has it.

    ``entry["metrics"]["fd"]["value"]`` is a figure; its name, count, floor and reference lie beside it.

    Args:
        run: the run, which may train meanwhile.
        step: a checkpoint's, or ``newest``, ``best`` or ``all``, oldest first.
        place: where a name is looked for.
        samples: images to draw.
        last_weights: judge the last weights, where the run keeps their average too.
        reference: images to compare with; those that the run trains on when None.
        held_out: images of the same kind that the run never saw; those that it holds out when None.
        metrics: figures such as ``fd`` and ``kid``; those that go with the features when empty.
        features: the network in whose features they are; the one that fits when None.
        draws: how often as many images are drawn, for an interval.
        again: of all steps, judge those too that were judged in the same way before.
        on: ``here`` for a process of this machine, ``cluster`` for a Job of its own; by default where the
            run's workers are.
        pod: fields of `RunSpec` for that Job's pod, such as `gpus`, `memory` and `image`.

    Raises:
        NoSuchRun: there is none of that name.
        NotInstalled: it is judged here and TensorFlow is not there.
        UserError: there is no such checkpoint, or nothing can judge such images.
        GantryError: it failed.
    """
    from launcher.runs import evaluating

    _check_fields(pod)
    wanted = evaluating.Wanted(
        str(step), samples, last_weights, reference, held_out, again, _several(metrics), features,
        draws=draws,
    )  # fmt: skip
    where, name = _at(run, place)
    found, backend = locate(where, name)
    given = {"context": where.context, "namespace": where.namespace, **pod}
    return [dict(entry) for entry in evaluating.judge(found, backend, wanted, on, given)]


def list_artifacts(run: Run, only: Iterable[str] = (), *, place: Where = None) -> list[Artifact]:
    """Files of a run, all or those of some kinds (``samples``, ``export``, ``run.json`` and so on).

    Raises:
        NoSuchRun: there is none of that name.
        UserError: the run has nothing of a kind.
    """
    return verbs.list_artifacts(*_at(run, place), _several(only))


def download(
    run: Run,
    to: Path | str,
    only: Iterable[str] = (),
    *,
    place: Where = None,
    step: int | None = None,
    latest: bool = False,
) -> Download:
    """Copy a run's files into a folder, but for those that are there already; what was cut off is resumed.

    Args:
        run: the run.
        to: folder to copy into; made if absent.
        only: kinds of files to take (``samples``, ``export``, ``run.json``); all when empty.
        place: where a name is looked for.
        step: take the checkpoint and the grid of this step alone.
        latest: take the newest complete checkpoint and grid, export, metrics, run.json and result.json alone.

    Raises:
        NoSuchRun: there is none of that name.
        UserError: `to` is no folder, or the run has nothing of a kind or of the step.
    """
    return verbs.download_artifacts(*_at(run, place), Path(to), _several(only), step=step, latest=latest)


def _at(run: Run, place: Where) -> tuple[Place, str]:
    """Where a run is looked for, and by what name: one that was given as more than a name knows its root.

    Raises:
        UserError: it is nothing that says a run.
    """
    if isinstance(run, str):
        return _place(place), run
    if not isinstance(run, RunPath | RunStatus):
        raise UserError(f"run is {run!r}: expected a name, what submit returned or an entry of list_runs")
    name = run.name if isinstance(run, RunPath) else run.run
    cluster = place if isinstance(place, Place) else Place()
    return Place(run.root, cluster.context, cluster.namespace), f"{run.experiment}/{name}"


def _place(place: Where) -> Place:
    return place if isinstance(place, Place) else Place(None if place is None else str(place))


def _several(words: Iterable[str]) -> tuple[str, ...]:
    """One word is a list of one, and not of its letters."""
    return (words,) if isinstance(words, str) else tuple(words)


def _check_fields(changes: Iterable[str]) -> None:
    """Refuse what is no field of a run, and what makes it this run and no other.

    Raises:
        FieldError: with the fields that there are.
    """
    free = [field for field in RunSpec.model_fields if field not in _OWN]
    for field in changes:
        if field not in free:
            raise FieldError(
                field, f"{field}: expected a field that an attempt may change: {', '.join(free)}"
            )
