"""Runs whose workers are processes of this machine, and runs that no launcher started: their files alone."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime

from launcher.backends.base import Jobs, LogChoice, Outcome, Update, way_on
from launcher.backends.local import attempts
from launcher.backends.local.record import LocalRecord, read_record
from launcher.backends.local.state import Alive, join_state
from launcher.errors import SpecError, Unsupported
from launcher.follow import LogLine, LogReader, last_error, log_attempts
from launcher.hints import command_line
from launcher.lookup import Found
from launcher.spec import RunSpec
from launcher.status import Files, RunStatus, WorkerStatus, assemble, read_files
from launcher.stored_logs import last_lines, stored_logs
from trainer import layout
from trainer.errors import EXIT_DONE, EXIT_FAILED, EXIT_RESTART, EXIT_USER, GantryError
from trainer.storage import open_store

_POLL_SECONDS = 0.25
_BUCKET_POLL_SECONDS = 2.0  # for a run in a bucket that no launcher started: each look costs requests
_CANCEL_MARGIN_SECONDS = 30.0  # beyond the grace of the workers


class LocalBackend:
    """Processes of this machine."""

    name = "local"

    def __init__(
        self, command: attempts.WorkerCommand = attempts.trainer_command, grace_seconds: float = 60.0
    ) -> None:
        self._command = command
        self._grace_seconds = grace_seconds

    def submit(self, spec: RunSpec) -> attempts.Started:
        """Start a new run; returns when its supervisor has taken over, long before it trains."""
        return attempts.start(spec, resuming=False, command=self._command, grace_seconds=self._grace_seconds)

    def check_new(self, spec: RunSpec) -> None:
        """Refuse what `submit` would refuse."""
        attempts.check_root(spec.root)
        attempts.check_new(spec.path)
        self._command(spec, 1)

    def check_next(self, found: Found, spec: RunSpec) -> None:
        """Refuse what `resume` would refuse but for the attempt that is under way."""
        attempts.check_root(spec.root)
        self._command(spec, 1)

    def resume(self, found: Found, spec: RunSpec) -> attempts.Started:
        """Start the next attempt of a run."""
        return attempts.start(spec, resuming=True, command=self._command, grace_seconds=self._grace_seconds)

    def check_idle(self, found: Found) -> None:
        """Refuse a run whose processes live, and a root that local workers cannot share."""
        attempts.check_root(found.path.root)
        attempts.check_idle(found.path)

    def status(self, found: Found) -> RunStatus:
        """Where a run stands, joined from the files in its folder and the processes on this machine."""
        return self._status(found)

    def _status(self, found: Found, files: Files | None = None, checkpoint: bool = True) -> RunStatus:
        record, living = attempts.newest_attempt(found.store)
        # Read after the processes were looked at: a trainer that has ended since has written its last word.
        files = read_files(found.store) if files is None else files
        state = join_state(record, living, files.said, datetime.now(UTC))
        if record is None:
            return assemble(found, files, state, attempt=None, backend=None, checkpoint=checkpoint)
        return assemble(
            found,
            files,
            state,
            attempt=record.attempt,
            workers=_workers(record, living),
            backend=self.name,
            checkpoint=checkpoint,
            preset=record.preset,
            world_size=record.workers,
        )

    def listed(self, found: Found, jobs: Jobs, files: Files | None = None) -> RunStatus:
        """Where a run stands; no cluster is asked."""
        return self._status(found, files, checkpoint=False)

    def logs(self, found: Found, choice: LogChoice) -> list[LogLine]:
        """Lines so far, from the files."""
        _refuse_since(choice)
        return stored_logs(found.store, choice.attempt, choice.worker, choice.tail)

    def follow(self, found: Found, choice: LogChoice) -> Iterator[Update]:
        """What the newest attempt writes, read from its files as they grow."""
        _refuse_since(choice)
        reader: LogReader | None = None
        tail = choice.tail
        while True:
            now = self.status(found)  # before the logs: nothing is written after a run was seen to be over
            if reader is None and (attempt := now.attempt or max(log_attempts(found.store), default=None)):
                reader = LogReader(found.store, attempt, choice.worker)
            lines = reader.read(last=not now.live) if reader else []
            if reader and tail is not None:  # of what was there when we came; all that follows is shown
                lines, tail = last_lines(lines, tail), None
            yield Update(lines, now)
            if not now.live:
                return
            time.sleep(_pause(found))

    def wait(self, found: Found, seconds: float | None) -> RunStatus | None:
        """How the run ended, None when it has not after `seconds`."""
        deadline = None if seconds is None else time.monotonic() + seconds
        while (now := self.status(found)).live:
            if deadline is not None and time.monotonic() > deadline:
                return None
            time.sleep(_pause(found))
        return now

    def request_stop(self, found: Found, *, kill: bool = False) -> bool:
        """Ask the workers to save and stop, or kill them; False when none is alive."""
        return attempts.request_stop(found.path, kill=kill)

    def cancel(self, found: Found, *, kill: bool = False) -> RunStatus:
        """Ask the workers to save and stop and wait until they are gone."""
        before = self.status(found)
        if not before.live:
            return before
        record = read_record(found.store)
        if not self.request_stop(found, kill=kill) and (record is None or record.supervisor is None):
            raise Unsupported(
                f"run '{found.path.name}' was not started by this launcher: stop its processes where they run"
            )
        attempts.end_orphans(found.path)
        now = self.wait(found, (record.grace_seconds if record else 0.0) + _CANCEL_MARGIN_SECONDS)
        if now is None:
            again = command_line("cancel", found.path, "--now")
            raise GantryError(
                f"run '{found.path.name}' has not ended after its grace; kill its workers with `{again}`"
            )
        return now

    def delete(self, found: Found) -> list[str]:
        """Nothing: processes that have ended leave no objects."""
        if found.path.root.startswith("gs://"):
            return []
        attempts.check_idle(found.path)
        return []


def finish(started: attempts.Started) -> Outcome:
    """How an attempt that is over ended; a run that the trainer refused leaves nothing behind."""
    path = started.path
    found = Found(path, open_store(path.url))
    now = LocalBackend().status(found)
    record = read_record(found.store)
    code = EXIT_RESTART if record is None or record.exit_code is None else record.exit_code
    cause = None if record is None or record.cause is None else record.cause
    said = None if record is None or cause is None else last_error(found.store, record.attempt, cause)
    if code == EXIT_USER:
        attempts.discard(path, started.made)
        return Outcome(now, code, said or f"run '{path.name}': {now.explanation}")
    if code == EXIT_DONE:
        look = f"look at {layout.sample_grid(now.step or 0)} and {layout.LOSS_CURVES} in {path.url}"
        return Outcome(now, code, f"run '{path.name}' is finished at step {now.step}: {look}")
    reason = now.explanation or now.state
    if said and code == EXIT_FAILED:
        reason += f": {said}"
    how = "stopped" if now.state == "stopped" else f"ended early: {reason}"
    return Outcome(now, code, f"run '{path.name}' {how}; {way_on(now)}")


def _refuse_since(choice: LogChoice) -> None:
    if choice.since_seconds is not None:
        raise SpecError("--since: expected none for this run, as the files of its logs hold no times")


def _pause(found: Found) -> float:
    return _BUCKET_POLL_SECONDS if found.path.root.startswith("gs://") else _POLL_SECONDS


def _workers(record: LocalRecord, living: Alive) -> list[WorkerStatus]:
    lives = living.workers or (False,) * len(record.processes)
    return [
        WorkerStatus(worker, lives[worker], process.exit_code, pid=process.pid)
        for worker, process in enumerate(record.processes)
    ]
