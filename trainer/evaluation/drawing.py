"""Images of a run to be judged: latents of a stream of their own, labels as often as in the training set."""

from collections.abc import Iterator

import numpy as np
import tensorflow as tf

from trainer import randomness
from trainer.config import RunConfig
from trainer.data import Labels
from trainer.sampling.generate import Loaded
from trainer.sampling.sampler import sampler

_BLOCK = 256  # images drawn at once; another number would be other images
_LATENTS, _LABELS = "evaluation", "evaluation/labels"  # purposes: names never change


def draw(
    config: RunConfig, loaded: Loaded, count: int, training: Labels | None, number: int = 0
) -> Iterator[np.ndarray]:
    """`count` images of a run's generator in blocks, uint8 [256 or fewer, height, width, channels].

    The first images are the same whatever `count` is; the next draw goes on where the one before has ended,
    so that every checkpoint is drawn from the same latents.

    Args:
        config: the run's.
        loaded: its generator.
        count: how many.
        training: labels of the training set, for a generator that takes them.
        number: which draw of as many, from 0.
    """
    sample = sampler(loaded.generator)
    first = number * -(-count // _BLOCK)
    for place, start in enumerate(range(0, count, _BLOCK), first):
        block = tf.constant(place, tf.int64)
        latents = randomness.noise(config.seed, block, _BLOCK, config.network.latent_size, _LATENTS)
        labels = _labels(config, block, training) if config.conditioning.on else None
        yield sample(latents, labels)[: count - start]


def _labels(config: RunConfig, block: tf.Tensor, training: Labels | None) -> tf.Tensor:
    """Labels int32 [256], each class with the share that it has in the training set."""
    assert training is not None, "the set of a run with labels has some"
    counts = np.bincount(training, minlength=config.conditioning.classes)
    where = randomness.shares(config.seed, block, _BLOCK, _LABELS).numpy().astype(np.float64)
    found = np.searchsorted(np.cumsum(counts), where * len(training), side="right")
    return tf.constant(found, tf.int32)
