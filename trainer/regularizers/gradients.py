"""Gradients of scores with respect to images, and their changes under noise."""

from collections.abc import Callable
from typing import Any

import tensorflow as tf


def squared_norm(scores: Callable[[Any], Any], images: tf.Tensor) -> tf.Tensor:
    """||grad_x D(x)||^2 at each image, [n]: summed over pixels and channels, float32.

    Each score has to depend on its own image alone.
    """
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(images)
        total = tf.reduce_sum(scores(images))
    return tf.reduce_sum(tf.square(tape.gradient(total, images)), axis=[1, 2, 3])


def squared_change(
    scores: Callable[[Any], Any], images: tf.Tensor, before: tf.Tensor, noise: tf.Tensor, sigma: float
) -> tf.Tensor:
    """(D(x + sigma n) - D(x))^2 / sigma^2 at each image, [n]; its mean over n tends to the squared norm."""
    return tf.square((scores(images + sigma * noise) - before) / sigma)
