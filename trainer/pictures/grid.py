"""Images side by side in one picture."""

import io
import math

import numpy as np
from numpy.typing import NDArray
from PIL import Image

MARGIN = 2
"""Pixels between two images and around all of them."""
LEAST_SIDE, MOST_SIDE = 400, 1600
"""Pixels: a grid's shorter side is enlarged to the first, unless its longer one came out above the second."""
_WHITE = 255


def tile(images: NDArray[np.uint8], rows: int, columns: int) -> NDArray[np.uint8]:
    """Lay images out row by row, with white margins; places left over stay white.

    Each pixel is drawn as a square of `scale` pixels, so that a grid of small images can be looked at.

    Args:
        images: uint8 [N, H, W, C] with N at most ``rows * columns``.
        rows: images below one another.
        columns: images beside one another.

    Returns:
        uint8 [(rows * (H + 2) + 2) * s, (columns * (W + 2) + 2) * s, C] with s of `scale`.

    Raises:
        ValueError: there are more images than places.
    """
    count, height, width, channels = images.shape
    if count > rows * columns:
        raise ValueError(f"{count} images for a grid of {rows}x{columns}")
    size = rows * (height + MARGIN) + MARGIN, columns * (width + MARGIN) + MARGIN
    grid = np.full((*size, channels), _WHITE, np.uint8)
    for place, image in enumerate(images):
        top = MARGIN + place // columns * (height + MARGIN)
        left = MARGIN + place % columns * (width + MARGIN)
        grid[top : top + height, left : left + width] = image
    times = scale(*size)
    return grid.repeat(times, axis=0).repeat(times, axis=1)


def scale(height: int, width: int) -> int:
    """How many times a grid of that many pixels is enlarged, a whole number from 1."""
    shorter, longer = sorted((height, width))
    return max(1, min(math.ceil(LEAST_SIDE / shorter), MOST_SIDE // longer))


def encode_png(image: NDArray[np.uint8]) -> bytes:
    """A picture as PNG; the same pixels give the same bytes, for there is neither time nor text in them.

    Args:
        image: uint8 [H, W, C] with C 1 (grey) or 3 (RGB).
    """
    picture = Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image)
    content = io.BytesIO()
    picture.save(content, format="PNG", compress_level=6)
    return content.getvalue()
