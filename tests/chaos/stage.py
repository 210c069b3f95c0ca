"""A run in the course of its schedule: one loop in which everything happens to it."""

import signal
import threading
import time
from collections.abc import Callable

from tests.chaos.pods import Job, Pod, send
from tests.chaos.schedule import Event, Kind
from tests.support.proxy import Proxy, Rule

LIMIT_SECONDS = 600.0  # for a whole run, whatever happens to it; a minute on two idle cores
_POLL_SECONDS = 0.05
_TARGET_SECONDS = 15.0  # an event waits so long for its pod or trainer to be there
_ABOUT_TRAINERS = (Kind.KILL_TRAINER, Kind.PAUSE_TRAINER)


class Stage:
    """Plays events on a job."""

    def __init__(self, job: Job, proxy: Proxy, events: tuple[Event, ...], stop: threading.Event) -> None:
        self._job, self._proxy, self._events, self._stop = job, proxy, list(events), stop
        self._start = time.monotonic()
        self._due: float | None = None
        self._later: list[tuple[float, Callable[[], object]]] = []
        self._trainers: dict[int, int] = {}
        self._ended: set[Pod] = set()
        self._outages: list[Rule] = []
        self.trainers_started = 0
        self.story: list[str] = []
        """What happened, with seconds since the start: events, trainers that started, pods that ended."""

    @property
    def refused(self) -> int:
        """Requests that outages refused."""
        return sum(outage.used for outage in self._outages)

    def play(self) -> str:
        """Let everything happen, and wait until the run is over; what is wrong with it, if anything."""
        while not self._job.is_done:
            self._job.tick()
            self._note()
            self._do_what_is_due()
            if time.monotonic() - self._start > LIMIT_SECONDS:
                return f"not done after {LIMIT_SECONDS:.0f} s, at step {self._job.step}"
            if self._stop.wait(_POLL_SECONDS):
                return "interrupted"
        self._note()
        for event in self._events:
            self._tell(f"missed: {event}")
        return self._job.error and f"the job failed: {self._job.error}"

    def _note(self) -> None:
        """Note which trainers have started and which pods have ended since the last look."""
        for index, pod in enumerate(self._job.pods):
            trainer = pod.trainer()
            if trainer and self._trainers.get(index) != trainer:
                self._trainers[index] = trainer
                self.trainers_started += 1
                self._tell(f"worker {index} starts a trainer")
            if pod.code is not None and pod not in self._ended:
                self._ended.add(pod)
                self._tell(f"{pod.name} leaves with {pod.code}")

    def _tell(self, what: str) -> None:
        self.story.append(f"{time.monotonic() - self._start:.1f} s, step {self._job.step}: {what}")

    def _do_what_is_due(self) -> None:
        now = time.monotonic()
        for item in [item for item in self._later if now >= item[0]]:
            self._later.remove(item)
            item[1]()
        if not self._events:
            return
        event = self._events[0]
        if self._due is None and self._job.step >= event.step:
            self._due = now + event.after
        if self._due is None or now < self._due:
            return
        late = now > self._due + _TARGET_SECONDS
        if self._do(event) or late:
            self._tell(f"{'missed' if late else 'now'}: {event}")
            self._events.pop(0)
            self._due = None

    def _do(self, event: Event) -> bool:
        """Let an event happen; False when the process that it is about is not there."""
        if event.worker is None:
            outage = self._proxy.answer(503, times=None)
            self._outages.append(outage)
            self._after(event.seconds, outage.end)
            return True
        pod = self._job.pods[event.worker]
        trainer = pod.trainer()
        if pod.code is not None or (event.kind in _ABOUT_TRAINERS and trainer is None):
            return False
        match event.kind:
            case Kind.KILL_TRAINER:
                send(trainer, signal.SIGKILL)
            case Kind.KILL_POD:
                pod.signal(signal.SIGKILL)
            case Kind.TERMINATE_POD:
                pod.terminate()
            case Kind.PAUSE_TRAINER:
                send(trainer, signal.SIGSTOP)
                self._after(event.seconds, lambda: send(trainer, signal.SIGCONT))
            case Kind.PAUSE_POD:
                pod.signal(signal.SIGSTOP)
                self._after(event.seconds, lambda: pod.signal(signal.SIGCONT))
        return True

    def _after(self, seconds: float, act: Callable[[], object]) -> None:
        self._later.append((time.monotonic() + seconds, act))
