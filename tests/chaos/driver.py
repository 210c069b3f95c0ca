"""Plays a schedule on a real run: real processes, a real server of objects, and faults between the two."""

import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from google.cloud import storage

from tests.chaos.pods import Job
from tests.chaos.reader import Reader
from tests.chaos.schedule import CHECKPOINT_STEPS, PRINT_STEPS, STEPS, Schedule, schedule
from tests.chaos.stage import Stage
from tests.support import teams
from tests.support.faults import RandomFaults
from tests.support.gcs import GcsServer
from tests.support.proxy import Proxy
from tests.trainer.pods import arguments
from trainer.storage import Store, open_store

_ROOT, _EXPERIMENT, _RUN = "gs://runs/chaos", "e", "run"  # the same for each seed, so that its faults are

_COMMON = (
    f"steps={STEPS}",
    "batch_size=66",  # divides by 1, 2 and 3
    "seed=2",
    f"checkpoints.every_steps={CHECKPOINT_STEPS}",
    f"samples.every_steps={CHECKPOINT_STEPS}",
    "metrics.every_steps=1",
    f"metrics.print_every_steps={PRINT_STEPS}",
    "xla=off",
    "recovery.heartbeat_seconds=5",
    "recovery.restarts_without_progress=10",
)
# The plain GAN, judged while it trains; whatever has a state: averages, statistics of batches, u and v of
# the spectral norm, both Adams, a schedule of rates, labels, a lazy penalty; and what takes a batch apart or
# draws more. Weights and slots of the first two are above 8 MiB, so that checkpoints go up in resumable
# sessions, as a real run's do.
SETS = {
    "mlp": (
        *_COMMON,
        "network.generator_units=[512]",
        "network.discriminator_units=[512]",
        "data.holdout=0.1",
        f"evaluation.every_steps={CHECKPOINT_STEPS // 2}",
        "evaluation.samples=520",  # three blocks: with two workers and with three
    ),
    "demo": (
        *_COMMON,
        "network.generator_filters=[256,4]",  # large, and quickly computed
        "network.discriminator_filters=[8,16]",
        "network.discriminator_normalization=spectral",
        "optimizer.schedule.decay_from=20",
        f"optimizer.schedule.decay_to={STEPS}",
    ),
    "dcgan": (
        *_COMMON,
        "batch_size=72",  # for 2 and 3 workers, in packs of 2 and parts of 12
        "network.generator_filters=[32,16]",
        "network.discriminator_filters=[16,32]",
        "network.generator_normalization=none",
        "network.discriminator_normalization=spectral",
        "regularizers.instance_noise.stddev=0.3",
        f"regularizers.instance_noise.decay_to={STEPS}",
        "packing=2",
        "microbatch=12",
        "loss=rpgan",
        "averaging.half_life_images=1000",
    ),
}
"""Presets that are played, and what each has overridden."""
_environment = threading.Lock()  # by which a client of storage is told of its server
Outcome = Mapping[str, object]


@dataclass
class Result:
    """What became of one schedule."""

    seed: int
    workers: int
    preset: str
    schedule: Schedule
    story: list[str] = field(default_factory=list)
    """See `Stage.story`."""
    seconds: float = 0.0
    pods_replaced: int = 0
    trainers_started: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    why: list[str] = field(default_factory=list)
    """What is wrong; empty when all is well."""

    @property
    def is_ok(self) -> bool:
        return not self.why


def undisturbed(folder: Path, workers: int, preset: str) -> Outcome:
    """What a run with so many workers comes to when nothing happens to it."""
    run = f"{preset}-w{workers}"
    teams.train(str(folder), run, folder / "logs", workers=workers, preset=preset, sets=SETS[preset])
    return teams.outcome(open_store(str(folder / _EXPERIMENT / run)), STEPS)


def play(
    seed: int,
    workers: int,
    preset: str,
    expected: Outcome,
    folder: Path,
    stop: threading.Event | None = None,
) -> Result:
    """Run the schedule of a seed and compare with the undisturbed run; logs are left in `folder`.

    Several may be played at once from threads; `stop` ends them before their time.
    """
    result = Result(seed, workers, preset, schedule(seed, workers))
    folder.mkdir(parents=True, exist_ok=True)
    start = time.monotonic()
    with _bucket() as (proxy, store):
        faults = proxy.add(RandomFaults(proxy, result.schedule.rates, seed))
        command = arguments(_ROOT, _RUN, SETS[preset], preset)
        job = Job(command, folder, workers, STORAGE_EMULATOR_HOST=proxy.url)
        with Reader(store) as reader, job:
            stage = Stage(job, proxy, result.schedule.events, stop or threading.Event())
            wrong = stage.play()
        result.seconds = time.monotonic() - start
        result.story, result.trainers_started = stage.story, stage.trainers_started
        result.pods_replaced = len(job.past)
        result.faults = faults.counts + Counter({"outage 503": stage.refused})
        result.why = [wrong] * bool(wrong) + reader.findings
        if reader.looks == 0 or STEPS not in reader.seen:
            result.why.append(f"the reader saw {sorted(reader.seen)} in {reader.looks} looks")
        result.why = result.why or _differences(store, expected)
        if result.why and not (stop and stop.is_set()):
            _keep(store, folder / "objects")
    return result


@contextmanager
def _bucket() -> Iterator[tuple[Proxy, Store]]:
    """A server of its own with a bucket, the proxy in front of it, and the run's folder as it really is."""
    server = GcsServer()
    with ExitStack() as stack:
        server.start()
        stack.callback(server.stop)
        proxy = stack.enter_context(Proxy(server.url))
        with _environment, pytest.MonkeyPatch.context() as patched:
            patched.setenv("STORAGE_EMULATOR_HOST", server.url)
            storage.Client().create_bucket("runs")
            store = open_store(f"{_ROOT}/{_EXPERIMENT}/{_RUN}")
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
