"""What a backend is: a place where workers run, and what can be asked of a run there.

There are two, processes on this machine and pods of a Kubernetes Job. Both leave the same files in the run's
folder, so a backend adds only what the folder cannot tell: which workers live, and how they are stopped.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple, Protocol

from launcher.records.follow import LogLine
from launcher.records.run_folder import Found
from launcher.records.status import Files, RunStatus
from launcher.spec.next_commands import command_line
from launcher.spec.runspec import RunSpec
from trainer.run.layout import RunPath


class Known(NamedTuple):
    """The Jobs of a namespace."""

    by_name: Mapping[str, dict[str, Any]]
    time: datetime | None = None
    """When they were so, by the API server's clock."""


Jobs = Callable[[], Known]
"""The Jobs of the namespace that a run was submitted to, asked for when they are first wanted.

Raises:
    UserError: it cannot be asked.
"""


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


@dataclass(frozen=True)
class Outcome:
    """How an attempt ended."""

    status: RunStatus
    exit_code: int
    """0 done, 2 the user's mistake, 42 resume me, 1 anything else."""
    text: str
    """One line for a person, with the command to type next."""


class Backend(Protocol):
    """Where a run's workers live; every method takes a run that exists."""

    name: str

    def status(self, found: Found) -> RunStatus:
        """Where the run stands now."""

    def listed(self, found: Found, jobs: Jobs, files: Files | None = None) -> RunStatus:
        """The same for a table of many runs: cheap, with what is asked for once for all of them.

        `files` is what is known of the run's folder, which is read when it is None.
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

    def check_next(self, found: Found, spec: RunSpec) -> None:
        """Raise what `resume` would, but for the attempt that is under way."""

    def resume(self, found: Found, spec: RunSpec) -> Started:
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


def way_on(now: RunStatus) -> str:
    """What is saved of a run that has not finished, and the command that goes on from there."""
    again = command_line("resume", RunPath(now.root, now.experiment, now.run))
    saved = "nothing is saved" if now.checkpoint_step is None else f"saved at step {now.checkpoint_step}"
    return f"{saved}; go on with `{again}`"
