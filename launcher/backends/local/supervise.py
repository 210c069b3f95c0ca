"""The process that owns an attempt's workers.

``python -m launcher.backends.local.supervise <run folder> <descriptor of the run's lock>``

It lives in a session of its own, so that it outlasts the terminal that submitted the run, and does three
things: it starts the workers named in ``local.json``, it ends all of them when one ends badly (a strategy
that lost a worker can only be restarted as a whole), and it writes down how each one ended.

It and its workers hold the run's `lock` while they live. When the folder has been removed, nothing is written
there any more, unless the trainer has said there how it ended.

SIGTERM, SIGINT or SIGHUP asks the workers to save and stop, SIGQUIT kills them.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from types import FrameType

from launcher.backends.local import lock
from launcher.backends.local.living import identify, send
from launcher.backends.local.processes import spawn, worker_environment
from launcher.backends.local.record import LocalRecord, last_word, now, read_record, write_record
from trainer.errors import EXIT_COLLAPSED, EXIT_DONE, EXIT_FAILED, EXIT_RESTART, EXIT_USER, GantryError
from trainer.run import layout
from trainer.storage import LocalStore
from trainer.storage.limits import Reserve, told

_POLL_SECONDS = 0.1
# A worker whose peer has died mostly waits in a collective operation and cannot save any more.
_FAILURE_GRACE_SECONDS = 10.0
_KILLED_SECONDS = 5.0  # for the kernel to end what was killed, which a disk that hangs may hold up
# Signals that come from outside (out of memory, a person, a shutdown); others are a crash of the program.
_FROM_OUTSIDE = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


class Supervisor:
    """Starts, watches and ends the workers of one attempt."""

    def __init__(self, folder: Path, record: LocalRecord, descriptor: int) -> None:
        """`descriptor`: of the run's lock."""
        self._folder, self._lock = folder, descriptor
        self._store = LocalStore(folder)
        self._record = record
        self._reserve = Reserve(folder)
        self._children: list[subprocess.Popen[bytes]] = []
        self._asked: set[int] = set()  # signals received
        self._deadline: float | None = None  # when workers that were asked to stop are killed

    def run(self) -> LocalRecord:
        """Own the attempt to its end; returns how it ended."""
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT):
            signal.signal(number, self._request)
        self._reserve.keep()
        self._save(supervisor=identify(os.getpid()))
        code = EXIT_FAILED
        try:
            self._start_all()
            self._stop_when_due()
            while not self._collect():
                time.sleep(_POLL_SECONDS)
                self._stop_when_due()
            codes = [process.exit_code for process in self._record.processes]
            code = attempt_exit_code(codes, self._record.cause)
        finally:
            self._kill_all()
            self._save(ended=now(), exit_code=code, last_word=last_word(self._store))
            if self._owns_folder():
                self._reserve.free()
        return self._record

    def _kill_all(self) -> None:
        """Leave no worker behind, nor a word of one that comes after the record of the end."""
        self._signal_all(signal.SIGKILL)
        deadline = time.monotonic() + _KILLED_SECONDS
        for child in self._children:
            with suppress(subprocess.TimeoutExpired):
                child.wait(max(0.0, deadline - time.monotonic()))

    def _request(self, number: int, frame: FrameType | None) -> None:
        self._asked.add(number)

    def _save(self, **changes: object) -> None:
        self._record = replace(self._record, **changes)  # type: ignore[arg-type]
        if self._owns_folder():
            self._write()

    def _write(self) -> None:
        """Write the record down, on a disk that is full in the room that was kept for it.

        Workers that are under way are not given up for a record that cannot be written now.
        """
        try:
            write_record(self._store, self._record)
        except GantryError:
            self._reserve.free()
            try:
                write_record(self._store, self._record)
            except GantryError:
                if not self._record.processes:
                    raise

    def _owns_folder(self) -> bool:
        """Whether the folder is the attempt's, or what its trainer has made in the place of a removed one."""
        there = lock.identity(self._folder)
        if there is not None and there != self._record.folder:
            if lock.is_held(self._folder) or (self._folder / layout.LOCAL).exists():
                return False  # another run has the name by now
            self._record = replace(self._record, folder=there)
        return there is not None

    def _start_all(self) -> None:
        record = self._record
        for worker in range(record.workers):
            if self._asked:
                break
            environment = worker_environment(os.environ, record.ports, worker)
            child = spawn(
                record.command,
                environment,
                self._folder / layout.worker_log(record.attempt, worker),
                self._lock,
            )
            self._children.append(child)
            # At once and not after the loop: a worker that nobody wrote down could not be found again.
            self._record = self._record.with_process(worker, identify(child.pid))
            self._save()

    def _collect(self) -> bool:
        """Write down the workers that ended since the last look; True when none is left."""
        ended: dict[int, int] = {}
        for worker, child in enumerate(self._children):
            code = child.poll()
            if code is not None and self._record.processes[worker].exit_code is None:
                ended[worker] = code
                process = replace(self._record.processes[worker], exit_code=code)
                self._record = self._record.with_process(worker, process)
        if ended:
            self._save()
            self._blame(ended)
        return all(process.exit_code is not None for process in self._record.processes)

    def _blame(self, ended: dict[int, int]) -> None:
        """Find the worker that ended the attempt, if one did, and ask the others to end too."""
        expected = {EXIT_DONE}
        if self._record.cancelled:
            expected |= {EXIT_RESTART, -signal.SIGTERM, -signal.SIGKILL}
        causes = [worker for worker, code in ended.items() if code not in expected]
        if not causes or self._record.cause is not None:
            return
        cause = min(causes, key=lambda worker: _severity(ended[worker]))
        self._save(cause=cause)
        # Code 42 may mean that one worker was told to save and stop, and that the others are saving with it;
        # with 3 all leave by themselves.
        patient = ended[cause] in (EXIT_RESTART, EXIT_COLLAPSED) or self._record.cancelled
        grace = self._record.grace_seconds
        self._ask_to_stop(grace if patient else min(grace, _FAILURE_GRACE_SECONDS))

    def _stop_when_due(self) -> None:
        if self._asked and not self._record.cancelled:
            self._save(cancelled=True)
            self._ask_to_stop(self._record.grace_seconds)
        late = self._deadline is not None and time.monotonic() > self._deadline
        if signal.SIGQUIT in self._asked or late:
            self._signal_all(signal.SIGKILL)

    def _ask_to_stop(self, grace: float) -> None:
        if self._deadline is None:
            self._deadline = time.monotonic() + grace
            self._signal_all(signal.SIGTERM)

    def _signal_all(self, number: signal.Signals) -> None:
        for process in self._record.processes:
            send(process, number)


