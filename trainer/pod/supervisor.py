"""Keeps a worker's trainer going: start, wait, start again with the peers, and know when to give up.

It knows neither TensorFlow nor Kubernetes, only a meeting place, a way to run a trainer once and what has
been reached so far, so that it is tested alone with a trainer that is a few lines long.

A trainer is started again when it leaves with 42 or a signal ends it. Starting again without getting anywhere
is capped: progress is a newer complete checkpoint, seen by the chief's supervisor, which counts for all.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from trainer.errors import EXIT_DONE, EXIT_FAILED, EXIT_RESTART
from trainer.pod.rendezvous import Generation, Meeting
from trainer.pod.trainer_process import Ending

_LONGEST_PAUSE_SECONDS = 30.0
_LOOK_SECONDS = 5.0  # between two looks whether the run was finished by the others


class _Asked(Exception):
    """This pod was asked to stop while it waited."""


class _Finished(Exception):
    """The run turned out to be finished while we waited for its workers."""


class Host(Protocol):
    """What the supervisor acts on."""

    @property
    def asked(self) -> str:
        """Name of the signal by which this pod was asked to stop, empty while it was not."""

    def run(self, generation: Generation, restarts: int, because: str, over: Callable[[], str]) -> Ending:
        """Run a trainer to its end; `over` says why its generation is over, nothing while it is not."""

    def newest_step(self) -> int | None:
        """Step of the newest complete checkpoint, None when that cannot be known now."""

    def restarts_before(self) -> int | None:
        """Restarts of this attempt under a pod that this one replaces; None when this is the first."""

    def check_record(self) -> None:
        """Return while there is a run to go on with.

        Raises:
            RunLost: it had its record, which is gone.
        """

    def is_finished(self) -> bool:
        """Whether the run has taken its last step and written its result."""

    def tell(self, state: str, message: str, restarts: int) -> None:
        """Say in the run's status where it stands while no trainer can."""

    def say(self, text: str) -> None:
        """Add a line to the log."""


@dataclass
class RestartBudget:
    """Counts restarts, and those that brought nothing."""

    limit: int
    """Restarts without progress that are allowed."""
    restarts: int = 0
    in_vain: int = 0
    reached: int = 0
    """Step of the newest complete checkpoint seen."""

    def restart(self, step: int | None) -> bool:
        """A trainer has to be started again; False when that is once too often."""
        self.restarts += 1
        if step is not None and step > self.reached:
            self.reached, self.in_vain = step, 0
        self.in_vain += 1
        return self.in_vain <= self.limit

    @property
    def pause_seconds(self) -> float:
        """How long to wait before the next start: not at all at first, then longer and longer."""
        return 0.0 if self.in_vain <= 1 else min(_LONGEST_PAUSE_SECONDS, 2.0 ** (self.in_vain - 1))


class Supervisor:
    """The life of one pod."""

    def __init__(self, host: Host, meeting: Meeting, *, leads: bool, limit: int, peer_seconds: float) -> None:
        """`leads`: this is the chief's pod, which counts restarts and tells the run's status."""
        self._host, self._meeting, self._leads, self._peer_seconds = host, meeting, leads, peer_seconds
        self._budget = RestartBudget(limit)
        self._because = ""
        self._looked = 0.0

    def run(self) -> int:
        """Supervise to the end of the run, or of this pod; its exit code.

        Raises:
            PeerLost: the other workers did not come.
            RunLost: the run's record was there and is gone: there is nothing to start a trainer for.
        """
        if self._leads:
            self._take_over()
        while True:
            if self._host.is_finished():
                self._host.say("the run is finished")
                return EXIT_DONE
            self._host.check_record()
            try:
                generation = self._meeting.gather(self._peer_seconds, self._host.say, self._pause)
            except _Finished:
                continue
            except _Asked:
                return EXIT_RESTART
            ending = self._host.run(generation, self._budget.restarts, self._because, self._meeting.over)
            code = self._after(generation, ending)
            if code is not None:
                return code

    def _take_over(self) -> None:
        """Go on counting, and telling, where the chief's pod before this one was cut off."""
        self._budget.reached = self._host.newest_step() or 0
        if (before := self._host.restarts_before()) is None or self._host.is_finished():
            return
        self._budget.restarts = before + 1
        self._because = "worker 0, the chief, has a new pod"
        self._host.tell("restarting", self._way_on(), before + 1)

    def _after(self, generation: Generation, ending: Ending) -> int | None:
        """What to do after a trainer: the exit code for this pod, or None to start another."""
        over, done = self._meeting.over(), ending.code == EXIT_DONE
        reason = ending.text
        if self._host.asked and not done:
            reason = f"worker {generation.cluster.index} was asked to stop ({self._host.asked})"
        self._meeting.end(reason, done)
        if self._host.asked or ending.code != EXIT_RESTART:
            return ending.code
        self._because = over or reason
        return self._start_again()

    def _start_again(self) -> int | None:
        step = self._host.newest_step() if self._leads else None
        if not self._budget.restart(step) and self._leads:
            text = (
                f"{self._budget.limit} restarts brought no newer checkpoint than step "
                f"{self._budget.reached}; the last reason: {self._because}"
            )
            self._host.say(f"error: {text}")
            self._host.tell("failed", text, self._budget.restarts - 1)
            return EXIT_FAILED
        count = self._budget.restarts
        if self._leads:
            text = self._way_on()
            self._host.tell("restarting", text, count)
        else:
            text = f"{self._because} (restart {count})"
        self._host.say(f"starting again: {text}")
        try:
            self._sleep(self._budget.pause_seconds if self._leads else 0.0)
        except _Asked:
            return EXIT_RESTART
        return None

    def _way_on(self) -> str:
        where = f"step {self._budget.reached}" if self._budget.reached else "the beginning"
        return f"{self._because}; all workers go on from {where} (restart {self._budget.restarts})"

    def _sleep(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self._pause(min(0.2, left))

    def _pause(self, seconds: float) -> None:
        """Sleep between two looks for the peers."""
        time.sleep(seconds)
        if self._host.asked:
            raise _Asked
        # The peers may have taken the last step while our trainer was cut off; then nobody comes any more.
        if not self._leads and time.monotonic() - self._looked > _LOOK_SECONDS:
            self._looked = time.monotonic()
            if self._host.is_finished():
                raise _Finished
