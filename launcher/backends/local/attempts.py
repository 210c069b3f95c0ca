"""Runs on this machine: an attempt is prepared in the run's folder and handed to a supervisor process.

A run in the foreground is a detached one that the command line follows; there is one way to start and one
way to stop. While a supervisor lives it holds a lock on the run's ``logs`` folder, which the kernel lets go
when it dies however it dies, so two attempts never share a folder.
"""

import fcntl
import importlib.util
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from launcher.backends.local.processes import available_cores, free_ports, is_alive, send, share_threads
from launcher.backends.local.record import LocalRecord, now, read_record, write_record
from launcher.backends.local.state import Alive
from launcher.backends.local.supervise import supervisor_log
from launcher.errors import NotInstalled, RunAlive, RunExists, Unsupported
from launcher.hints import command_line
from launcher.spec import RunSpec
from trainer import layout
from trainer.errors import EXIT_RESTART, GantryError
from trainer.layout import RunPath
from trainer.storage import LocalStore, Store

_POLL_SECONDS = 0.05
_SUPERVISOR_START_SECONDS = 60  # a tenth of a second when the machine is idle

WorkerCommand = Callable[[RunSpec, int], list[str]]
"""From a run and the threads of a worker to what each worker process runs."""


class Started(NamedTuple):
    """An attempt that is under way."""

    path: RunPath
    record: LocalRecord
    made: tuple[Path, ...]
    """Folders that did not exist before, innermost first."""


def trainer_command(spec: RunSpec, threads: int) -> list[str]:
    """The trainer's command line for a run.

    Raises:
        NotInstalled: TensorFlow is not there; found out without importing it, which takes seconds.
    """
    if importlib.util.find_spec("tensorflow") is None:
        raise NotInstalled("workers need TensorFlow here: pip install 'gantry[trainer]'")
    command = [sys.executable, "-m", "trainer", "train", "--preset", spec.preset]
    command += [
        "--root",
        str(Path(spec.root).absolute()),
        "--experiment",
        spec.experiment,
        "--run",
        spec.name,
    ]
    for override in spec.overrides:
        command += ["--set", override]
    return [*command, "--threads", str(threads)]


def check_root(root: str) -> None:
    """Refuse a root that local workers cannot share through this machine's files.

    Raises:
        UserError: it is a bucket, a file or a folder that cannot be written to.
    """
    if "://" in root:
        raise Unsupported(
            f"root {root}: the local backend expects a folder; `python -m trainer train --root {root}` "
            "trains into a bucket with one worker"
        )
    LocalStore(root).check()


def start(
    spec: RunSpec, *, resuming: bool, command: WorkerCommand = trainer_command, grace_seconds: float = 60.0
) -> Started:
    """Start the next attempt of a run and return once its supervisor has taken over.

    Raises:
        RunAlive: an attempt is under way.
        RunExists: a new run was asked for and there is one of that name.
        UserError: the root or the workers' program cannot be used.
    """
    check_root(spec.root)
    record = _first_record(spec, command, grace_seconds)
    folder = Path(spec.path.url)
    made = tuple(place for place in (folder, *folder.parents) if not place.exists())
    if not resuming:
        check_new(spec.path)
    try:  # making this folder is what claims the name; whoever comes second finds it there
        (folder / "logs").mkdir(parents=True, exist_ok=not made)
    except FileExistsError:
        raise _taken(spec.path) from None
    try:
        with _lock(spec.path) as lock:
            check_idle(spec.path)
            if previous := read_record(LocalStore(folder)):
                record = replace(record, attempt=previous.attempt + 1)
            return Started(spec.path, _launch(folder, record, lock), made)
    except GantryError:
        discard(spec.path, made)
        raise


def alive(record: LocalRecord) -> Alive:
    """Which processes of an attempt live."""
    if record.host != socket.gethostname():
        return Alive(False, (), here=False)
    return Alive(is_alive(record.supervisor), tuple(is_alive(process) for process in record.processes))


def _first_record(spec: RunSpec, command: WorkerCommand, grace_seconds: float) -> LocalRecord:
    """An attempt as it is planned, before any process exists."""
    threads = share_threads(spec.workers, available_cores(), spec.threads)
    return LocalRecord(
        attempt=1,
        host=socket.gethostname(),
        command=tuple(command(spec, threads)),
        preset=spec.preset,
        overrides=spec.overrides,
        workers=spec.workers,
        threads=threads,
        ports=tuple(free_ports(spec.workers)) if spec.workers > 1 else (),
        started=now(),
        grace_seconds=grace_seconds,
        spec=spec.model_dump(mode="json"),
    )