def attempt_exit_code(codes: Sequence[int | None], cause: int | None) -> int:
    """Exit code of an attempt from those of its workers and the worker that ended it badly, if one did."""
    if codes and all(code == EXIT_DONE for code in codes):
        return EXIT_DONE
    for decided in (EXIT_USER, EXIT_COLLAPSED):
        if decided in codes:
            return decided
    code = None if cause is None else codes[cause]
    if code is None or code == EXIT_RESTART or -code in _FROM_OUTSIDE:
        return EXIT_RESTART
    return EXIT_FAILED


def _severity(code: int) -> int:
    """Rank of a bad ending among several at once: the user's mistake explains most, a lost peer least."""
    if code in (EXIT_USER, EXIT_COLLAPSED):
        return 0
    if code == EXIT_RESTART:
        return 3
    return 1 if code < 0 else 2


def main() -> None:
    """Supervise the attempt that the record in the folder describes."""
    folder = Path(sys.argv[1])
    record = read_record(LocalStore(folder))
    if record is None:
        raise GantryError(f"{folder}: no {layout.LOCAL}")
    log = folder / supervisor_log(record.attempt)
    try:
        Supervisor(folder, record, int(sys.argv[2])).run()
        if log.exists() and not log.stat().st_size:
            log.unlink()
    except Exception as error:
        if (found := told(error)) is None:
            raise
        with suppress(OSError):  # the disk that takes nothing is as a rule the one that it goes to
            sys.stderr.write(f"error: {found}\n")
        sys.exit(found.exit_code)


def supervisor_log(attempt: int) -> str:
    """Where a supervisor writes what only a fault of its own makes it write; removed when empty."""
    return f"logs/{attempt}/supervisor.log"


if __name__ == "__main__":
    main()
