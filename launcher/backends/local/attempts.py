"""Runs on this machine: an attempt is prepared in the run's folder and handed to a supervisor process.

A run in the foreground is a detached one that the command line follows; there is one way to start and one
way to stop. An attempt is started by who holds the run's `lock`, and its processes hold it on, so two never
share a folder.
"""

import importlib.util
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from launcher.backends.base import WorkerCommand
from launcher.backends.local.holding import check_idle, held_to_remove, held_to_start
from launcher.backends.local.kind import KIND
from launcher.backends.local.living import SUPERVISOR, Alive, alive
from launcher.backends.local.lock import identity, is_held
from launcher.backends.local.processes import available_cores, free_ports, share_threads
from launcher.backends.local.record import LocalRecord, last_word, now, read_record, write_record
from launcher.backends.local.supervise import supervisor_log
from launcher.errors import NoSuchRun, NotInstalled, RunAlive, RunExists, Unsupported
from launcher.records.run_folder import is_run
from launcher.spec.next_commands import command_line
from launcher.spec.runspec import RunSpec
from launcher.wording import ending
from trainer.config import VARIABLE as CONFIG
from trainer.environment import process, surroundings
from trainer.errors import GantryError
from trainer.run import layout
from trainer.run.layout import RunPath
from trainer.storage import LocalStore, Store
from trainer.storage.limits import naming

_POLL_SECONDS = 0.05
_TRIES = 100
_BEFORE_A_RUN = (layout.LEASE, layout.DATA)  # what a trainer by hand may leave that came to no record
_SUPERVISOR_START_SECONDS = 60  # a tenth of a second when the machine is idle


class Started(NamedTuple):
    """An attempt that is under way."""

    path: RunPath
    record: LocalRecord
    made: tuple[Path, ...]
    """Folders that did not exist before, innermost first."""

    @property
    def backend(self) -> str:
        """This one's name."""
        return KIND.name


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
    if spec.accepts_changed_data:
        command.append("--accept-changed-data")
    return [*command, "--threads", str(threads)]


def check_root(root: str) -> None:
    """Refuse a root that local workers cannot share through this machine's files.

    Raises:
        UserError: it is a bucket, a file or a folder that cannot be written to.
        Exhausted: its disk takes nothing any more.
    """
    if "://" in root:
        raise Unsupported(
            f"root {root}: the local backend expects a folder; `python -P -m trainer train --root {root}` "
            "trains into a bucket with one worker"
        )
    LocalStore(root).check()


def start(
    spec: RunSpec,
    *,
    resuming: bool,
    command: WorkerCommand = trainer_command,
    grace_seconds: float = 60.0,
    ready: Callable[[], object] = lambda: None,
) -> Started:
    """Start the next attempt of a run and return once its supervisor has taken over.

    `ready` is called when the name is ours, before any process is started.

    Raises:
        RunAlive: an attempt is under way.
        RunExists: a new run was asked for and there is one of that name.
        NoSuchRun: another launcher removed the run that is to go on.
        UserError: the root or the workers' program cannot be used.
        Exhausted: the disk takes nothing any more, or too many files are open.
    """
    check_root(spec.root)
    record = _first_record(spec, command, grace_seconds)
    for _ in range(_TRIES):
        made = _make_folder(spec.path, resuming)
        if made is None:
            continue
        try:
            with naming(spec.path.url), held_to_start(spec.path) as (lock, previous):
                _check_still(spec.path, resuming)
                ready()
                return Started(spec.path, _launch(spec, record, previous, lock), made)
        except NoSuchRun:
            if resuming:
                raise
        except GantryError:
            discard(spec.path, made)
            raise
    raise RunAlive(f"run '{spec.name}' is being removed by another launcher: try again")


def _make_folder(path: RunPath, resuming: bool) -> tuple[Path, ...] | None:
    """Make the folder of a run with its lock, where there is none; returns the folders that were made.

    None when a `delete` beside us has removed what was still empty.
    """
    folder = Path(path.url)
    made = tuple(place for place in (folder, *folder.parents) if not place.exists())
    if resuming and made:
        raise _gone(path)
    if not resuming:
        check_new(path)
    try:  # making this folder is what claims the name; whoever comes second finds it there
        (folder / "logs").mkdir(parents=True, exist_ok=not made)
    except FileExistsError:
        raise _taken(path) from None
    except FileNotFoundError:
        return None
    return made


