"""The launcher's verbs as functions: each takes a root and a run's name and returns data.

The command line is one caller of these; a script or a notebook is another::

    started = submit(make_spec("demo", workers=2))
    for update in follow(started.path):
        print(update.status.step)
    print(finish(started).text)
"""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from launcher.artifacts import Artifact, Download, Transfer, download_files, list_files
from launcher.backends import local
from launcher.backends.local import Started, WorkerCommand, trainer_command
from launcher.backends.record import read_record
from launcher.backends.state import FINISHED, UNKNOWN
from launcher.errors import SpecError, Unsupported
from launcher.follow import LogLine, LogReader, last_error, log_attempts, log_workers
from launcher.hints import command_line
from launcher.lookup import Found, all_runs, find_run
from launcher.resuming import resumed_spec
from launcher.spec import RunSpec
from launcher.status import RunStatus, read_status
from trainer import layout
from trainer.errors import EXIT_DONE, EXIT_FAILED, EXIT_RESTART, EXIT_USER, GantryError
from trainer.layout import RunPath
from trainer.storage import open_store

_POLL_SECONDS = 0.25
_CANCEL_MARGIN_SECONDS = 30.0  # beyond the grace of the workers


class Update(NamedTuple):
    """What is new of a run that is being followed."""

    lines: list[LogLine]
    status: RunStatus


@dataclass(frozen=True)
class Outcome:
    """How an attempt ended."""

    status: RunStatus
    exit_code: int
    """0 done, 2 the user's mistake, 42 resume me, 1 anything else."""
    text: str
    """One line for a person, with the command to type next."""


def submit(spec: RunSpec, command: WorkerCommand = trainer_command, grace_seconds: float = 60.0) -> Started:
    """Start a new run; returns when its supervisor has taken over, long before it trains.

    Raises:
        RunExists, RunAlive: the name is taken.
        UserError: the root or the workers' program cannot be used; nothing was written.
    """
    return local.start(spec, resuming=False, command=command, grace_seconds=grace_seconds)


def resume(
    root: str,
    run: str,
    overrides: Iterable[str] = (),
    workers: int | None = None,
    threads: int | None = None,
    command: WorkerCommand = trainer_command,
    grace_seconds: float = 60.0,
) -> Started:
    """Start the next attempt of a run, which goes on from its newest complete checkpoint.

    Raises:
        NoSuchRun: there is none of that name.
        RunAlive: an attempt is under way.
        UserError: a value other than a higher `steps` would change, or the run is finished.
    """
    found = find_run(root, run)
    local.check_root(root)
    local.check_idle(found.path)
    status = read_status(found)
    spec = resumed_spec(found, tuple(overrides), workers, threads)
    if status.state == FINISHED and spec.config().steps <= (status.step or 0):
        more = command_line("resume", found.path, "--set", f"steps={2 * (status.step or 1)}")
        raise SpecError(f"run '{run}' is finished at step {status.step}: to train it further, say `{more}`")
    return local.start(spec, resuming=True, command=command, grace_seconds=grace_seconds)


def status(root: str, run: str) -> RunStatus:
    """Where a run stands.

    Raises:
        NoSuchRun: there is none of that name.
    """
    return read_status(find_run(root, run))


def list_runs(root: str) -> list[RunStatus]:
    """Where every run below a root stands, the newest word last."""
    runs = [_status_or_unknown(path) for path in all_runs(root)]
    return sorted(runs, key=lambda run: (run.updated or "", run.experiment, run.run))


def _status_or_unknown(path: RunPath) -> RunStatus:
    """A run whose files are damaged must not hide the others."""
    try:
        return read_status(Found(path, open_store(path.url)))
    except GantryError as error:
        nothing = dict.fromkeys(
            ("step", "steps", "images_per_second", "eta_seconds", "updated", "age_seconds")
        )
        return RunStatus(
            path.experiment, path.name, path.root, UNKNOWN, str(error),
            **nothing, checkpoint_step=None, metrics={}, attempt=None, workers=[], preset=None,
        )  # fmt: skip


def logs(
    root: str, run: str, attempt: int | None = None, worker: int | None = None, tail: int | None = None
) -> list[LogLine]:
    """Lines of a run's logs so far, worker by worker; `tail` keeps that many last lines of each.

    Raises:
        NoSuchRun: there is none of that name.
        SpecError: the run has no such attempt or worker.
    """
    found = find_run(root, run)
    attempts = log_attempts(found.store)
    if attempt is not None and attempt not in attempts:
        raise SpecError(f"--attempt {attempt}: expected one of {_numbers(attempts)}")
    if not attempts:
        return []
    chosen = attempts[-1] if attempt is None else attempt
    workers = log_workers(found.store, chosen)
    if worker is not None and worker not in workers:
        raise SpecError(f"--worker {worker}: expected one of {_numbers(workers)}")
    lines: list[LogLine] = []
    for each in workers if worker is None else [worker]:
        written = LogReader(found.store, chosen, each).read(last=True)
        lines += written if tail is None else written[max(0, len(written) - tail) :]
    return lines


