"""Whether samples are copies: how far they are from the nearest training image, in pixels.

A generator that has learnt more than its training images is as far from them as held-out images are (ratio
1); one that has them by heart is near (0).
"""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np


class Nearest(NamedTuple):
    """The nearest of all images to each of some."""

    distances: np.ndarray
    """Root mean square difference, in grey levels, float64 [n]."""
    places: np.ndarray
    """Which it is, int64 [n], counted over all blocks."""


def nearest(images: np.ndarray, blocks: Iterable[np.ndarray]) -> np.ndarray:
    """Only the distances of `neighbours`, float64 [n]."""
    return neighbours(images, blocks).distances


def neighbours(images: np.ndarray, blocks: Iterable[np.ndarray]) -> Nearest:
    """The image of all blocks that is nearest to each.

    Args:
        images: uint8 [n, height, width, channels].
        blocks: uint8 [any, height, width, channels] each; one is held at a time.

    The nearest is found by products in float32, whose rounding can mistake equals at most; its distance is
    exact.
    """
    flat = images.reshape(len(images), -1)
    wide = flat.astype(np.float32)
    norms, best = (wide**2).sum(1), np.full(len(flat), np.inf)
    where, passed = np.zeros(len(flat), np.int64), 0
    for block in blocks:
        others = block.reshape(len(block), -1)
        floats = others.astype(np.float32)
        places = (norms[:, np.newaxis] + (floats**2).sum(1) - 2 * wide @ floats.T).argmin(axis=1)
        apart = (flat.astype(np.int32) - others[places]).astype(np.float64)
        squares = (apart**2).mean(axis=1)
        where = np.where(squares < best, passed + places, where)
        best = np.minimum(best, squares)
        passed += len(block)
    return Nearest(np.sqrt(best), where)