def _check_still(path: RunPath, resuming: bool) -> None:
    """Ask again what was true before the lock was ours."""
    if resuming and not is_run(LocalStore(path.url)):
        raise _gone(path)
    if not resuming and (Path(path.url) / layout.RUN).exists():
        raise _taken(path)


def _first_record(spec: RunSpec, command: WorkerCommand, grace_seconds: float) -> LocalRecord:
    """An attempt as it is planned, before any process exists."""
    threads = share_threads(spec.workers, available_cores(), spec.threads)
    return LocalRecord(
        attempt=1,
        host=socket.gethostname(),
        machine=process.machine(),
        installation=process.installation(),
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


def newest_attempt(store: Store) -> tuple[LocalRecord | None, Alive]:
    """The newest attempt of a run and what lives of it."""
    record = read_record(store)
    if record is None:
        held = isinstance(store, LocalStore) and is_held(Path(store.url))
        return None, Alive(False, (), held=held)
    living = alive(record, Path(store.url))
    if record.ended is None and not living.supervisor:  # it may have ended between the two looks
        newer = read_record(store)
        if newer and newer.ended is not None:
            return newer, alive(newer, Path(store.url))
    return record, living


def discard(path: RunPath, made: Sequence[Path]) -> None:
    """Remove the folders that were made for an attempt which ended before the trainer wrote ``run.json``.

    They stay when somebody else has the run by now.
    """
    folder = Path(path.url)
    if folder not in made or (folder / layout.RUN).exists():
        return
    try:
        with held_to_remove(path):
            if (folder / layout.RUN).exists():
                return
            for entry in folder.iterdir():
                if entry.name != "logs":
                    entry.unlink() if entry.is_file() else shutil.rmtree(entry, ignore_errors=True)
            for entry in (folder / "logs").iterdir():
                shutil.rmtree(entry, ignore_errors=True)
    except (RunAlive, NoSuchRun):
        return
    for place in made[1:]:
        try:
            place.rmdir()
        except OSError:  # another run has moved in
            return


def check_new(path: RunPath) -> None:
    """Refuse a name that is taken; a run that never began, because the trainer refused it, takes none."""
    folder, store = Path(path.url), LocalStore(path.url)
    if not folder.exists():
        return
    if not folder.is_dir():
        raise _taken(path)
    check_idle(path)
    if (folder / layout.RUN).exists():
        raise _taken(path)
    if read_record(store) is None and any(found.name not in _BEFORE_A_RUN for found in store.list()):
        raise _taken(path)


def _gone(path: RunPath) -> NoSuchRun:
    return NoSuchRun(f"no run '{path.name}' in {path.experiment_url} any more: somebody has removed it")


def _taken(path: RunPath) -> RunExists:
    return RunExists(
        f"name '{path.name}' is taken in experiment '{path.experiment}': "
        f"continue that run with `{command_line('resume', path)}` or choose another --name"
    )


def _launch(spec: RunSpec, record: LocalRecord, previous: LocalRecord | None, lock: int) -> LocalRecord:
    """Start a supervisor and wait until it has written down itself and its workers."""
    folder, store = Path(spec.path.url), LocalStore(spec.path.url)
    attempt = previous.attempt + 1 if previous else 1
    record = replace(record, attempt=attempt, folder=identity(folder), word_before=last_word(store))
    write_record(store, record)
    log = folder / supervisor_log(record.attempt)
    log.parent.mkdir(exist_ok=True)
    with log.open("wb") as output:
        supervisor = subprocess.Popen(
            [sys.executable, "-m", SUPERVISOR, str(folder), str(lock)],
            env=surroundings.environment(os.environ) | {CONFIG: spec.carried()},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            pass_fds=[lock],
        )
    deadline = time.monotonic() + _SUPERVISOR_START_SECONDS
    while time.monotonic() < deadline:
        ended = supervisor.poll() is not None  # asked before the record is read, which may be its last word
        found = read_record(store)
        if found and found.supervisor and (ended or len(found.processes) == found.workers):
            return found
        if ended:
            break
        time.sleep(_POLL_SECONDS)
    supervisor.kill()
    supervisor.wait()  # or it would hold the lock for a moment more
    said = f"it {ending(supervisor.returncode)}"
    lines = log.read_text(errors="replace").strip().splitlines() or [said]
    raise GantryError(
        f"the supervisor of run '{folder.name}' did not start: {lines[-1].removeprefix('error: ')}"
    )
