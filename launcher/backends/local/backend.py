"""Runs whose workers are processes of this machine, and runs that no launcher started: their files alone."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from launcher.backends.base import PLAIN, LogChoice, Options, Update
from launcher.backends.local import attempts, lock
from launcher.backends.local.folder import is_dated_by_us, with_disk, workers_of, writer_lives
from launcher.backends.local.holding import check_idle, check_writer, held_to_remove
from launcher.backends.local.kind import KIND
from launcher.backends.local.record import read_record
from launcher.backends.local.state import join_state, went_on_alone
from launcher.backends.local.stopping import elsewhere, end_orphans, request_stop
from launcher.errors import SpecError, Unsupported
from launcher.records.follow import LogLine, LogReader, log_attempts
from launcher.records.run_folder import Found
from launcher.records.states import INTERRUPTED, UNKNOWN, State
from launcher.records.status import (
    Files,
    RunStatus,
    assemble,
    is_written,
    read_files,
)
from launcher.records.stored_logs import last_lines, stored_logs
from launcher.spec.next_commands import command_line
from launcher.spec.runspec import RunSpec
from trainer.errors import GantryError
from trainer.run import layout, lease_holder
from trainer.storage import LocalStore

_POLL_SECONDS = 0.25
_BUCKET_POLL_SECONDS = 2.0  # for a run in a bucket that no launcher started: each look costs requests
_HANDOVER_SECONDS = 10.0  # for another launcher that is just starting it
_CANCEL_MARGIN_SECONDS = 30.0  # beyond the grace of the workers
_CUT_OFF = (INTERRUPTED, UNKNOWN)
_GRACE_SECONDS = 60.0  # of who says nothing, as the pods' is


class LocalBackend:
    """Processes of this machine."""

    name = KIND.name

    def check_next(self, found: Found, spec: RunSpec, options: Options = PLAIN) -> None:
        """Refuse what `resume` would refuse but for the attempt that is under way."""
        attempts.check_root(spec.root)
        (options.command or attempts.trainer_command)(spec, 1)

    def resume(self, found: Found, spec: RunSpec, options: Options = PLAIN) -> attempts.Started:
        """Start the next attempt of a run."""
        return attempts.start(spec, resuming=True, **started_with(options))

    def asked(self, found: Found) -> dict[str, Any] | None:
        """What ``local.json`` says, but for the place, as folders are moved."""
        record = read_record(found.store)
        if record is None:
            return None
        shape = {"preset": record.preset, "overrides": record.overrides, "workers": record.workers}
        asked = record.spec or shape
        return {key: value for key, value in asked.items() if key not in ("root", "experiment", "name")}

    def placed(self) -> dict[str, Any]:
        """Nothing: this machine is where a run without a cluster goes."""
        return {}

    def check_idle(self, found: Found, *, abandon: bool = False) -> None:
        """Refuse a run whose processes live, and a root that local workers cannot share."""
        attempts.check_root(found.path.root)
        check_idle(found.path)

    @contextmanager
    def held(self, found: Found) -> Iterator[None]:
        """Hold a run's lock, or, in a bucket, see that nobody writes it; see `Backend.held`."""
        if isinstance(found.store, LocalStore):
            with held_to_remove(found.path):
                yield
        else:
            check_writer(found.path, found.store)
            yield

    def status(self, found: Found) -> RunStatus:
        """Where a run stands, joined from the files in its folder and the processes on this machine.

        Of a run on another machine, whose clock is not this one's, the folder is looked at twice: it is
        under way if its trainer writes meanwhile.
        """
        now = self._status(found)
        if now.state == UNKNOWN and not now.asked and is_written(found.store, layout.STATUS):
            return self._status(found, silent=0.0)
        return now

    def _status(
        self,
        found: Found,
        files: Files | None = None,
        checkpoint: bool = True,
        silent: float | None = None,
    ) -> RunStatus:
        """`silent`: seconds since the trainer's last word where they are known better than by a clock."""
        record, living = attempts.newest_attempt(found.store)
        # Read after the processes were looked at: a trainer that has ended since has written its last word.
        files = read_files(found.store) if files is None else files
        ours = is_dated_by_us(found.store, living, files)
        files = files if ours else files._replace(age=None)
        silent = files.age if silent is None else silent
        alone = record is None or not living.here or went_on_alone(record, files.said)
        writer = writer_lives(found.store) if alone else None
        state = with_disk(found, join_state(record, living, files.said, silent, writer))
        own = {} if record is None else {"preset": record.preset, "world_size": record.workers}
        status = assemble(
            found,
            files,
            state,
            attempt=record.attempt if record else None,
            workers=workers_of(record, living) if record else (),
            backend=self.name if record else None,
            checkpoint=checkpoint,
            asked=state.name != UNKNOWN or files.said is None,
            **own,
        )
        return status if ours else replace(status, checkpoint_age_seconds=None)

    def listed(self, found: Found, files: Files | None = None) -> RunStatus:
        """The same for a table of many runs; `files` is what is known of the folder, else it is read."""
        return self._status(found, files, checkpoint=False)

    def by_files(self, found: Found, files: Files) -> State:
        """The state by the files and, of a run of this machine, its processes."""
        now = self.listed(found, files)
        return State(now.state, now.explanation)

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
        return request_stop(found.path, kill=kill)

    def cancel(self, found: Found, *, kill: bool = False) -> RunStatus:
        """Ask the workers to save and stop and wait until they are gone."""
        deadline = time.monotonic() + _HANDOVER_SECONDS
        while not (now := self.status(found)).over:
            if self.request_stop(found, kill=kill):
                return self._wait_for_end(found)
            record = read_record(found.store)
            under_way = record is not None and record.ended is None
            if (not under_way or time.monotonic() > deadline) and not self.status(found).over:
                raise _out_of_reach(found, under_way)
            time.sleep(_POLL_SECONDS)
        if now.state in _CUT_OFF:
            _check_known(found)
        return now

    def _wait_for_end(self, found: Found) -> RunStatus:
        """Wait until workers that were asked to stop are gone."""
        end_orphans(found.path)
        record = read_record(found.store)
        now = self.wait(found, (record.grace_seconds if record else 0.0) + _CANCEL_MARGIN_SECONDS)
        if now is None:
            again = command_line("cancel", found.path, "--now")
            raise GantryError(
                f"run '{found.path.name}' has not ended after its grace; kill its workers with `{again}`"
            )
        return now

    def where(self, found: Found) -> str:
        """Nowhere: there are no objects."""
        return ""

    def delete(self, found: Found) -> list[str]:
        """Nothing: processes that have ended leave no objects."""
        return []


