"""Plays a schedule on a real run: real processes, a real server of objects, and faults between the two.

All that happens to the run happens in one loop, which ends after `LIMIT_SECONDS` whatever the run does.
"""

import os
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.chaos.pods import Job, Pod, send
from tests.chaos.reader import Reader
from tests.chaos.schedule import CHECKPOINT_STEPS, PRINT_STEPS, STEPS, Event, Kind, Schedule, schedule
from tests.support import teams
from tests.support.faults import RandomFaults
from tests.support.gcs import GcsServer
from tests.support.proxy import Proxy
from trainer.storage import Store, open_store

LIMIT_SECONDS = 300.0
_ROOT, _RUN, _EXPERIMENT = "gs://runs/chaos", "run", "e"  # the same for each seed, so that its faults are
_POLL_SECONDS = 0.05
_TARGET_SECONDS = 15.0  # an event waits so long for the process that it is about to appear

# The weights and slots are above 8 MiB, so that checkpoints go up in resumable sessions, as a real run's do.
SETS = (
    f"steps={STEPS}",
    "batch_size=66",  # divides by 1, 2 and 3
    "seed=2",
    "network.generator_units=[512]",
    "network.discriminator_units=[512]",
    f"checkpoints.every_steps={CHECKPOINT_STEPS}",
    f"samples.every_steps={CHECKPOINT_STEPS}",
    "metrics.every_steps=1",
    f"metrics.print_every_steps={PRINT_STEPS}",
    "xla=off",
    "recovery.heartbeat_seconds=5",
    "recovery.restarts_without_progress=10",
)
Outcome = Mapping[str, object]


@dataclass
class Result:
    """What became of one schedule."""

    seed: int
    workers: int
    schedule: Schedule
    played: list[str] = field(default_factory=list)
    """Events as they happened, with seconds since the start."""
    seconds: float = 0.0
    pods_replaced: int = 0
    trainers_started: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    looks: int = 0
    """How often the reader looked."""
    why: list[str] = field(default_factory=list)
    """What is wrong; empty when all is well."""

    @property
    def is_ok(self) -> bool:
        return not self.why


def undisturbed(folder: Path, workers: int) -> Outcome:
    """What a run with so many workers comes to when nothing happens to it."""
    run = f"w{workers}"
    teams.train(str(folder), run, folder / "logs", workers=workers, sets=SETS)
    return teams.outcome(open_store(str(folder / _EXPERIMENT / run)), STEPS)


def play(seed: int, workers: int, expected: Outcome, folder: Path) -> Result:
    """Run the schedule of a seed and compare with the undisturbed run; logs are left in `folder`."""
    result = Result(seed, workers, schedule(seed, workers))
    folder.mkdir(parents=True, exist_ok=True)
    start = time.monotonic()
    with _bucket() as (proxy, store):
        faults = proxy.add(RandomFaults(proxy, result.schedule.rates, seed))
        job = Job(_ROOT, _RUN, folder, workers, SETS, STORAGE_EMULATOR_HOST=proxy.url)
        with Reader(store) as reader, job:
            stage = _Stage(job, proxy, result)
            stage.play()
        result.seconds = time.monotonic() - start
        result.faults = faults.counts + Counter({"outage 503": stage.refused})
        result.pods_replaced, result.looks = len(job.past), reader.looks
        result.why += reader.findings
        if not result.why:
            result.why += _differences(store, expected)
        if result.why:
            _keep(store, folder / "objects")
    return result


class _Stage:
    """A run in the course of its schedule."""

    def __init__(self, job: Job, proxy: Proxy, result: Result) -> None:
        self._job, self._proxy, self._result = job, proxy, result
        self._start = self._free = time.monotonic()
        self._events = list(result.schedule.events)
        self._due: float | None = None
        self._later: list[tuple[float, Callable[[], object]]] = []
        self._trainers: set[int] = set()
        self._outages = []

    @property
    def refused(self) -> int:
        """Requests that outages refused."""
        return sum(outage.used for outage in self._outages)

    def play(self) -> None:
        """Let everything happen, and wait until the run is over."""
        while not self._job.is_done:
            self._job.tick()
            self._note_trainers()
            self._do_what_is_due()
            if time.monotonic() - self._start > LIMIT_SECONDS:
                self._result.why.append(f"not done after {LIMIT_SECONDS:.0f} s, at step {self._job.step}")
                return
            time.sleep(_POLL_SECONDS)
        if self._job.error:
            self._result.why.append(f"the job failed: {self._job.error}")
        self._result.played += [f"missed: {event}" for event in self._events]

    def _note_trainers(self) -> None:
        self._trainers |= {pid for pod in self._job.pods if (pid := pod.trainer())}
        self._result.trainers_started = len(self._trainers)

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
        if self._happens(event) or now > self._due + _TARGET_SECONDS:
            self._events.pop(0)
            self._due = None

    def _happens(self, event: Event) -> bool:
        """Do it; False when the process that it is about is not there."""
        if event.worker is None:
            outage = self._proxy.answer(503, times=None)
            self._outages.append(outage)
            self._after(event.seconds, outage.end)
        else:
            pod = self._job.pods[event.worker]
            trainer = pod.trainer() if pod.code is None else None
            if pod.code is not None or (_NEEDS_TRAINER[event.kind] and trainer is None):
                return False
            self._do(event, pod, trainer)
        seconds = time.monotonic() - self._start
        self._result.played.append(f"{seconds:.1f} s, step {self._job.step}: {event}")
        return True

    def _do(self, event: Event, pod: Pod, trainer: int | None) -> None:
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

    def _after(self, seconds: float, act: Callable[[], object]) -> None:
        self._later.append((time.monotonic() + seconds, act))


_NEEDS_TRAINER = {kind: kind in (Kind.KILL_TRAINER, Kind.PAUSE_TRAINER) for kind in Kind}


@contextmanager
def _bucket() -> Iterator[tuple[Proxy, Store]]:
    """A server of its own with a bucket, the proxy in front of it, and the run's folder as it really is."""
    server = GcsServer()
    with ExitStack() as stack:
        server.start()
        stack.callback(server.stop)
        proxy = stack.enter_context(Proxy(server.url))
        before = os.environ.get("STORAGE_EMULATOR_HOST")
        os.environ["STORAGE_EMULATOR_HOST"] = server.url
        try:
            from google.cloud import storage

            storage.Client().create_bucket("runs")
            store = open_store(f"{_ROOT}/{_EXPERIMENT}/{_RUN}")
        finally:
            os.environ.pop("STORAGE_EMULATOR_HOST")
            if before is not None:
                os.environ["STORAGE_EMULATOR_HOST"] = before
        yield proxy, store


def _differences(store: Store, expected: Outcome) -> list[str]:
    """In what the run differs from the one that nobody disturbed."""
    try:
        found = teams.outcome(store, STEPS)
    except Exception as error:
        return [f"the run cannot be read: {error!r}"]
    wrong = [name for name in sorted({*found, *expected}) if found.get(name) != expected.get(name)]
    return [f"{name} is not that of the undisturbed run" for name in wrong]


def _keep(store: Store, folder: Path) -> None:
    """Keep what is in the bucket for whoever looks into a failure."""
    for stat in list(store.list()):
        path = folder / stat.name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(store.read(stat.name))
