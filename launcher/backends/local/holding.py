"""Who may begin, go on with or remove a run on this machine: whoever holds its lock while nobody writes it.

Two questions have to be answered with no: whether a process of this machine has the run, which the lock
tells, and whether one elsewhere does, which the lease of the run tells (`trainer.run.lease`). So a mistake
about a process can make a status wrong, and never costs a file.
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from launcher.backends.local import lock
from launcher.backends.local.living import Where, alive, is_copy, whereabouts
from launcher.backends.local.record import LocalRecord, read_record
from launcher.errors import RunAlive
from launcher.notes import note
from launcher.spec.next_commands import command_line
from trainer.errors import GantryError
from trainer.run import lease_holder
from trainer.run.layout import RunPath
from trainer.storage import LocalStore, Store


def check_idle(path: RunPath) -> None:
    """Refuse a run whose processes are alive.

    Raises:
        RunAlive: with the commands that follow and stop it.
    """
    record = read_record(LocalStore(path.url))
    if record and alive(record, Path(path.url)).any:
        raise _living(path)


def check_writer(path: RunPath, store: Store, record: LocalRecord | None = None) -> None:
    """Refuse a run that a trainer writes which no record here tells of: another machine's, or one by hand.

    `record` is of the newest attempt, which is over here. The workers in it may live as those of the run that
    this folder is a copy of.

    Takes up to a quarter of a minute where the last writer cannot be judged from here.

    Raises:
        RunAlive: with who writes it.
    """
    here = record is not None and record.holds_lock and whereabouts(record, held=False) is Where.HERE
    workers = record.processes if record and here and is_copy(record, Path(path.url)) else ()
    over = {(worker.pid, worker.started) for worker in workers if worker.started is not None}
    if name := lease_holder.writer(
        store, known_gone=lambda holder: (holder.get("pid"), holder.get("started")) in over, say=note
    ):
        raise RunAlive(f"run '{path.name}' is being trained by {name}: stop that one first, where it runs")


@contextmanager
def held_to_start(path: RunPath) -> Iterator[tuple[int, LocalRecord | None]]:
    """Hold a run in which nothing lives, to start its next attempt; yields the lock and the last record.

    Raises:
        RunAlive: something of it lives.
        NoSuchRun: its folder was removed meanwhile.
    """
    with _lock(path) as descriptor:
        record = _check_rest(path)
        if record is None or whereabouts(record, held=False) is not Where.BEFORE_BOOT:
            check_writer(path, LocalStore(path.url), record)
        yield descriptor, record


@contextmanager
def held_to_remove(path: RunPath) -> Iterator[None]:
    """Hold a run in which nothing lives, to remove its files.

    Raises:
        RunAlive: something of it lives.
        NoSuchRun: its folder was removed meanwhile.
    """
    check_idle(path)
    with lock.held_while_emptied(Path(path.url), lambda late: _busy(path, late)):
        check_writer(path, LocalStore(path.url), _check_rest(path))
        yield


def held_to_write(path: RunPath) -> AbstractContextManager[int]:
    """Hold a run to write down how an attempt ended.

    Raises:
        RunAlive: somebody else holds it.
        NoSuchRun: its folder was removed meanwhile.
    """
    return _lock(path)


def _lock(path: RunPath) -> AbstractContextManager[int]:
    return lock.held(Path(path.url), lambda late: _busy(path, late))


def _check_rest(path: RunPath) -> LocalRecord | None:
    """Refuse a run whose lock we hold if workers live that do not hold it: an older launcher's."""
    record = read_record(LocalStore(path.url))
    if record and alive(record, Path(path.url), held=False).any:
        raise _living(path)
    return record


def _busy(path: RunPath, late: bool) -> GantryError | None:
    """What is wrong with a run whose lock is held, None for what passes by itself, unless it is `late`."""
    folder = Path(path.url)
    record = read_record(LocalStore(folder))
    seen = alive(record, folder, held=True) if record else None
    if seen and (seen.supervisor or any(seen.workers)):
        return _living(path)
    if not late:
        return None
    found = ", ".join(str(pid) for pid in lock.holders(folder))
    who = f"process {found}" if found else "a process that cannot be seen from here"
    return RunAlive(f"run '{path.name}' is in use: {who} holds the lock of {folder / 'logs'}; try again")


def _living(path: RunPath) -> RunAlive:
    return RunAlive(
        f"run '{path.name}' is running: follow it with `{command_line('logs', path, '--follow')}`, "
        f"stop it with `{command_line('cancel', path)}`"
    )
