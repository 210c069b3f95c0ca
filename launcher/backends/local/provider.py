"""What runs of this machine have in common; runs that no launcher started, which are files alone, too."""

from collections.abc import Callable
from typing import cast

from launcher.backends.base import PLAIN, Attempt, Backend, Options, Overview, Provider, Started
from launcher.backends.local import attempts
from launcher.backends.local.backend import LocalBackend, started_with
from launcher.backends.local.finishing import finish
from launcher.backends.local.kind import KIND
from launcher.backends.local.processes import available_cores
from launcher.backends.local.record import last_word, read_record
from launcher.backends.outcome import Outcome
from launcher.backends.place import Place
from launcher.records.run_folder import Found
from launcher.records.status import Files, RunStatus
from launcher.spec.runspec import RunSpec
from trainer.storage import LocalStore, Store


class Local(Provider):
    """This machine."""

    kind = KIND
    look_seconds = 0.5

    def submit(
        self, spec: RunSpec, ready: Callable[[], object] = lambda: None, options: Options = PLAIN
    ) -> attempts.Started:
        """Start a new run; returns when its supervisor has taken over, long before it trains."""
        return attempts.start(spec, resuming=False, ready=ready, **started_with(options))

    def check_new(self, spec: RunSpec, options: Options = PLAIN) -> None:
        """Refuse what `submit` would refuse."""
        attempts.check_root(spec.root)
        attempts.check_new(spec.path)
        (options.command or attempts.trainer_command)(spec, 1)

    def beside(self, spec: RunSpec, parallel: int) -> RunSpec:
        """The same with its part of the cores, as the workers of one run share them."""
        if spec.threads is not None or parallel == 1:
            return spec
        return spec.model_copy(update={"threads": max(1, available_cores() // (spec.workers * parallel))})

    def recorded(self, found: Found, place: Place) -> Backend | None:
        """None: files are read last, with a record or without one."""
        return None

    def unrecorded(self) -> Backend:
        """What reads files alone."""
        return LocalBackend()

    def newest(self, store: Store) -> Attempt | None:
        """What ``local.json`` says."""
        record = read_record(store)
        if record is None:
            return None
        names = ("host", "workers", "threads")
        return Attempt(
            number=record.attempt,
            begun=record.started,
            ended=record.ended,
            exit_code=record.exit_code,
            threads=record.threads,
            verb="started",
            where=f"on {record.host}",
            told={name: getattr(record, name) for name in names},
        )

    def finish(self, started: Started) -> Outcome:
        """How an attempt that is over ended; a run that the trainer refused leaves nothing behind."""
        return finish(cast(attempts.Started, started))

    def overview(self, place: Place, everywhere: bool = False) -> Overview:
        """The processes of this machine, of each run when it is looked at."""
        return _Overview(self, place)


class _Overview(Overview):
    def status(self, found: Found, settled: Files | None, newest: Callable[[], Files]) -> RunStatus | None:
        """Where a run stands by its files, and by its record where it has one on this machine."""
        if settled is None:
            return LocalBackend().listed(found)
        record = read_record(found.store) if isinstance(found.store, LocalStore) else None
        if record is None:
            return None
        # Begun again, a run tells its index when TensorFlow is loaded; the record of its processes tells now.
        return LocalBackend().listed(found, _dated(settled, found) if record.ended else None)


def _dated(files: Files, found: Found) -> Files:
    """What the index says, with the trainer's own date of it, by which the record of its processes goes."""
    word = last_word(found.store)
    return files if word is None else files._replace(said={**(files.said or {}), "updated": word})


PROVIDER = Local()