def check_idle(path: RunPath) -> None:
    """Refuse a run whose processes are alive.

    Raises:
        RunAlive: with the commands that follow and stop it.
    """
    record = read_record(LocalStore(path.url))
    if record and alive(record).any:
        raise _living(path)


def newest_attempt(store: Store) -> tuple[LocalRecord | None, Alive]:
    """The newest attempt of a run and what lives of it."""
    record = read_record(store)
    if record is None:
        return None, Alive(False, ())
    living = alive(record)
    if living.here and not living.any and record.ended is None:
        record = read_record(store) or record  # it may have ended between the two looks
    return record, living


def request_stop(path: RunPath, *, kill: bool = False) -> bool:
    """Ask a run's workers to save and stop, or kill them; False when none of its processes is alive.

    Raises:
        Unsupported: the processes are another machine's or another user's.
    """
    record = read_record(LocalStore(path.url))
    if record is None:
        return False
    if not alive(record).here:
        raise Unsupported(f"run '{path.name}': its processes are on {record.host}; cancel it there")
    if is_alive(record.supervisor):
        return send(record.supervisor, signal.SIGQUIT if kill else signal.SIGTERM)
    number = signal.SIGKILL if kill else signal.SIGTERM
    sent = [send(process, number) for process in record.processes]  # to every one, whatever the first says
    return any(sent)


def end_orphans(path: RunPath, seconds: float | None = None) -> None:
    """Wait for workers whose supervisor is gone, kill those that stay, and write down that the attempt ended.

    `seconds` is how long to wait; None takes the attempt's own grace.
    """
    store = LocalStore(path.url)
    record = read_record(store)
    if record is None or is_alive(record.supervisor) or record.ended:
        return
    deadline = time.monotonic() + (record.grace_seconds if seconds is None else seconds)
    while any(is_alive(process) for process in record.processes):
        if time.monotonic() > deadline:
            request_stop(path, kill=True)
        time.sleep(_POLL_SECONDS)
    write_record(store, replace(record, cancelled=True, ended=now(), exit_code=EXIT_RESTART))


def discard(path: RunPath, made: Sequence[Path]) -> None:
    """Remove the folders that were made for an attempt which ended before the trainer wrote ``run.json``."""
    folder = Path(path.url)
    if folder not in made or (folder / layout.RUN).exists():
        return
    shutil.rmtree(folder, ignore_errors=True)
    for place in made[1:]:
        try:
            place.rmdir()
        except OSError:  # another run has moved in
            return


def check_new(path: RunPath) -> None:
    """Refuse a name that is taken; a run that never began, because the trainer refused it, takes none."""
    folder = Path(path.url)
    if not folder.exists():
        return
    check_idle(path)
    if read_record(LocalStore(folder)) is None or (folder / layout.RUN).exists():
        raise _taken(path)


def _taken(path: RunPath) -> RunExists:
    return RunExists(
        f"name '{path.name}' is taken in experiment '{path.experiment}': "
        f"continue that run with `{command_line('resume', path)}` or choose another --name"
    )


def _living(path: RunPath) -> RunAlive:
    return RunAlive(
        f"run '{path.name}' is running: follow it with `{command_line('logs', path, '--follow')}`, "
        f"stop it with `{command_line('cancel', path)}`"
    )


@contextmanager
def _lock(path: RunPath) -> Iterator[int]:
    """Hold a run against other launchers; a supervisor inherits the descriptor and the lock with it."""
    descriptor = os.open(Path(path.url) / "logs", os.O_RDONLY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise _living(path) from None
        yield descriptor
    finally:
        os.close(descriptor)


def _launch(folder: Path, record: LocalRecord, lock: int) -> LocalRecord:
    """Start a supervisor and wait until it has written down itself and its workers."""
    store = LocalStore(folder)
    write_record(store, record)
    log = folder / supervisor_log(record.attempt)
    log.parent.mkdir(exist_ok=True)
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "launcher.backends.local.supervise", str(folder)],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            pass_fds=[lock],
        )
    deadline = time.monotonic() + _SUPERVISOR_START_SECONDS
    while time.monotonic() < deadline:
        ended = process.poll() is not None  # asked before the record is read, which may be its last word
        found = read_record(store)
        if found and found.supervisor and (ended or len(found.processes) == found.workers):
            return found
        if ended:
            break
        time.sleep(_POLL_SECONDS)
    process.kill()
    lines = log.read_text(errors="replace").strip().splitlines() or ["it wrote nothing"]
    raise GantryError(f"the supervisor of run '{folder.name}' did not start: {lines[-1]}")
