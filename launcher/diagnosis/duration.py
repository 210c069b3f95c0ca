"""How long a run will take: at the pace of a finished run that did the same work, else estimated."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from launcher.backends.local.processes import available_cores
from launcher.records.states import parse_time
from launcher.spec.runspec import RunSpec
from launcher.time_limit import within
from trainer.config import RunConfig, price, same_work
from trainer.errors import GantryError
from trainer.networks.duration import seconds_per_1000_images

if TYPE_CHECKING:
    from trainer.run.index import Entry
    from trainer.storage import Store

_ANSWER_SECONDS = 10.0
_RECORDS = 8  # of finished runs, the newest first, that are read to find one that did the same


@dataclass(frozen=True)
class Duration:
    """How long a run takes."""

    images: int
    """Real images that the discriminator is shown."""
    steps: int
    seconds_per_1000_images: float
    seconds: float
    """Of training and of evaluations; where it goes by another run, with that one's start."""
    run: str | None
    """The finished run of the same experiment, work and number of workers whose pace it is; None where it is
    estimated from what a step computes."""
    cores: float
    """Of each worker, by which an estimate goes."""


def duration(spec: RunSpec, config: RunConfig, asked: float | None, *, ask: bool = True) -> Duration | None:
    """How long a run takes; None on a GPU, as none was timed, unless a run like it is known.

    Args:
        spec: the run.
        config: its configuration.
        asked: cores that its pods ask for together; None on this machine, whose cores they share.
        ask: whether its root is asked for finished runs.
    """
    cores = (asked or available_cores()) / spec.workers
    if found := _finished(spec, config) if ask else None:
        pace, run = found
    elif spec.gpus:
        return None
    else:
        pace, run = seconds_per_1000_images(config, cores, spec.workers), ""
    images = config.steps * config.images_per_step
    seconds = images * pace / 1000
    if not run:
        seconds += price(config, cores, spec.workers).all_seconds
    return Duration(images, config.steps, float(f"{pace:.3g}"), round(seconds, 1), run or None, cores)


def asked_cores(spec: RunSpec, manifests: Sequence[dict[str, Any]]) -> float:
    """Cores that the pods of a run's manifests ask for together."""
    from launcher.backends.kubernetes.capacity.requests import requests_of, times

    pod = manifests[0]["spec"]["template"]["spec"]
    return float(times(spec.workers, requests_of(pod)).get("cpu", 0))


def _finished(spec: RunSpec, config: RunConfig) -> tuple[float, str] | None:
    """Seconds for 1,000 images of the newest finished run that did the same work, and its name."""
    from trainer.run.index import read
    from trainer.storage import open_store

    where = f"{spec.root.rstrip('/')}/{spec.experiment}"

    def look() -> tuple[float, str] | None:
        store = open_store(where)
        like = [
            entry
            for entry in read(store).values()
            if (entry.state, entry.world_size) == ("finished", spec.workers) and entry.step and _took(entry)
        ]
        like.sort(key=lambda entry: entry.ended or "", reverse=True)
        for entry in like[:_RECORDS]:
            done = _recorded(store, entry)
            if done and same_work(config, done):
                return 1000 * _took(entry) / (entry.step * done.images_per_step), entry.run
        return None

    try:
        return within(_ANSWER_SECONDS, look, where)
    except GantryError:  # submit says what is wrong with the bucket
        return None


def _recorded(store: "Store", entry: "Entry") -> RunConfig | None:
    """What a run was, as its own folder says; None where that cannot be read."""
    from trainer.run.record import read
    from trainer.storage import open_store

    try:
        record = read(open_store(f"{store.url}/{entry.run}"))
    except GantryError:
        return None
    return record.config if record else None


def _took(entry: "Entry") -> float:
    begun, ended = parse_time(entry.created), parse_time(entry.ended)
    return max(timedelta(), ended - begun).total_seconds() if begun and ended else 0.0
