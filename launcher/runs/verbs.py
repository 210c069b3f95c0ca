"""The launcher's verbs as functions: each takes a place and a run's name and returns data.

The command line is one caller of these; `launcher.interface`, for scripts and notebooks, another.

A place is a `Place`, or the text of a root where the rest may be found out.
"""

import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from launcher import backends
from launcher.artifacts import Artifact, Download, delete_files, download_files, list_files
from launcher.backends.base import Backend, LogChoice, Options, Started, Update, WorkerCommand
from launcher.backends.outcome import REGARDLESS, Outcome, way_on
from launcher.errors import RunAlive, SpecError
from launcher.records.follow import LogLine
from launcher.records.states import COLLAPSED, FINISHED, UNKNOWN
from launcher.records.status import RunStatus
from launcher.runs.find import Place, locate
from launcher.runs.resuming import resumed_spec
from launcher.runs.table import list_runs, reindex
from launcher.runs.warm_start import check_warm_start
from launcher.spec.kinds import kind
from launcher.spec.next_commands import command_line
from launcher.spec.runspec import RunSpec
from trainer.errors import GantryError
from trainer.run import index
from trainer.run.layout import RunPath
from trainer.storage import open_store

__all__ = [
    "Deleted",
    "LogChoice",
    "Outcome",
    "Place",
    "Update",
    "cancel",
    "delete",
    "download_artifacts",
    "dry_run",
    "finish",
    "follow",
    "list_artifacts",
    "list_runs",
    "locate",
    "logs",
    "reindex",
    "request_stop",
    "resume",
    "status",
    "submit",
    "wait",
    "watch",
    "way_on",
]


class Deleted(NamedTuple):
    """What a `delete` removed."""

    objects: list[str]
    """Objects of the cluster, as ``Kind/name``."""
    files: int
    bytes: int
    where: str
    """The namespace and context that the objects were removed from, empty for a run of this machine."""
    folder: str
    """Where its files are, or were."""


def submit(
    spec: RunSpec,
    command: WorkerCommand | None = None,
    grace_seconds: float | None = None,
    ready: Callable[[], object] = lambda: None,
) -> Started:
    """Start a new run and return long before it trains; `command` and `grace_seconds` are `Options`.

    `ready` is called when nothing is known that would refuse it, just before it is written and sent.

    Raises:
        RunExists, RunAlive: the name is taken.
        UserError: something that the run needs is missing or refuses; nothing is left behind.
    """
    check_warm_start(spec)
    return backends.named(spec.backend).submit(spec, ready, Options(command, grace_seconds))


def dry_run(spec: RunSpec) -> list[dict[str, Any]]:
    """Let the API server judge a run's manifests without keeping them; these are returned.

    Raises:
        UserError: it refuses one, or the run's backend has none.
    """
    return backends.named(spec.backend).dry_run(spec)


def resume(
    where: Place | str,
    run: str,
    overrides: Iterable[str] = (),
    command: WorkerCommand | None = None,
    grace_seconds: float | None = None,
    abandon: bool = False,
    **changes: Any,
) -> Started:
    """Start the next attempt of a run, which goes on from its newest complete checkpoint.

    `changes` are fields of `RunSpec` that the attempt has otherwise; those that are None stay as they were,
    but for a grace that is too short for the run's checkpoints. With `abandon` the cluster where the run was
    is not asked whether it has ended there, when another one is named. `accept_changed_data` lets this
    attempt alone go on with data that is not what the run began with.

    Raises:
        NoSuchRun: there is none of that name.
        RunAlive: an attempt is under way.
        UserError: a value other than a higher `steps`, `recovery` and `health` would change, the run is
            finished, or it has collapsed and nothing of `health` is changed.
    """
    overrides = tuple(overrides)
    found, backend = locate(where, run)
    if "grace_seconds" not in beside_spec(backend):
        changes["grace_seconds"] = grace_seconds
    backend.check_idle(found, abandon=abandon)
    now = backend.status(found)
    spec = resumed_spec(found, overrides, **changes)
    if now.state == FINISHED and spec.config().steps <= (now.step or 0):
        more = command_line("resume", found.path, "--set", f"steps={2 * (now.step or 1)}")
        raise SpecError(f"run '{run}' is finished at step {now.step}: to train it further, say `{more}`")
    if now.state == COLLAPSED and not _changes_health(overrides):
        raise SpecError(_collapsed(found.path, now))
    return backend.resume(found, spec, Options(command, grace_seconds))


def _changes_health(overrides: Iterable[str]) -> bool:
    return any(override.startswith("health.") for override in overrides)


def _collapsed(path: RunPath, now: RunStatus) -> str:
    """What a resume of a collapsed run as it is would come to."""
    regardless = command_line("resume", path, *REGARDLESS)
    return (
        f"run '{path.name}' has collapsed at step {now.step}, and would stop there again at once: "
        f"{now.health or now.explanation}; to go on regardless, say `{regardless}`"
    )


