"""No network: pixels of a Laplacian pyramid along fixed random directions, for a sliced Wasserstein distance.

Karras et al. 2018 (arXiv:1710.10196, section 5) take patches of 7x7 at each level and the directions of
these; here a level is taken as a whole, so that an image is 128 numbers a level, and sets are compared in
one pass whatever their size. The levels are an image of at most 64 pixels a side, less what is left of
it at half the size, and so on to 7 pixels and more, where the rest is the last.
"""

from collections.abc import Callable, Mapping
from itertools import pairwise

import numpy as np
import tensorflow as tf

from trainer.evaluation.laplacian_levels import levels

DIRECTIONS = 128
"""Of unit length, for each level."""
_SEED = 0


def forward(weights: Mapping[str, np.ndarray]) -> Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]:
    """From uint8 images [n, h, w, c] to float32 [n, levels * 128], in grey levels; probabilities [n, 0]."""
    directions: dict[tuple[int, ...], list[tf.Tensor]] = {}

    def look(images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        shape = images.shape[1:]
        if shape not in directions:
            draws = np.random.RandomState(_SEED)
            sizes = [height * width * shape[2] for height, width in levels(*shape[:2])]
            directions[shape] = [_unit(draws, size) for size in sizes]
        bands = _pyramid(tf.cast(images, tf.float32), levels(*shape[:2]))
        along = [
            tf.reshape(band, (len(images), -1)) @ way
            for band, way in zip(bands, directions[shape], strict=True)
        ]
        return tf.concat(along, axis=1).numpy(), np.zeros((len(images), 0), np.float32)

    return look


def _pyramid(images: tf.Tensor, sizes: list[tuple[int, int]]) -> list[tf.Tensor]:
    rest, found = _resized(images, sizes[0]), []
    for here, below in pairwise(sizes):
        half = _resized(rest, below)
        found.append(rest - _resized(half, here))
        rest = half
    return [*found, rest]


def _resized(images: tf.Tensor, size: tuple[int, int]) -> tf.Tensor:
    same = tuple(images.shape[1:3]) == size
    return images if same else tf.image.resize(images, size, "bilinear", antialias=True)


def _unit(draws: np.random.RandomState, size: int) -> tf.Tensor:
    ways = draws.standard_normal((size, DIRECTIONS))
    return tf.constant(ways / np.linalg.norm(ways, axis=0), tf.float32)
