"""Affine transformations of images, by coordinates in pixels from an image's middle.

Matrices are [n, 3, 3] and take a place of the result to where it comes from: products of inverses, the first
transformation on the left. Pixels are read bilinearly from the image mirrored at its edges.
"""

import tensorflow as tf


def translation(x: tf.Tensor, y: tf.Tensor) -> tf.Tensor:
    """By pixels to the right and down, each [n]."""
    one, zero = tf.ones_like(x), tf.zeros_like(x)
    return _matrix([[one, zero, -x], [zero, one, -y], [zero, zero, one]])


def scaling(x: tf.Tensor, y: tf.Tensor) -> tf.Tensor:
    """By factors of width and height, each [n]."""
    one, zero = tf.ones_like(x), tf.zeros_like(x)
    return _matrix([[1.0 / x, zero, zero], [zero, 1.0 / y, zero], [zero, zero, one]])


def rotation(angle: tf.Tensor) -> tf.Tensor:
    """By radians, from the horizontal axis to the vertical one, which points down; [n]."""
    cos, sin, one, zero = tf.cos(angle), tf.sin(angle), tf.ones_like(angle), tf.zeros_like(angle)
    return _matrix([[cos, sin, zero], [-sin, cos, zero], [zero, zero, one]])


def quarter_turns(count: tf.Tensor) -> tf.Tensor:
    """The same by whole quarters, exactly: 0 to 3, float32 [n]."""
    cos = tf.where(tf.equal(count, 0.0), 1.0, tf.where(tf.equal(count, 2.0), -1.0, 0.0))
    sin = tf.where(tf.equal(count, 1.0), 1.0, tf.where(tf.equal(count, 3.0), -1.0, 0.0))
    one, zero = tf.ones_like(count), tf.zeros_like(count)
    return _matrix([[cos, sin, zero], [-sin, cos, zero], [zero, zero, one]])


def transformed(images: tf.Tensor, matrix: tf.Tensor) -> tf.Tensor:
    """Images [n, height, width, channels] by matrices [n, 3, 3].

    Gathered and not by `ImageProjectiveTransformV3`, whose gradient is the inverse transformation and not the
    transposed one, and which XLA does not have. The identity gives the same bits.
    """
    height, width = images.shape[1:3]
    middle_x, middle_y = (width - 1) / 2, (height - 1) / 2
    x = tf.range(width, dtype=tf.float32)[tf.newaxis, tf.newaxis] - middle_x
    y = tf.range(height, dtype=tf.float32)[tf.newaxis, :, tf.newaxis] - middle_y
    rows = [[matrix[:, row, column, tf.newaxis, tf.newaxis] for column in range(3)] for row in range(2)]
    from_x = _mirrored(rows[0][0] * x + rows[0][1] * y + rows[0][2] + middle_x, width)
    from_y = _mirrored(rows[1][0] * x + rows[1][1] * y + rows[1][2] + middle_y, height)
    left, above = tf.floor(from_x), tf.floor(from_y)
    right, below = (from_x - left)[..., tf.newaxis], (from_y - above)[..., tf.newaxis]

    def pixels(down: int, across: int) -> tf.Tensor:
        row = tf.minimum(tf.cast(above, tf.int32) + down, height - 1)
        column = tf.minimum(tf.cast(left, tf.int32) + across, width - 1)
        flat = tf.reshape(images, (-1, height * width, images.shape[3]))
        return tf.gather(flat, row * width + column, batch_dims=1)

    upper = pixels(0, 0) * (1.0 - right) + pixels(0, 1) * right
    lower = pixels(1, 0) * (1.0 - right) + pixels(1, 1) * right
    return upper * (1.0 - below) + lower * below


def _mirrored(place: tf.Tensor, size: int) -> tf.Tensor:
    """Places along an edge of `size` pixels, mirrored at the first and the last into [0, size - 1]."""
    last = float(size - 1)
    return last - tf.abs(tf.math.floormod(place, 2.0 * last) - last)


def _matrix(rows: list[list[tf.Tensor]]) -> tf.Tensor:
    return tf.stack([tf.stack(row, -1) for row in rows], -2)
