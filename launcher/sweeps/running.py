"""A sweep that goes on: its runs are found by their names, so a second call does what the first one left."""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from launcher import backends
from launcher.backends.base import Overview, Started
from launcher.errors import RunAlive, RunExists, SpecError
from launcher.records.states import COLLAPSED, FAILED, FINISHED, UNKNOWN
from launcher.records.status import RunStatus, read_json
from launcher.runs import verbs
from launcher.runs.find import Place
from launcher.runs.table import list_runs, stand
from launcher.spec.runspec import RunSpec
from launcher.sweeps.planning import Member, Plan
from launcher.sweeps.schedule import Event, play
from trainer.errors import EXIT_DONE, EXIT_FAILED, EXIT_RESTART, EXIT_USER, StorageError
from trainer.run import layout
from trainer.storage import open_store

_CLAIMED_SECONDS = 10.0  # between the claim of a name and the first record of who trains there
_SLICE_SECONDS = 0.1  # a Ctrl-C is heeded that soon

Submit = Callable[[RunSpec], Started]


@dataclass(frozen=True)
class Row:
    """One run of a sweep as it stands."""

    run: str
    values: dict[str, str]
    """What is its own."""
    state: str
    """As of `RunStatus`; waiting for one that was not started."""
    step: int | None
    steps: int | None
    metrics: dict[str, Any]
    explanation: str


@dataclass(frozen=True)
class Result:
    """How a sweep stands when it is left."""

    rows: Sequence[Row]
    statuses: Sequence[RunStatus] = field(default=(), repr=False)
    """Of the runs that were started."""
    refusal: str = ""
    """Why no more runs were started, empty when all were or somebody stopped it."""

    @property
    def live(self) -> list[str]:
        """Runs that go on."""
        return [status.run for status in self.statuses if not status.over]

    @property
    def exit_code(self) -> int:
        """0 all have finished, 1 some failed or collapsed, 42 some were not started, or cut off."""
        states = {row.state for row in self.rows}
        if states & {FAILED, COLLAPSED}:
            return EXIT_FAILED
        return EXIT_DONE if states == {FINISHED} else EXIT_RESTART


def go(
    plan: Plan,
    tell: Callable[[Event], object] = lambda event: None,
    stopped: Callable[[], bool] = lambda: False,
    submit: Submit = verbs.submit,
) -> Result:
    """Start the runs of a sweep that are not there yet, and return when all have ended or `stopped` says so.

    Raises:
        UserError: a run of that name is there with other values, or the first one cannot be started.
    """
    first = plan.members[0].spec
    place = Place(first.root, first.context, first.namespace)
    names = {member.name for member in plan.members}
    known = {run.run: run for run in list_runs(place, first.experiment) if run.run in names}
    _check_same(plan.members, known)
    host = _RunHost(place, first.backend, submit, stopped)
    now, refusal = play(plan.members, known, plan.max_parallel, host, tell, stopped)
    return Result(
        [_row(member, now.get(member.name)) for member in plan.members], list(now.values()), refusal
    )


def _row(member: Member, now: RunStatus | None) -> Row:
    if now is None:
        return Row(member.name, member.values, "waiting", None, member.spec.config().steps, {}, "")
    return Row(member.name, member.values, now.state, now.step, now.steps, now.metrics, now.explanation)


def _check_same(members: Iterable[Member], known: Mapping[str, RunStatus]) -> None:
    """Refuse a run that has the name of one of ours and other values: the file was changed meanwhile."""
    for member in members:
        if member.name not in known:
            continue
        there = (read_json(open_store(member.spec.path.url), layout.RUN) or {}).get("config")
        if there is None:  # its trainer has not written it yet
            continue
        wanted = member.spec.config().model_dump(mode="json")
        for key, text in member.values.items():
            if (old := _at(there, key)) != _at(wanted, key):
                raise SpecError(
                    f"run '{member.name}' is there with {key}={old}, and the sweep says {key}={text}: "
                    "expected the same; give the sweep another name, or add values to a list at its end"
                )


def _at(config: Any, key: str) -> Any:
    for name in key.split("."):
        config = config.get(name) if isinstance(config, Mapping) else None
    return config


class _RunHost:
    """Runs of one root and one cluster."""

    def __init__(self, place: Place, backend: str, submit: Submit, stopped: Callable[[], bool]) -> None:
        self._submit, self._stopped = submit, stopped
        self._started: dict[str, Started] = {}
        own = backends.named(backend)
        self._seconds = own.look_seconds
        self._asked = [provider.polling(place) for provider in dict.fromkeys((own, backends.rest()))]

    def start(self, member: Member) -> None:
        try:
            self._started[member.name] = self._submit(member.spec)
        except (RunExists, RunAlive):  # another call of the same sweep was faster
            end = time.monotonic() + _CLAIMED_SECONDS
            while self.look([member])[0].state == UNKNOWN and time.monotonic() < end and not self._stopped():
                time.sleep(_SLICE_SECONDS)

    def look(self, members: Sequence[Member]) -> list[RunStatus]:
        """Where they stand; a bucket that is away for a while ends nothing."""
        while True:
            try:
                return stand([member.spec.path for member in members], self._known())
            except StorageError:
                if self._stopped():
                    raise
                self.pause()

    def _known(self) -> list[Overview]:
        """What their backend knows now, and who reads files: no other place is asked."""
        return [ask() for ask in self._asked]

    def refusal(self, member: Member, status: RunStatus) -> str | None:
        started = self._started.get(member.name)
        if status.state != FAILED or started is None:
            return None
        outcome = verbs.finish(started)
        return outcome.text if outcome.exit_code == EXIT_USER else None

    def pause(self) -> None:
        end = time.monotonic() + self._seconds
        while time.monotonic() < end and not self._stopped():
            time.sleep(_SLICE_SECONDS)
