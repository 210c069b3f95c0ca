"""Down the gradient of a distance to a picture, from several latents at once.

Zhu et al. 2016 (arXiv:1609.03552, section 3.1) look for the latent whose image is nearest in pixels and in
the features of a network; Creswell and Bharath 2016 (arXiv:1611.05644) follow several latents at once, and
hold them near N(0, 1) by its log-density. The distance here is

    mean (x - t)^2 + feature_weight |f(x) / |f(x)| - f(t) / |f(t)||^2 + 0.001 mean z^2

for images x and t in [-1, 1]. Adam takes the steps (betas 0.9 and 0.999). Nothing in it is random but the
first latents, which are those of `sample --seed`.
"""

from collections.abc import Callable
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf

from trainer import randomness
from trainer.config.optimizer import Rates, Schedule
from trainer.evaluation.differentiable import features_of
from trainer.evaluation.features import Network
from trainer.inversion.request import Request
from trainer.networks.keras_builder import call
from trainer.optimizers.adam import Adam
from trainer.sampling.sampler import to_bytes

_PRIOR = 1e-3
_BETA1, _BETA2, _EPSILON = 0.9, 0.999, 1e-7
_TINY = 1e-12


class Found(NamedTuple):
    """What was found of a picture."""

    latents: np.ndarray
    """float32 [starts, latent_size], at the end."""
    images: np.ndarray
    """Of these, uint8 [starts, height, width, channels]."""
    pixels: np.ndarray
    """mean (x - t)^2 before each update and at the end, float32 [updates + 1, starts]."""
    features: np.ndarray
    """The squared distance of features of unit length, likewise; 0 without a network."""
    distances: np.ndarray
    """All of it together, likewise."""

    @property
    def best(self) -> int:
        """Which start came nearest."""
        return int(np.argmin(self.distances[-1]))


def descend(
    generator: keras.Model,
    target: np.ndarray,
    latent_size: int,
    labels: np.ndarray | None,
    network: Network,
    request: Request,
) -> Found:
    """Follow `request.starts` latents.

    Args:
        generator: from latents, and labels where it takes any, to images in [-1, 1].
        target: the picture, uint8 [height, width, channels].
        latent_size: entries of a latent.
        labels: class of each start, int32 [starts]; None for a generator without labels.
        network: in whose features images are compared.
        request: how.
    """
    latents = tf.Variable(randomness.sample_latents(request.seed, request.starts, latent_size))
    of = None if labels is None else tf.constant(labels)
    measure = _measure(generator, target, of, network, request.feature_weight)
    schedule = Schedule(kind="cosine", decay_to=request.updates)
    adam = Adam(Rates(request.rate, _BETA1, _BETA2, _EPSILON, clip_norm=0.0, schedule=schedule), [latents])

    @tf.function(autograph=False)  # type: ignore[untyped-decorator]
    def update(step: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            parts = measure(latents)
            total = tf.reduce_sum(parts[2])
        adam.apply([tape.gradient(total, latents)], step + 1.0, step)
        return tf.stack(parts)

    lines = [update(tf.constant(float(step))).numpy() for step in range(request.updates)]
    lines.append(tf.stack(measure(latents)).numpy())
    pixels, features, distances = np.stack(lines, axis=1)
    images = to_bytes(call(generator, latents, of, training=False)).numpy()
    return Found(latents.numpy(), images, pixels, features, distances)


def _measure(
    generator: keras.Model,
    target: np.ndarray,
    labels: tf.Tensor | None,
    network: Network,
    weight: float,
) -> Callable[[tf.Variable], list[tf.Tensor]]:
    """From latents [starts, size] to pixels', features' and the whole distance, each [starts]."""
    look = features_of(network) if network.weights else None
    wanted = tf.constant(target[np.newaxis], tf.float32)
    aim = _unit(look(wanted)) if look else None

    def measure(latents: tf.Variable) -> list[tf.Tensor]:
        drawn = (call(generator, latents, labels, training=False) + 1.0) * 127.5
        pixels = tf.reduce_mean(tf.square((drawn - wanted) / 127.5), axis=(1, 2, 3))
        features = tf.zeros_like(pixels)
        if look:
            features = tf.reduce_sum(tf.square(_unit(look(drawn)) - aim), axis=1)
        prior = tf.reduce_mean(tf.square(latents), axis=1)
        return [pixels, features, pixels + weight * features + _PRIOR * prior]

    return measure


def _unit(features: tf.Tensor) -> tf.Tensor:
    return tf.math.l2_normalize(features, axis=1, epsilon=_TINY)
