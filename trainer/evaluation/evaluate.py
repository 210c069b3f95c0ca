"""One evaluation of a run: its samples, the images to compare with, every figure and its floors."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from trainer.config.sources import parse_source
from trainer.data import ImageSource, Look, open_source, resolve_latest, seen
from trainer.data.dataset import Accept, pinned
from trainer.data.dataset import look as look_at
from trainer.data.sources import by
from trainer.errors import UserError
from trainer.evaluation import copies, features, figures
from trainer.evaluation.drawing import draw
from trainer.evaluation.features import Network, Seen
from trainer.evaluation.request import Request, check
from trainer.run.record import Record
from trainer.sampling.generate import load as load_generator
from trainer.storage import Store

_BLOCK = 4096  # images of a set that are in memory at once, where it is not there as a whole
_COPIES = 2000  # samples whose nearest training image is looked for
_ORDER = 0  # seed of the order in which a set's images are taken

Say = Callable[[str], None]


@dataclass(frozen=True)
class Figure:
    """A figure with its floors: what real images have in the place of samples, by the same code."""

    metric: str
    name: str
    value: float
    samples: int
    floor: float | None = None
    """Half of the reference against its other half; None where a half has too few images."""
    floor_samples: int = 0
    """Of each half."""
    at_floor: float | None = None
    """The figure of as many samples, against the half that the floor is against."""
    held_out: float | None = None
    """Held-out images against the reference."""
    held_out_samples: int = 0


@dataclass(frozen=True)
class Copies:
    """Distances to the nearest training image, in grey levels."""

    median: float
    samples: int
    held_out_median: float | None = None
    """The same of held-out images; without it copying cannot be told."""

    @property
    def ratio(self) -> float | None:
        """1 for samples that are no nearer than held-out images are, 0 for copies."""
        return self.median / self.held_out_median if self.held_out_median else None


@dataclass(frozen=True)
class Evaluation:
    """All that was found of one checkpoint."""

    run: str
    step: int
    average: bool
    samples: int
    features: str
    """The network in whose features it is: ``digits@1f3a``."""
    reference: str
    held_out: str | None
    figures: tuple[Figure, ...]
    copies: Copies


class _Set(NamedTuple):
    """A set of real images."""

    source: ImageSource
    fingerprint: str

    def __str__(self) -> str:
        return f"{self.source.name}, {self.source.count} images, crc32c {self.fingerprint}"


def evaluate(store: Store, request: Request, say: Say) -> Evaluation:
    """Judge a run's checkpoint.

    Args:
        store: the run's folder.
        request: what to judge, and against what.
        say: takes a line for each part of the work, which takes seconds.

    Raises:
        UserError: there is no run or no checkpoint, a set cannot be read, is too small or of another shape.
    """
    known = check(store, request)
    network = features.network_for(known.config.image.shape)
    look = features.load(network)
    training = _training(store, known, say)
    reference = _given("--reference", request.reference, known) or training
    held_out = _given("--held-out", request.held_out, known)
    for each in filter(None, (reference, held_out)):
        _enough(each.source, network)
    loaded = load_generator(store, known.config, request.step, request.average)
    say(f"drawing {request.samples} images of step {loaded.step}")
    fake, few = _drawn(look, draw(known.config, loaded, request.samples, training.source.labels))
    say(f"comparing with {reference}")
    real = _seen(look, reference.source, 2 * request.samples)
    held = _seen(look, held_out.source, request.samples) if held_out else None
    found = _figures(network, real, fake, held)
    say("looking for the nearest training images")
    near = _copies(training.source, few, held_out.source if held_out else None)
    whose = str(held_out) if held_out else None
    return Evaluation(
        store.url, loaded.step, loaded.is_average, request.samples, network.label, str(reference), whose,
        found, near,
    )  # fmt: skip


def _training(store: Store, known: Record, say: Say) -> _Set:
    """The set that the run trains on, with the files that it began with."""
    found = look_at(known.config, pinned(store, known), Accept(), lambda _: None)
    return _Set(found.source, found.pin.fingerprint)


def _given(option: str, source: str | None, known: Record) -> _Set | None:
    """A set that was asked for, of the shape of the run's images."""
    if source is None:
        return None
    look, wanted = Look(), known.config.image.shape
    name = resolve_latest(source)
    fitted = parse_source(name)[0] == "images"  # others have a shape
    try:
        opened = open_source(name, wanted if fitted else None, look=look)
    except UserError as error:
        raise UserError(f"{option} {str(error).removeprefix('data.source ')}") from None
    if opened.shape != wanted:
        raise UserError(
            f"{option} {source}: images are {by(opened.shape)}, expected {by(wanted)} as the run's"
        )
    return _Set(opened, seen(name, opened.count, look).fingerprint)