def _numbers(numbers: Sequence[int]) -> str:
    return ", ".join(map(str, numbers)) or "none, as nothing is logged yet"


def follow(path: RunPath, worker: int | None = None) -> Iterator[Update]:
    """What a run's newest attempt writes, from its beginning to its end; updates may hold no line."""
    found = Found(path, open_store(path.url))
    reader: LogReader | None = None
    while True:
        now = read_status(found)  # before the logs: nothing is written after a run was seen to be over
        if reader is None and (attempt := now.attempt or max(log_attempts(found.store), default=None)):
            reader = LogReader(found.store, attempt, worker)
        yield Update(reader.read(last=not now.live) if reader else [], now)
        if not now.live:
            return
        time.sleep(_POLL_SECONDS)


def request_stop(path: RunPath, *, kill: bool = False) -> bool:
    """Ask a run's workers to save and stop, or kill them, and return at once; False when none is alive."""
    return local.request_stop(path, kill=kill)


def cancel(root: str, run: str, *, kill: bool = False) -> RunStatus:
    """Ask a run's workers to save and stop and wait until they are gone; a run that has ended stays as it is.

    Raises:
        NoSuchRun: there is none of that name.
        Unsupported: its processes are not this machine's, this user's or this launcher's.
        GantryError: it did not end in time.
    """
    found = find_run(root, run)
    before = read_status(found)
    if not before.live:
        return before
    record = read_record(found.store)
    if not request_stop(found.path, kill=kill) and (record is None or record.supervisor is None):
        raise Unsupported(f"run '{run}' was not started by this launcher: stop its processes where they run")
    local.end_orphans(found.path)
    deadline = time.monotonic() + (record.grace_seconds if record else 0.0) + _CANCEL_MARGIN_SECONDS
    while (now := read_status(found)).live:
        if time.monotonic() > deadline:
            again = command_line("cancel", found.path, "--now")
            raise GantryError(f"run '{run}' has not ended after its grace; kill its workers with `{again}`")
        time.sleep(_POLL_SECONDS)
    return now


def finish(started: Started) -> Outcome:
    """How an attempt that is over ended; a run that the trainer refused leaves nothing behind."""
    path = started.path
    found = Found(path, open_store(path.url))
    now = read_status(found)
    record = read_record(found.store)
    code = EXIT_RESTART if record is None or record.exit_code is None else record.exit_code
    cause = None if record is None or record.cause is None else record.cause
    said = None if record is None or cause is None else last_error(found.store, record.attempt, cause)
    if code == EXIT_USER:
        local.discard(path, started.made)
        return Outcome(now, code, said or f"run '{path.name}': {now.explanation}")
    if code == EXIT_DONE:
        look = f"look at {layout.sample_grid(now.step or 0)} and {layout.LOSS_CURVES} in {path.url}"
        return Outcome(now, code, f"run '{path.name}' is finished at step {now.step}: {look}")
    reason = now.explanation or now.state
    if said and code == EXIT_FAILED:
        reason += f": {said}"
    return Outcome(now, code, f"run '{path.name}' {_reason(now, reason)}; {way_on(now)}")


def _reason(now: RunStatus, reason: str) -> str:
    return "stopped" if now.state == "stopped" else f"ended early: {reason}"


def way_on(now: RunStatus) -> str:
    """What is saved of a run that has not finished, and the command that goes on from there."""
    again = command_line("resume", RunPath(now.root, now.experiment, now.run))
    saved = "nothing is saved" if now.checkpoint_step is None else f"saved at step {now.checkpoint_step}"
    return f"{saved}; go on with `{again}`"


def list_artifacts(root: str, run: str, only: Iterable[str] = ()) -> list[Artifact]:
    """Files of a run, all or those of some kinds (``samples``, ``export``, ``run.json`` and so on).

    Raises:
        NoSuchRun: there is none of that name.
        SpecError: the run has nothing of a kind.
    """
    return list_files(find_run(root, run).store, only)


def download_artifacts(
    root: str, run: str, to: Path, only: Iterable[str] = (), report: Callable[[Transfer], None] | None = None
) -> Download:
    """Copy a run's files into a folder, leaving out those that are there already; see `download_files`.

    Raises:
        NoSuchRun: there is none of that name.
        UserError: `to` is no folder, or the run has nothing of a kind.
    """
    return download_files(find_run(root, run).store, to, only, report)
