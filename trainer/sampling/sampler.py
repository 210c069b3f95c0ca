"""Images from the generator: grids of a run, and any number of them afterwards."""

from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf

from trainer import randomness
from trainer.config import RunConfig
from trainer.networks.keras_builder import call
from trainer.pictures.grid import encode_png, tile
from trainer.sampling.shown import Shown


def to_bytes(images: tf.Tensor) -> tf.Tensor:
    """Images in [-1, 1] as 8-bit ones, float32 to uint8, same shape."""
    return tf.cast(tf.clip_by_value(tf.round((images + 1.0) * 127.5), 0.0, 255.0), tf.uint8)


def sampler(generator: keras.Model) -> Callable[..., np.ndarray]:
    """A function from latents [n, latent_size], and labels int32 [n] where they are taken, to images.

    These are uint8 [n, height, width, channels]. Batch normalization uses its moving statistics, so an image
    does not depend on its neighbours.
    """

    @tf.function(autograph=False)  # type: ignore[untyped-decorator]
    def run(latents: tf.Tensor, labels: tf.Tensor | None = None) -> tf.Tensor:
        return to_bytes(call(generator, latents, labels, training=False))

    def sample(latents: tf.Tensor, labels: tf.Tensor | None = None) -> np.ndarray:
        images: np.ndarray = run(latents, labels).numpy()
        return images

    return sample


def first_images(config: RunConfig, count: int, labels: np.ndarray | None = None) -> np.ndarray:
    """Which of a set's `count` images stand beside the grid, int64 [n].

    The first that training sees, as many as the grid has places, or `count` where that is less; with classes
    in rows the first of each class by the set's own order, and another of its own where it has too few.
    """
    rows, columns = config.grid
    if config.conditioning.on and labels is not None:
        of_class = (np.flatnonzero(labels == row) for row in range(rows))
        return np.concatenate([np.resize(found, columns) for found in of_class if len(found)])
    shuffle = randomness.Shuffle(config.seed, count, config.data.shuffle_window)
    return randomness.indices(shuffle, 0, min(rows * columns, count))


def grid_labels(config: RunConfig) -> tf.Tensor | None:
    """The class of each of a grid's places: one in each row; None without labels."""
    if not config.conditioning.on:
        return None
    rows, columns = config.grid
    return tf.repeat(tf.range(rows, dtype=tf.int32), columns)


class GridSampler:
    """Draws the run's grid; the latents stay the same from its first step to its last."""

    def __init__(self, config: RunConfig, shown: Shown) -> None:
        self._shown = shown
        self._rows, self._columns = config.grid
        self.labels = grid_labels(config)
        self.latents = randomness.sample_latents(
            config.seed, self._rows * self._columns, config.network.latent_size
        )
        self._sample = sampler(shown.generator)

    def images(self) -> np.ndarray:
        """The grid's images as the generator draws them now, uint8 [rows * columns, …]."""
        self._shown.refresh()
        return self._sample(self.latents, self.labels)

    def png(self, images: np.ndarray) -> bytes:
        """The grid of such images as a PNG; the same images give the same bytes."""
        return encode_png(tile(images, self._rows, self._columns))
