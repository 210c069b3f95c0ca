"""Gradient accumulation: a replica's images of an update, some after others, for less memory.

Losses are sums over images divided by the global batch, so parts add up to the whole but for the order of
additions. A loop and not one part after another in the graph, which TensorFlow would compute side by side.
"""

from collections.abc import Callable, Sequence

import tensorflow as tf

from trainer import randomness
from trainer.methods import Batch

Found = tuple[Sequence[tf.Tensor], tf.Tensor]
"""Gradients and sums, as an `Update` has them."""


def accumulated(
    compute: Callable[[Batch], Found], batch: Batch, size: int, weights: Sequence[tf.Variable], sums: int
) -> Found:
    """What `compute` finds for parts of a batch, added up.

    Args:
        compute: for the images of a part.
        batch: all of a replica's, with n images.
        size: images of a part, a divisor of n.
        weights: those that there is a gradient for.
        sums: how many there are.
    """
    parts = batch.latents.shape[0] // size

    def add(number: tf.Tensor, *so_far: tf.Tensor) -> tuple[tf.Tensor, ...]:
        rows = tf.nest.map_structure(
            lambda all_: None if all_ is None else randomness.replica_slice(all_, number, parts), batch
        )
        gradients, more = compute(rows)
        return number + 1, *(one + other for one, other in zip(so_far, (*gradients, more), strict=True))

    zeros = [tf.zeros(weight.shape, weight.dtype) for weight in weights]
    start = (tf.constant(0), *zeros, tf.zeros((sums,)))
    _, *gradients, total = tf.while_loop(lambda number, *_: number < parts, add, start, parallel_iterations=1)
    return gradients, total
