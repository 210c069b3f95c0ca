"""Images as a network takes them: of its size, with antialias in both directions, and of its channels."""

import numpy as np
import tensorflow as tf


def fitted(images: np.ndarray, height: int | None, width: int | None, channels: int) -> np.ndarray:
    """float32 [n, height, width, channels] in grey levels; None: as they are. Grey goes into every channel.

    Args:
        images: uint8 [n, any, any, 1 or `channels`].
        height: pixels.
        width: pixels.
        channels: 1 or 3.
    """
    size = height or images.shape[1], width or images.shape[2]
    found = tf.cast(images, tf.float32)
    if tuple(images.shape[1:3]) != size:
        found = tf.image.resize(found, size, "bilinear", antialias=True)
    plain: np.ndarray = found.numpy()
    return np.repeat(plain, channels, axis=3) if plain.shape[3] == 1 < channels else plain