def started_with(options: Options) -> dict[str, Any]:
    """The same as `attempts.start` takes it."""
    grace = _GRACE_SECONDS if options.grace_seconds is None else options.grace_seconds
    return {"command": options.command or attempts.trainer_command, "grace_seconds": grace}


def _out_of_reach(found: Found, under_way: bool) -> Unsupported:
    """Why a run that lives cannot be stopped from here."""
    name = found.path.name
    if not under_way:
        return Unsupported(
            f"run '{name}' was not started by this launcher: stop its processes where they run"
        )
    there = (
        ", ".join(str(pid) for pid in lock.holders(Path(found.path.url))) or "none that can be seen from here"
    )
    return Unsupported(f"run '{name}' lives, but its processes cannot be told; its lock is held by: {there}")


def _check_known(found: Found) -> None:
    """Refuse to call a run over that is only silent, as far as it can be told from here.

    Raises:
        Unsupported: with where it may still train.
    """
    record, living = attempts.newest_attempt(found.store)
    if record is not None and record.ended is None and not living.here:
        raise elsewhere(found.path, record)
    if record is None and (there := lease_holder.find(found.store)) and there.lives is None:
        raise Unsupported(
            f"run '{found.path.name}' was not started by this launcher, and whether {there.name} still "
            "trains it cannot be known here: stop it where it runs"
        )


def _refuse_since(choice: LogChoice) -> None:
    if choice.since_seconds is not None:
        raise SpecError("--since: expected none for this run, as the files of its logs hold no times")


def _pause(found: Found) -> float:
    return _BUCKET_POLL_SECONDS if found.path.root.startswith("gs://") else _POLL_SECONDS
