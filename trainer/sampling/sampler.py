"""Images from the generator: grids of a run, and any number of them afterwards."""

from collections.abc import Callable

import numpy as np
import tensorflow as tf

from trainer import randomness
from trainer.config import RunConfig
from trainer.pictures.grid import encode_png, tile
from trainer.sampling.shown import Shown


def to_bytes(images: tf.Tensor) -> tf.Tensor:
    """Images in [-1, 1] as 8-bit ones, float32 to uint8, same shape."""
    return tf.cast(tf.clip_by_value(tf.round((images + 1.0) * 127.5), 0.0, 255.0), tf.uint8)


def sampler(generator: Callable[..., tf.Tensor]) -> Callable[[tf.Tensor], np.ndarray]:
    """A function from latents [n, latent_size] to uint8 images [n, height, width, channels].

    Batch normalization uses its moving statistics, so an image does not depend on its neighbours.
    """
    run = tf.function(lambda latents: to_bytes(generator(latents, training=False)), autograph=False)
    return lambda latents: run(latents).numpy()


def first_images(config: RunConfig, count: int) -> np.ndarray:
    """Which of a set's `count` images stand beside the grid: the first that training sees, int64 [n].

    `n` is the grid's places, or `count` where that is less.
    """
    places = min(config.samples.rows * config.samples.columns, count)
    shuffle = randomness.Shuffle(config.seed, count, config.data.shuffle_window)
    return randomness.indices(shuffle, 0, places)


class GridSampler:
    """Draws the run's grid; the latents stay the same from its first step to its last."""

    def __init__(self, config: RunConfig, shown: Shown) -> None:
        self._shown = shown
        self._rows, self._columns = config.samples.rows, config.samples.columns
        self._latents = randomness.sample_latents(
            config.seed, self._rows * self._columns, config.network.latent_size
        )
        self._sample = sampler(shown.generator)

    def images(self) -> np.ndarray:
        """The grid's images as the generator draws them now, uint8 [rows * columns, …]."""
        self._shown.refresh()
        return self._sample(self._latents)

    def png(self, images: np.ndarray) -> bytes:
        """The grid of such images as a PNG; the same images give the same bytes."""
        return encode_png(tile(images, self._rows, self._columns))
