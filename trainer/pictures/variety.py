"""How much the images of a grid differ from one another, beside real ones."""

from typing import NamedTuple

import numpy as np

_TWINS = 0.25
"""Root mean square difference of twins over that of two real images: 0.6 and more in a class of digits."""


class Variety(NamedTuple):
    """Of a grid of images."""

    spread: float
    """Standard deviation of a pixel from image to image, root mean square over pixels, over real images'; 0
    where all are equal."""
    repeats: float
    """Share of the images that have a twin among the others."""


def variety(images: np.ndarray, real: np.ndarray) -> Variety:
    """Of `images` beside `real` ones, uint8 [n, height, width, channels] each.

    Real images without any spread, a single one say, give 1: nothing can be told.
    """
    wanted, found = _deviation(real), _deviation(images)
    if not wanted:
        return Variety(1.0, 0.0)
    limit = (_TWINS * np.sqrt(2) * wanted) ** 2  # two of a set differ by sqrt(2) of its deviation
    apart = _squares(images)
    np.fill_diagonal(apart, np.inf)
    repeats = float((apart.min(axis=1) < limit).mean()) if len(images) > 1 else 0.0
    return Variety(round(found / wanted, 6), round(repeats, 6))


def _deviation(images: np.ndarray) -> float:
    """In grey levels."""
    return float(np.sqrt(images.reshape(len(images), -1).astype(np.float64).var(axis=0).mean()))


def _squares(images: np.ndarray) -> np.ndarray:
    """Mean square difference of each two, float64 [n, n]; whole numbers until the last division."""
    flat = images.reshape(len(images), -1).astype(np.int64)
    return np.array([((flat - one) ** 2).sum(axis=1) for one in flat]) / flat.shape[1]
