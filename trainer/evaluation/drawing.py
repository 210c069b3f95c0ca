"""Images of a run to be judged: latents of a stream of their own, labels as often as in the training set."""

from collections.abc import Iterator

import keras
import numpy as np
import tensorflow as tf

from trainer import randomness
from trainer.config import RunConfig
from trainer.data import Labels
from trainer.sampling.generate import Loaded
from trainer.sampling.sampler import sampler

BLOCK = 256
"""Images drawn at once; another number would be other images."""
_LATENTS, _LABELS = "evaluation", "evaluation/labels"  # purposes: names never change


class Drawer:
    """Draws blocks of images from a generator, the same latents and labels for every checkpoint of a run."""

    def __init__(self, config: RunConfig, generator: keras.Model, training: Labels | None) -> None:
        """One for a generator, whose weights may change.

        Args:
            config: the run's.
            generator: which draws.
            training: labels of the training set, for a generator that takes them.
        """
        self._config, self._sample = config, sampler(generator)
        self._counts = None
        if config.conditioning.on:
            assert training is not None, "the set of a run with labels has some"
            self._counts = np.bincount(training, minlength=config.conditioning.classes)

    def block(self, number: int) -> np.ndarray:
        """The images of one block, uint8 [256, height, width, channels]."""
        config, block = self._config, tf.constant(number, tf.int64)
        latents = randomness.noise(config.seed, block, BLOCK, config.network.latent_size, _LATENTS)
        labels = None if self._counts is None else tf.constant(self.labels(number))
        images: np.ndarray = self._sample(latents, labels)
        return images

    def labels(self, number: int) -> np.ndarray:
        """Labels of a block, int32 [256], each class with the share that it has in the training set."""
        assert self._counts is not None, "a run without labels has none"
        block = tf.constant(number, tf.int64)
        where = randomness.shares(self._config.seed, block, BLOCK, _LABELS).numpy().astype(np.float64)
        found = np.searchsorted(np.cumsum(self._counts), where * self._counts.sum(), side="right")
        labels: np.ndarray = found.astype(np.int32)
        return labels


def draw(config: RunConfig, loaded: Loaded, count: int, training: Labels | None) -> Iterator[np.ndarray]:
    """`count` images of a run's generator in blocks, uint8 [256 or fewer, height, width, channels].

    The first images are the same whatever `count` is.
    """
    drawer = Drawer(config, loaded.generator, training)
    for number, start in enumerate(range(0, count, BLOCK)):
        yield drawer.block(number)[: count - start]