def _enough(source: ImageSource, network: Network) -> None:
    if source.count <= network.size:
        raise UserError(
            f"{source.name}: {source.count} images, expected more than the {network.size} features of "
            f"{network.label}"
        )


def _order(count: int) -> np.ndarray:
    """A fixed order of a set's images; RandomState's numbers are the same in every NumPy."""
    return np.random.RandomState(_ORDER).permutation(count)


def _blocks(source: ImageSource, ids: np.ndarray) -> Iterator[np.ndarray]:
    return (source.read(ids[start : start + _BLOCK]) for start in range(0, len(ids), _BLOCK))


def _seen(look: features.Look, source: ImageSource, most: int) -> Seen:
    """What the network sees in a set's images, in a fixed order, `most` at most."""
    return _joined([look(block) for block in _blocks(source, _order(source.count)[:most])])


def _drawn(look: features.Look, blocks: Iterator[np.ndarray]) -> tuple[Seen, np.ndarray]:
    """What the network sees in samples, and the first samples themselves."""
    parts, few = [], []
    for number, block in enumerate(blocks):
        parts.append(look(block))
        if number * len(block) < _COPIES:
            few.append(block)
    return _joined(parts), np.concatenate(few)[:_COPIES]


def _joined(parts: list[Seen]) -> Seen:
    return Seen(*(np.concatenate(each) for each in zip(*parts, strict=True)))


def _figures(network: Network, real: Seen, fake: Seen, held: Seen | None) -> tuple[Figure, ...]:
    """Every figure, with the floors at the same count or as near to it as the sets allow."""
    samples, there = len(fake.features), len(real.features)
    reference = figures.part(real, slice(0, samples))
    values, size = figures.measured(reference, fake), len(reference.features)
    half, other = figures.halves(there)
    floor: dict[str, float] = {}
    at_floor: dict[str, float] = {}
    if there // 2 > network.size:
        first = figures.part(real, half)
        floor = figures.measured(first, figures.part(real, other))
        same = there // 2 == samples
        at_floor = values if same else figures.measured(first, figures.part(fake, half))
    apart = figures.measured(reference, held) if held else {}
    compared = figures.compared
    return tuple(
        Figure(
            metric,
            figures.name(metric, network, compared(metric, samples, size)),
            value,
            compared(metric, samples, size),
            floor.get(metric),
            compared(metric, there // 2, there // 2) if floor else 0,
            at_floor.get(metric),
            apart.get(metric),
            compared(metric, len(held.features), size) if held else 0,
        )
        for metric, value in values.items()
    )


def _copies(training: ImageSource, few: np.ndarray, held_out: ImageSource | None) -> Copies:
    everything = np.arange(training.count)

    def median(images: np.ndarray) -> float:
        return float(np.median(copies.nearest(images, _blocks(training, everything))))

    if held_out is None:
        return Copies(median(few), len(few))
    others = held_out.read(_order(held_out.count)[: len(few)])
    return Copies(median(few), len(few), median(others))
