"""A grid of samples, each beside the training image that is nearest to it."""

from pathlib import Path

import numpy as np

from trainer.data import ImageSource
from trainer.errors import UserError
from trainer.evaluation.copies import Nearest
from trainer.pictures.grid import encode_png, tile

ROWS, PAIRS = 8, 6


def grid(samples: np.ndarray, near: Nearest, training: ImageSource) -> np.ndarray:
    """Of the first 48 samples, uint8 [height, width, channels]: a sample, its neighbour, and so on."""
    some = samples[: ROWS * PAIRS]
    beside = training.read(near.places[: len(some)])
    pairs = np.stack([some, beside], axis=1).reshape(-1, *some.shape[1:])
    return tile(pairs, min(ROWS, -(-len(some) // PAIRS)), 2 * PAIRS)


def check(file: str) -> None:
    """Whether a picture can be written there.

    Raises:
        UserError: its name does not end in .png, or its folder is not there.
    """
    path = Path(file)
    if path.suffix.lower() != ".png":
        raise UserError(f"--neighbours {file}: expected a file that ends in .png")
    if not path.parent.is_dir():
        raise UserError(f"--neighbours {file}: there is no folder {path.parent}")


def write(file: str, samples: np.ndarray, near: Nearest, training: ImageSource) -> None:
    """Write the grid as a PNG.

    Raises:
        UserError: the file cannot be written.
    """
    try:
        Path(file).write_bytes(encode_png(grid(samples, near, training)))
    except OSError as error:
        raise UserError(f"--neighbours {file}: cannot be written: {error.strerror}") from None
