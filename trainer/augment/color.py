"""The channels that are colours: of grey, RGB and RGBA images, whose alpha no change of colour touches."""

from collections.abc import Callable

import tensorflow as tf


def of_colors(images: tf.Tensor, change: Callable[[tf.Tensor], tf.Tensor]) -> tf.Tensor:
    """`change` of an image's first one or three channels, [n, height, width, channels]."""
    if images.shape[-1] != 4:
        return change(images)
    return tf.concat([change(images[..., :3]), images[..., 3:]], -1)


def spread(values: tf.Tensor) -> tf.Tensor:
    """A number for each image, [n], against its pixels: [n, 1, 1, 1]."""
    return values[:, tf.newaxis, tf.newaxis, tf.newaxis]
