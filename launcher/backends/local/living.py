"""Which processes of an attempt live: the one place where every verb and the supervisor find out.

On Linux a process is its number and its start in ticks of the kernel, on one boot and in one namespace. In a
copy of a run's folder, which names processes that are not its own, nobody holds the lock. Where there is no
/proc (macOS), and in records of older launchers, a process is told by its creation time or, as that moves
when the clock is set, by the very command that it was started with.
"""

import os
import signal
import socket
from collections.abc import Callable
from contextlib import suppress
from enum import Enum, auto
from pathlib import Path
from typing import NamedTuple

import psutil

from launcher.backends.local import lock
from launcher.backends.local.record import LocalRecord, Process
from launcher.errors import Unsupported
from trainer.environment import process as identity

SUPERVISOR = "launcher.backends.local.supervise"
# What NTP changes at once. A process number does not come round again within this many seconds.
_CREATED_TOLERANCE_SECONDS = 2.0


class Alive(NamedTuple):
    """Which processes of an attempt live."""

    supervisor: bool
    workers: tuple[bool, ...]
    here: bool = True
    """False when the attempt is another machine's, so that nothing can be known."""
    held: bool = False
    """Whether the run's lock is held, though no process of the attempt is seen: by one that is hidden from
    here, in another container say, or by a launcher that is about to start or remove something."""

    @property
    def any(self) -> bool:
        """Whether something of it lives."""
        return self.supervisor or any(self.workers) or self.held


class Where(Enum):
    """Where the processes of an attempt are, or were."""

    HERE = auto()
    """Their numbers are those of this boot and namespace."""
    BEFORE_BOOT = auto()
    """On this machine, which was started anew since: they are dead."""
    ELSEWHERE = auto()
    """On another machine or in another container, or nobody can say."""


def whereabouts(record: LocalRecord, held: bool) -> Where:
    """Where an attempt's processes are; `held`: whether the run's lock is."""
    mine = identity.machine()
    if record.machine is None or mine is None:
        # A lock is of this machine, whatever the machine was called when the attempt began.
        known = record.machine is None and (held or record.host == socket.gethostname())
        return Where.HERE if known else Where.ELSEWHERE
    if record.machine == mine:
        return Where.HERE
    if record.machine.split()[0] != mine.split()[0] and _is_same_installation(record):
        return Where.BEFORE_BOOT
    return Where.ELSEWHERE


def _is_same_installation(record: LocalRecord) -> bool:
    # Both, since machines that are copies of one image have the same id, and containers too.
    same_name = record.host == socket.gethostname()
    return same_name and record.installation is not None and record.installation == identity.installation()


def alive(record: LocalRecord, folder: Path, held: bool | None = None) -> Alive:
    """Which processes of an attempt live.

    `held` is whether another process holds the lock of the run in `folder`; None asks, which whoever holds it
    must not do, as it would be told of itself.
    """
    none = (False,) * len(record.processes)
    if record.ended is not None:
        return Alive(False, none)
    if held is None:
        held = lock.is_held(folder)
    where = whereabouts(record, held)
    if where is Where.BEFORE_BOOT:
        return Alive(False, none, held=held)
    if where is Where.ELSEWHERE:
        return Alive(False, (), here=False, held=held)
    if record.holds_lock and not held and is_copy(record, folder):
        return Alive(False, none)
    supervisor = _lives(record.supervisor, _supervises(folder), held)
    workers = tuple(_lives(process, _is_worker(record), held) for process in record.processes)
    return Alive(supervisor, workers, held=held and not supervisor and not any(workers))


def is_copy(record: LocalRecord, folder: Path) -> bool:
    """Whether an attempt was started in another folder than the one that its record is in now."""
    return record.folder is None or record.folder != lock.identity(folder)


def identify(pid: int) -> Process:
    """A process of this moment, as it is told from later ones; one that is gone has no start."""
    start = identity.started(pid)
    if start is not None or identity.machine() is not None:
        return Process(pid, started=start)
    with suppress(psutil.NoSuchProcess):
        return Process(pid, psutil.Process(pid).create_time())
    return Process(pid)


_Known = Callable[[list[str]], bool]
"""Whether a command is that of the process in question."""


def is_alive(process: Process | None, known: _Known = lambda command: False) -> bool | None:
    """Whether this very process runs: neither gone, nor a zombie, nor another one of its number.

    None when there is one of its number that this user must not see.
    """
    if process is None or process.exit_code is not None:
        return False
    if process.started is not None:
        return identity.lives(process.pid, process.started)
    if process.created is None or process.pid <= 0:
        return False
    try:
        found = psutil.Process(process.pid)
        same = abs(found.create_time() - process.created) < _CREATED_TOLERANCE_SECONDS
        return found.status() != psutil.STATUS_ZOMBIE and (same or known(found.cmdline()))
    except psutil.NoSuchProcess:
        return False
    except psutil.AccessDenied:
        return None


def _lives(process: Process | None, known: _Known, held: bool) -> bool:
    """Of a process that is hidden, the lock tells whether it lives."""
    found = is_alive(process, known)
    return held if found is None else found


def _supervises(folder: Path) -> _Known:
    """Knows a run's supervisor by its command, which names the folder with one path or another."""
    tail = folder.absolute().parts[-2:]

    def known(command: list[str]) -> bool:
        if SUPERVISOR not in command:
            return False
        after = command[command.index(SUPERVISOR) + 1 :]
        return bool(after) and Path(after[0]).absolute().parts[-2:] == tail

    return known


def _is_worker(record: LocalRecord) -> _Known:
    return lambda command: tuple(command) == record.command


def send(process: Process | None, number: signal.Signals, known: _Known = lambda command: False) -> bool:
    """Send a signal to this very process, never to another of its number; False when it is gone.

    SIGKILL goes to its whole session, because the process cannot end its children itself.

    Raises:
        Unsupported: the process belongs to another user.
    """
    if process is None:
        return False
    try:
        # The descriptor is of the process that is judged next, whatever becomes of its number.
        descriptor = os.pidfd_open(process.pid) if hasattr(os, "pidfd_open") and process.pid > 0 else None
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:  # a kernel or a sandbox without them
        descriptor = None
    try:
        if is_alive(process, known) is False:
            return False
        _signal(process.pid, descriptor, number)
    except ProcessLookupError:
        return False
    except PermissionError:
        raise Unsupported(
            f"process {process.pid} belongs to another user; only that user may stop it"
        ) from None
    finally:
        if descriptor is not None:
            os.close(descriptor)
    return True


def _signal(pid: int, descriptor: int | None, number: signal.Signals) -> None:
    if number == signal.SIGKILL and os.getpgid(pid) == pid:
        os.killpg(pid, number)
    elif descriptor is not None:
        signal.pidfd_send_signal(descriptor, number)
    else:
        os.kill(pid, number)


def send_workers(record: LocalRecord, number: signal.Signals) -> bool:
    """Send a signal to every worker of an attempt; False when none is left.

    Raises:
        Unsupported: one belongs to another user, whose others do then too.
    """
    sent = [send(process, number, _is_worker(record)) for process in record.processes]
    return any(sent)


def send_supervisor(record: LocalRecord, folder: Path, number: signal.Signals) -> bool:
    """Send a signal to an attempt's supervisor; False when it is gone."""
    return send(record.supervisor, number, _supervises(folder))
