"""Ending an attempt: its supervisor is asked, and what a dead supervisor left behind is ended one by one."""

import signal
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from launcher.backends.local.holding import held_to_write
from launcher.backends.local.living import alive, send_supervisor, send_workers
from launcher.backends.local.record import LocalRecord, last_word, now, read_record, write_record
from launcher.errors import NoSuchRun, RunAlive, Unsupported
from launcher.spec.next_commands import command_line
from trainer.errors import EXIT_RESTART
from trainer.run.layout import RunPath
from trainer.storage import LocalStore

_POLL_SECONDS = 0.05


def request_stop(path: RunPath, *, kill: bool = False) -> bool:
    """Ask a run's workers to save and stop, or kill them; False when none of its processes is alive.

    Raises:
        Unsupported: the processes are another machine's, another container's or another user's.
    """
    record = read_record(LocalStore(path.url))
    if record is None or record.ended is not None:
        return False
    living = alive(record, Path(path.url))
    if not living.here:
        raise elsewhere(path, record)
    if living.supervisor:
        return send_supervisor(record, Path(path.url), signal.SIGQUIT if kill else signal.SIGTERM)
    if any(living.workers):
        return send_workers(record, signal.SIGKILL if kill else signal.SIGTERM)
    return False


def elsewhere(path: RunPath, record: LocalRecord) -> Unsupported:
    """Why an attempt cannot be stopped from here."""
    return Unsupported(
        f"run '{path.name}': its processes are on {record.host} or in another container there; cancel it "
        f"there, or, when that machine is gone, go on with `{command_line('resume', path)}`"
    )


def end_orphans(path: RunPath, seconds: float | None = None) -> None:
    """Wait for workers whose supervisor is gone, kill those that stay, and write down that the attempt ended.

    `seconds` is how long to wait; None takes the attempt's own grace.
    """
    record = read_record(LocalStore(path.url))
    if record is None or record.ended:
        return
    deadline = time.monotonic() + (record.grace_seconds if seconds is None else seconds)
    while any((living := alive(record, Path(path.url))).workers) and not living.supervisor:
        if time.monotonic() > deadline:
            send_workers(record, signal.SIGKILL)
        time.sleep(_POLL_SECONDS)
    if living.here and not living.supervisor:
        with suppress(RunAlive, NoSuchRun):  # another launcher goes on from here
            _write_end(path, record.attempt)


def _write_end(path: RunPath, attempt: int) -> None:
    store = LocalStore(path.url)
    with held_to_write(path):
        record = read_record(store)
        if record is not None and record.attempt == attempt and record.ended is None:
            end = replace(record, cancelled=True, ended=now(), exit_code=EXIT_RESTART)
            write_record(store, replace(end, last_word=last_word(store)))
