"""Figures of one set of samples against a run's real images, as training asks for them again and again.

What does not change from one evaluation to the next is measured once: the floors, and what held-out images
have in the place of samples.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from trainer.config import RunConfig
from trainer.data import ImageSource, to_unit_range
from trainer.data.holdout import HeldOut
from trainer.errors import DataError
from trainer.evaluation import copies, figures, reference
from trainer.evaluation.drawing import BLOCK, Drawer
from trainer.evaluation.features import Network, Seen, joined
from trainer.evaluation.sets import Set
from trainer.methods.packing import packed
from trainer.metrics import BY_NAME
from trainer.networks.keras_builder import call
from trainer.run import ownership
from trainer.run.best import CHOSEN_BY, REPORTED
from trainer.storage import Store
from trainer.storage.retrying import ask

_FEW = 512  # images whose nearest training image is looked for, and that D is asked about


class Sources(NamedTuple):
    """What a run is judged with, on this worker."""

    source: ImageSource
    """Images that it trains on."""
    in_memory: bool
    held_out: HeldOut | None
    fingerprint: str
    """Of the training images' files."""
    kept: Store | None
    """The experiment's folder; the chief's."""


class Comparison:
    """What samples are compared with; the chief's."""

    def __init__(
        self, config: RunConfig, network: Network, sources: Sources, real: Seen, halves: Sequence[Seen]
    ) -> None:
        """Measure the floors.

        Args:
            config: the run's.
            network: in whose features it is.
            sources: the images.
            real: what it sees in training images, at least as many as samples where there are.
            halves: what it sees in both halves of the held-out images; none without.
        """
        self._config, self._network, self._sources = config, network, sources
        self._real, self._halves = real, halves
        held = sources.held_out
        self._reference = str(Set(sources.source, sources.fingerprint))
        self._held_out = str(Set(held.source, held.fingerprint)) if held else None
        self._against = figures.part(real, slice(0, config.evaluation.samples))
        self._metrics = self._of(len(self._against.features))
        half, other = figures.halves(len(real.features))
        self._floors = figures.measured(
            figures.part(real, half), figures.part(real, other), self._of(half.stop)
        )
        self._beside: dict[str, float] = {}
        self._held = sum(len(half.features) for half in halves)
        if halves:
            both = joined([*halves])
            few = min(self._held, len(self._against.features))
            self._beside = figures.measured(self._against, both, self._of(few))

    def _of(self, images: int) -> tuple[str, ...]:
        return figures.of_training(self._config.evaluation.metric, self._network, images)

    def figures(
        self, fake: Seen, drawer: Drawer, discriminator: keras.Model
    ) -> tuple[dict[str, float], dict[str, Any]]:
        """Figures for a line of metrics, and all of them with where they are from.

        Args:
            fake: what the network sees in samples.
            drawer: draws more of them.
            discriminator: which is asked whether it knows its training images by heart.
        """
        metric = self._config.evaluation.metric
        found = figures.measured(self._against, fake, self._metrics)
        values = {name: value for name, value in found.items() if name in BY_NAME}
        if self._halves:
            halves = zip((CHOSEN_BY, REPORTED), self._halves, strict=True)
            values |= {name: figures.measured(half, fake, (metric,))[metric] for name, half in halves}
            values |= self._overfitting(drawer, discriminator)
        entry = {
            "samples": len(fake.features),
            "features": self._network.label,
            "reference": self._reference,
            "held_out": self._held_out,
            "metrics": {name: self._figure(name, value, len(fake.features)) for name, value in found.items()},
            **{name: values[name] for name in (CHOSEN_BY, REPORTED, "copies", "d_overfit") if name in values},
        }
        return values, entry

    def _figure(self, metric: str, value: float, drawn: int) -> dict[str, Any]:
        samples = figures.compared(metric, drawn, len(self._against.features))
        half, size = len(self._real.features) // 2, len(self._against.features)
        return {
            "name": figures.name(metric, self._network, samples),
            "value": value,
            "interval": None,
            "draws": 1,
            "samples": samples,
            "floor": self._floors.get(metric),
            "floor_samples": figures.compared(metric, half, half) if metric in self._floors else 0,
            # Of fewer samples it would be another figure, for which there is no time while a run trains.
            "at_floor": value if metric in self._floors and half >= drawn else None,
            "held_out": self._beside.get(metric),
            "held_out_samples": figures.compared(metric, self._held, size) if self._held else 0,
            "features": self._network.label,
            "reference": self._reference,
        }

    def _overfitting(self, drawer: Drawer, discriminator: keras.Model) -> dict[str, float]:
        """Whether samples are copies, and whether D knows its training images by heart."""
        held, source = self._sources.held_out, self._sources.source
        assert held is not None
        few = np.concatenate([drawer.block(number) for number in range(_FEW // BLOCK)])
        some = reference.chosen(source.count, _FEW, self._sources.in_memory)
        real = ask(ownership.outage(self._config), lambda: source.read(some))
        others = np.arange(held.source.count)[:_FEW]
        apart = held.source.read(others)
        found: dict[str, float] = {}
        if self._sources.in_memory:
            everything = source.load()
            of_fake, of_held = (
                float(np.median(copies.nearest(images, [everything]))) for images in (few, apart)
            )
            if of_held:
                found["copies"] = of_fake / of_held
        labels: list[np.ndarray | None] = [None, None, None]
        if self._config.conditioning.on:
            assert source.labels is not None and held.source.labels is not None
            drawn = [drawer.labels(number) for number in range(_FEW // BLOCK)]
            labels = [source.labels[some], held.source.labels[others], np.concatenate(drawn)]
        train, validation, fake = (
            self._score(discriminator, images, of)
            for images, of in zip((real, apart, few), labels, strict=True)
        )
        if train != fake:
            found["d_overfit"] = (train - validation) / (train - fake)
        return found

    def _score(self, discriminator: keras.Model, images: np.ndarray, labels: np.ndarray | None) -> float:
        """D's mean score; its batch normalization uses its moving statistics."""
        whole = len(images) // self._config.packing * self._config.packing
        packs = packed(to_unit_range(tf.constant(images[:whole])), self._config.packing)
        of = None if labels is None else tf.constant(labels[:whole].astype(np.int32))
        return float(tf.reduce_mean(call(discriminator, packs, of, training=False)[:, 0]))


def check(config: RunConfig, network: Network, sources: Sources) -> None:
    """Refuse what the best is to be chosen by where there are too few images for it, or no network gives it.

    Raises:
        DataError: it names the images, and what takes fewer.
    """
    metric, samples = config.evaluation.metric, config.evaluation.samples
    about = figures.METRICS[metric]
    if about.needs not in network.gives:
        raise DataError(f"evaluation.metric is {metric}, which {network.label} does not give")
    least = (
        f"more than the {network.size} features of {network.label}"
        if about.above is None
        else (f"more than {about.above}")
    )
    other = "; evaluation.metric=kid takes fewer" if metric == "fd" else ""
    if not figures.enough(metric, network, samples):
        raise DataError(f"evaluation.samples is {samples}, expected {least} for {metric}{other}")
    counts = {f"data.source {sources.source.name}": sources.source.count}
    if sources.held_out:
        for number, second in (("first", False), ("second", True)):
            counts[f"the {number} half of the held-out images"] = int(
                (sources.held_out.second == second).sum()
            )
    for what, count in counts.items():
        if not figures.enough(metric, network, count):
            raise DataError(f"{what}: {count} images, expected {least} for evaluation.metric {metric}{other}")
