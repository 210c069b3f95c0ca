"""How much the images of a grid differ from one another, beside real ones."""

from typing import NamedTuple

import numpy as np

_TWINS = 0.25
"""Root mean square difference of twins over that of two real images: 0.6 and more in a class of digits."""
_MOST = 64  # images that are looked at, of all parts of a grid: 1 ms at 28x28, 1 s at 512x512x3
_AT_ONCE = 2**16  # pixels of each, 34 MB


class Variety(NamedTuple):
    """Of a grid of images."""

    spread: float
    """Standard deviation of a pixel from image to image, root mean square over pixels, over real images'; 0
    where all are equal."""
    repeats: float
    """Share of the images that have a twin among the others."""


def deviation(images: np.ndarray) -> float:
    """Standard deviation of a pixel from image to image, root mean square over pixels, in grey levels.

    Args:
        images: uint8 [n, height, width, channels].
    """
    return _deviation(_products(_some(images)), images[0].size)


def variety(images: np.ndarray, real: float) -> Variety:
    """Of `images`, uint8 [n, height, width, channels], beside real ones' deviation.

    Real images without any, a single one say, give 1: nothing can be told.
    """
    if not real:
        return Variety(1.0, 0.0)
    products, pixels = _products(_some(images)), images[0].size
    squares = np.diagonal(products)
    apart = (squares[:, np.newaxis] + squares - 2 * products) / pixels
    np.fill_diagonal(apart, np.inf)
    limit = (_TWINS * np.sqrt(2) * real) ** 2  # two of a set differ by sqrt(2) of its deviation
    return Variety(
        round(_deviation(products, pixels) / real, 6), round(float((apart.min(1) < limit).mean()), 6)
    )


def _some(images: np.ndarray) -> np.ndarray:
    chosen = np.unique(np.linspace(0, len(images) - 1, _MOST).round().astype(int))
    found: np.ndarray = images[chosen].reshape(len(chosen), -1)
    return found


def _products(flat: np.ndarray) -> np.ndarray:
    """Of each two images, float64 [n, n]: sums of whole numbers below 2**53, exact in whatever order."""
    parts = (flat[:, at : at + _AT_ONCE].astype(np.float64) for at in range(0, flat.shape[1], _AT_ONCE))
    return sum((part @ part.T for part in parts), np.zeros((len(flat), len(flat))))


def _deviation(products: np.ndarray, pixels: int) -> float:
    count = len(products)
    return float(np.sqrt((np.trace(products) - products.sum() / count) / (count * pixels)))
