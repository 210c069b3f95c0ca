"""What a backend is: a place where workers run, and what can be asked of a run there.

All leave the same files in the run's folder, so a backend adds only what the folder cannot tell: which
workers live, and how they are stopped. A `Provider` stands for one kind of place, a `Backend` for the workers
of one run there, an `Overview` for what is asked once for many.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Literal, NamedTuple, Protocol

from launcher.backends.outcome import Outcome, outcome
from launcher.backends.place import Place
from launcher.errors import NoSuchRun, Unsupported
from launcher.records.follow import LogLine
from launcher.records.run_folder import Found
from launcher.records.states import State
from launcher.records.status import Files, RunStatus
from launcher.spec.kinds import Kind
from launcher.spec.runspec import RunSpec
from trainer.run.layout import RunPath
from trainer.storage import Store, open_store

WorkerCommand = Callable[[RunSpec, int], list[str]]
"""From a run and the threads of a worker to what each worker process runs."""


class Options(NamedTuple):
    """How an attempt is started, beside what its specification says; for workers that are processes here."""

    command: WorkerCommand | None = None
    """What workers run; None is the trainer."""
    grace_seconds: float | None = None
    """What a worker may take to save when it is asked to stop; None is the backend's own idea."""


PLAIN = Options()


class Update(NamedTuple):
    """What is new of a run that is being followed."""

    lines: list[LogLine]
    status: RunStatus


class LogChoice(NamedTuple):
    """Which lines of a run's logs are wanted."""

    worker: int | None = None
    """One worker only."""
    tail: int | None = None
    """Only that many last lines of each worker, of those that are there already."""
    since_seconds: float | None = None
    """Only lines of the last so many seconds; pods only, as files hold no times."""
    attempt: int | None = None
    """An earlier attempt than the newest."""


class Started(Protocol):
    """An attempt that is under way."""

    @property
    def path(self) -> RunPath:
        """The run's place."""

    @property
    def backend(self) -> str:
        """Name of where it runs."""


class Judged(NamedTuple):
    """How an evaluation ended."""

    exit_code: int
    """The trainer's: 0 where its figures are in the run's folder."""
    text: str
    """Why not, empty where they are."""


class Evaluating(Protocol):
    """An evaluation of a run that goes on by itself."""

    @property
    def name(self) -> str:
        """By which the cluster knows it."""

    @property
    def joined(self) -> bool:
        """Whether it was under way, asked for in the same way, before it was asked for here."""

    def follow(self) -> Iterator[list[str]]:
        """Lines of its log, from its beginning to its end; some may be empty."""

    def ending(self) -> Judged:
        """How it ended; waits until it has."""


class Attempt(NamedTuple):
    """What a backend's record in the run's folder says of the newest attempt."""

    number: int
    begun: str
    """ISO time, UTC."""
    ended: str | None = None
    """The same, where the record says it."""
    exit_code: int | None = None
    """The attempt's, where the record says it."""
    threads: int | None = None
    """Threads that each worker had, where the record says it."""
    verb: Literal["submitted", "started"] = "submitted"
    """Whether it was handed to others, or begun here."""
    where: str = ""
    """Where, in words: ``on host desk``."""
    told: Mapping[str, Any] = {}
    """What else the record says, by name, for `show`; nothing in it is secret. Of a specification that the
    record keeps, ``settings`` is what was given, and ``env`` the names of variables."""


class Backend(Protocol):
    """Where a run's workers live; every method takes a run that exists."""

    @property
    def name(self) -> str:
        """Its kind's."""

    def status(self, found: Found) -> RunStatus:
        """Where the run stands now."""

    def by_files(self, found: Found, files: Files) -> State:
        """The state as far as the run's folder tells it; nobody is asked."""

    def asked(self, found: Found) -> dict[str, Any] | None:
        """Fields of `RunSpec` that the newest attempt was started with, as its record tells them.

        Empty where the record says nothing of it; None where there is no record.

        Raises:
            GantryError: the record is damaged.
        """

    def placed(self) -> dict[str, Any]:
        """Fields of `RunSpec` by which another run goes to the same place.

        Raises:
            UserError: the place cannot be told.
        """

    def logs(self, found: Found, choice: LogChoice) -> list[LogLine]:
        """Lines so far, worker by worker.

        Raises:
            SpecError: there is no such attempt or worker.
        """

    def follow(self, found: Found, choice: LogChoice) -> Iterator[Update]:
        """What the newest attempt writes, from its beginning to its end; updates may hold no line."""

    def wait(self, found: Found, seconds: float | None) -> RunStatus | None:
        """How the run ended, None when it has not after `seconds`."""

    def check_idle(self, found: Found, *, abandon: bool = False) -> None:
        """Raise `RunAlive` while an attempt is under way.

        With `abandon` a cluster other than the one that is to run it now, where the last attempt was, is not
        asked.
        """

    def held(self, found: Found) -> AbstractContextManager[None]:
        """Hold a run against whoever would start it, while something of it is removed for good.

        Whatever destroys does it inside of this, so that no mistake about what lives can cost data.

        Raises:
            RunAlive: an attempt is under way, or somebody else holds the run.
            NoSuchRun: it was removed meanwhile.
        """

    def check_next(self, found: Found, spec: RunSpec, options: Options = PLAIN) -> None:
        """Raise what `resume` would, but for the attempt that is under way."""

    def resume(self, found: Found, spec: RunSpec, options: Options = PLAIN) -> Started:
        """Start the next attempt."""

    def request_stop(self, found: Found, *, kill: bool = False) -> bool:
        """Ask the workers to save and stop, or kill them, and return at once; False when there are none."""

    def cancel(self, found: Found, *, kill: bool = False) -> RunStatus:
        """The same, and wait until they are gone; a run that has ended stays as it is.

        Raises:
            Unsupported: its workers cannot be stopped from here, or nobody can tell whether they live.
            GantryError: they are not gone in time.
        """

    def delete(self, found: Found) -> list[str]:
        """Remove what the backend keeps of a run that has ended, except its files; the names of it."""

    def where(self, found: Found) -> str:
        """Where it keeps that: ``namespace 'team' of context 'here'``; empty where it keeps nothing."""


