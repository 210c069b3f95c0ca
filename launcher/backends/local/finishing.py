"""How an attempt on this machine that is over ended."""

import time
from pathlib import Path

from launcher.backends.local import attempts
from launcher.backends.local.backend import LocalBackend
from launcher.backends.local.living import is_alive
from launcher.backends.local.record import LocalRecord, read_record
from launcher.backends.outcome import Outcome, way_on
from launcher.records.follow import last_error
from launcher.records.run_folder import Found
from launcher.records.states import FINISHED
from launcher.records.status import RunStatus, read_files
from trainer.errors import EXIT_COLLAPSED, EXIT_DONE, EXIT_FAILED, EXIT_RESTART, EXIT_USER
from trainer.run import layout
from trainer.run.layout import RunPath
from trainer.storage import open_store
from trainer.storage.limits import trouble

_POLL_SECONDS = 0.25
_LOST_SECONDS = 60.0  # a lease is renewed every 3 s, and what is missing then is looked for during 6 s


def finish(started: attempts.Started) -> Outcome:
    """How an attempt that is over ended; a run that the trainer refused leaves nothing behind."""
    path = started.path
    found = Found(path, open_store(path.url))
    _await_last_word(found, started.record)
    now = LocalBackend().status(found)
    record = read_record(found.store)
    code = record.exit_code if record else None
    if code is None:  # nobody has written it down
        code = _unrecorded(path, now)
    cause = None if record is None or record.cause is None else record.cause
    said = None if record is None or cause is None else last_error(found.store, record.attempt, cause)
    if now.lost:  # and its logs with it
        said = said or str((read_files(found.store).said or {}).get("message"))
    if code == EXIT_USER:
        attempts.discard(path, started.made)
        return Outcome(now, code, said or f"run '{path.name}': {now.explanation}")
    if code == EXIT_DONE:
        look = f"look at {layout.sample_grid(now.step or 0)} and {layout.LOSS_CURVES} in {path.url}"
        return Outcome(now, code, f"run '{path.name}' is finished at step {now.step}: {look}")
    if code == EXIT_COLLAPSED:
        why = (read_files(found.store).said or {}).get("message") or said  # a worker only says that it is so
        return Outcome(now, EXIT_FAILED, f"run '{path.name}' has collapsed: {why}; {way_on(now)}")
    reason = now.explanation or now.state
    if said and code == EXIT_FAILED:
        reason += f": {said}"
    how = "stopped" if now.state == "stopped" else f"ended early: {reason}"
    return Outcome(now, code, f"run '{path.name}' {how}; {way_on(now)}")


def _unrecorded(path: RunPath, now: RunStatus) -> int:
    """The exit code of an attempt without one in its record: its disk may take nothing any more."""
    if now.state == FINISHED:
        return EXIT_DONE
    return EXIT_FAILED if trouble(Path(path.url)) else EXIT_RESTART


def _await_last_word(found: Found, record: LocalRecord) -> None:
    """Wait for the end of an attempt whose folder was removed: it finds that out in seconds, and says so."""
    if read_record(found.store) is not None:
        return
    deadline = time.monotonic() + _LOST_SECONDS
    while is_alive(record.supervisor) and time.monotonic() < deadline:
        time.sleep(_POLL_SECONDS)