def beside_spec(backend: Backend) -> set[str]:
    """What a resume takes that is no field of the run's specification where it runs, but one of `Options`."""
    return {"grace_seconds"} & {*kind(backend.name).lacks(RunSpec.model_fields)}


def status(where: Place | str, run: str) -> RunStatus:
    """Where a run stands.

    Raises:
        NoSuchRun: there is none of that name.
    """
    found, backend = locate(where, run)
    return backend.status(found)


def watch(where: Place | str, run: str, seconds: float = 2.0) -> Iterator[RunStatus]:
    """Where a run stands, every so many seconds until it has ended.

    Raises:
        NoSuchRun: there is none of that name.
    """
    found, backend = locate(where, run)
    while True:
        now = backend.status(found)
        yield now
        if now.over:
            return
        time.sleep(seconds)


def logs(
    where: Place | str, run: str, choice: LogChoice | None = None, **chosen: int | None
) -> list[LogLine]:
    """Lines of a run's logs so far, worker by worker; `chosen` are fields of a `LogChoice`.

    Raises:
        NoSuchRun: there is none of that name.
        SpecError: the run has no such attempt or worker.
    """
    found, backend = locate(where, run)
    return backend.logs(found, choice or LogChoice(**chosen))


def follow(where: Place | str, run: str, choice: LogChoice | None = None) -> Iterator[Update]:
    """What a run's newest attempt writes, from its beginning to its end; updates may hold no line.

    Raises:
        NoSuchRun: there is none of that name.
    """
    found, backend = locate(where, run)
    return backend.follow(found, choice or LogChoice())


def wait(where: Place | str, run: str, seconds: float | None = None) -> RunStatus | None:
    """How a run ended, as soon as it has; None when it has not after `seconds`.

    Raises:
        NoSuchRun: there is none of that name.
    """
    found, backend = locate(where, run)
    return backend.wait(found, seconds)


def request_stop(where: Place | str, run: str, *, kill: bool = False) -> bool:
    """Ask a run's workers to save and stop, or kill them, and return at once; False when none is alive."""
    found, backend = locate(where, run)
    return backend.request_stop(found, kill=kill)


def cancel(where: Place | str, run: str, *, kill: bool = False) -> RunStatus:
    """Ask a run's workers to save and stop and wait until they are gone; a run that has ended stays as it is.

    Raises:
        NoSuchRun: there is none of that name.
        Unsupported: its workers are not to be reached from here.
        GantryError: it did not end in time, or nothing of it was found that could be stopped.
    """
    found, backend = locate(where, run)
    now = backend.cancel(found, kill=kill)
    if now.state == UNKNOWN:
        raise GantryError(f"run '{now.run}' is {now.state}, and nothing of it was stopped: {now.explanation}")
    return now


def delete(where: Place | str, run: str, *, artifacts: bool = False, force: bool = False) -> Deleted:
    """Remove what is left of a run that has ended: its objects and, with `artifacts`, its files for good.

    One that has not ended is refused; with `force` it is cancelled first.

    Raises:
        NoSuchRun: there is none of that name.
        RunAlive: it has not ended.
        UserError: its cluster cannot be asked; nothing was removed.
    """
    found, backend = locate(where, run)
    now = backend.status(found)
    if not now.over and force:
        now = cancel(where, run)
    if not now.over:
        force_it = command_line("delete", found.path, *(["--artifacts"] if artifacts else []), "--force")
        raise RunAlive(
            f"run '{now.run}' is {now.state}: stop it with `{command_line('cancel', found.path)}` first, or "
            f"cancel and remove it with `{force_it}`"
        )
    with backend.held(found):
        objects = backend.delete(found)
        if not artifacts:
            return Deleted(objects, 0, 0, backend.where(found), found.path.url)
        removed = delete_files(found.store)
        # Last: what is cut off here leaves an entry without a folder, which a list leaves out.
        index.remove(open_store(f"{found.path.root.rstrip('/')}/{found.path.experiment}"), found.path.name)
    return Deleted(objects, *removed, backend.where(found), found.path.url)


def finish(started: Started) -> Outcome:
    """How an attempt that is over ended; a run that the trainer refused leaves nothing on this machine."""
    return backends.named(started.backend).finish(started)


def list_artifacts(where: Place | str, run: str, only: Iterable[str] = ()) -> list[Artifact]:
    """Files of a run, all or those of some kinds (``samples``, ``export``, ``run.json`` and so on).

    Raises:
        NoSuchRun: there is none of that name.
        SpecError: the run has nothing of a kind.
    """
    return list_files(locate(where, run).found.store, only)


def download_artifacts(
    where: Place | str, run: str, to: Path, only: Iterable[str] = (), **options: Any
) -> Download:
    """Copy a run's files into a folder, leaving out those that are there already; see `download_files`.

    Raises:
        NoSuchRun: there is none of that name.
        UserError: `to` is no folder, or the run has nothing of a kind.
    """
    return download_files(locate(where, run).found.store, to, only, **options)
