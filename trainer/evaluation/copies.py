"""Whether samples are copies: how far they are from the nearest training image, in pixels.

A generator that has learnt more than its training images is as far from them as held-out images are (ratio
1); one that has them by heart is near (0).
"""

from collections.abc import Iterable

import numpy as np


def nearest(images: np.ndarray, blocks: Iterable[np.ndarray]) -> np.ndarray:
    """Root mean square difference of each image to its nearest in all blocks, in grey levels, float64 [n].

    Args:
        images: uint8 [n, height, width, channels].
        blocks: uint8 [any, height, width, channels] each; one is held at a time.

    The nearest is found by products in float32, whose rounding can mistake equals at most; its distance is
    exact.
    """
    flat = images.reshape(len(images), -1)
    wide = flat.astype(np.float32)
    norms, best = (wide**2).sum(1), np.full(len(flat), np.inf)
    for block in blocks:
        others = block.reshape(len(block), -1)
        floats = others.astype(np.float32)
        places = (norms[:, np.newaxis] + (floats**2).sum(1) - 2 * wide @ floats.T).argmin(axis=1)
        apart = flat.astype(np.int32) - others[places]
        best = np.minimum(best, (apart.astype(np.float64) ** 2).mean(axis=1))
    found: np.ndarray = np.sqrt(best)
    return found