class Overview:
    """What a kind of place knows of many runs, asked for when it is first wanted; here each by its record."""

    def __init__(self, provider: "Provider", place: Place) -> None:
        self._provider, self._place = provider, place

    @property
    def roots(self) -> list[str]:
        """Roots of the runs that it knows without a folder."""
        return []

    def expected(self, root: str) -> list[RunPath]:
        """Runs below a root that may have no folder yet."""
        return []

    def runs(self, root: str) -> list[RunPath]:
        """Runs below a root that it can tell of without their folders."""
        return []

    def alone(self, path: RunPath) -> RunStatus | None:
        """Where one of these stands, whose folder cannot be read; None if it cannot tell."""
        return None

    def status(self, found: Found, settled: Files | None, newest: Callable[[], Files]) -> RunStatus | None:
        """Where a run stands, None where it has nothing to add to what its index says.

        Args:
            found: the run.
            settled: what the index says of one that has ended, None where that is not known.
            newest: reads what the run's folder says now.

        Raises:
            GantryError: a record is damaged.
        """
        backend = self._provider.recorded(found, self._place) if settled is None else None
        return None if backend is None else backend.status(found)


class Provider:
    """A kind of place where workers run; what is left undone here is what most kinds do not have."""

    kind: Kind
    look_seconds = 2.0
    """Between two looks at runs that go on."""

    def submit(self, spec: RunSpec, ready: Callable[[], object], options: Options = PLAIN) -> Started:
        """Start a new run; see `launcher.runs.verbs.submit`."""
        raise NotImplementedError

    def check_new(self, spec: RunSpec, options: Options = PLAIN) -> None:
        """Refuse what `submit` would refuse."""
        raise NotImplementedError

    def recorded(self, found: Found, place: Place) -> Backend | None:
        """The backend of a run that has this one's record in its folder, None where there is none.

        Raises:
            GantryError: it is damaged.
        """
        raise NotImplementedError

    def newest(self, store: Store) -> Attempt | None:
        """What this backend's record in a run's folder says of the newest attempt, None where there is none.

        Raises:
            GantryError: it is damaged.
        """
        raise NotImplementedError

    def dry_run(self, spec: RunSpec) -> list[dict[str, Any]]:
        """Let the place judge what would be sent there, and keep nothing; the manifests.

        Raises:
            Unsupported: nothing is sent.
            UserError: it refuses something.
        """
        raise Unsupported(f"backend is {self.kind.name}: expected one that is sent manifests")

    def evaluate(self, spec: RunSpec, words: Sequence[str], store: Store) -> Evaluating:
        """Have the checkpoints of a run judged there; returns long before there are figures.

        Args:
            spec: of the run, with the resources that it is judged with.
            words: what the trainer is told.
            store: the run's folder.

        Raises:
            Unsupported: nothing but its own workers runs there.
            UserError: it refuses it; nothing was kept.
        """
        raise Unsupported(f"backend is {self.kind.name}: expected one that has pods, to judge a run there")

    def beside(self, spec: RunSpec, parallel: int) -> RunSpec:
        """A specification as it is for one of so many runs at the same time."""
        return spec

    def sought(self, found: Found, place: Place) -> Backend | None:
        """The backend of a run without a record that this place knows all the same."""
        return None

    def unrecorded(self) -> Backend:
        """The backend of runs that nobody has a record of; of the kind that takes the rest."""
        raise NotImplementedError

    def find(self, place: Place, run: str, missing: NoSuchRun) -> Found:
        """A run that has no folder, or none where it was looked for.

        Raises:
            NoSuchRun: `missing`, or the same with what is known here.
            UserError: the name is of several runs.
        """
        raise missing

    def home(self, found: Found, place: Place) -> Place:
        """Where to look for the workers of a run, when `place` is where another one shall go."""
        return place

    def finish(self, started: Started) -> Outcome:
        """How an attempt that is over ended."""
        found = Found(started.path, open_store(started.path.url))
        backend = self.recorded(found, Place()) or self.sought(found, Place())
        if backend is None:
            raise NoSuchRun(f"run '{started.path.name}': its record is gone from {started.path.url}")
        return outcome(started.path, backend.status(found))

    def overview(self, place: Place, everywhere: bool = False) -> Overview:
        """What it knows of many runs; `everywhere` for what is not the place's too."""
        return Overview(self, place)

    def polling(self, place: Place) -> Callable[[], Overview]:
        """Asked again and again, what it knows of many runs at each time."""
        return lambda: self.overview(place)

    def known(self, place: Place) -> list[RunPath]:
        """Runs that it knows, whatever folders there are; for names to choose from."""
        return []

    def load(self, place: Place) -> None:
        """Import what `known` takes, which is slow and no answer."""
