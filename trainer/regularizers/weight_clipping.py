"""Weights held in a box, for a Wasserstein critic (Arjovsky et al. 2017, arXiv:1701.07875, algorithm 1).

The critic is Lipschitz then, with a constant that depends on the box alone.
"""

import tensorflow as tf

from trainer.regularizers import WeightClipping


def projected(numbers: WeightClipping, weight: tf.Tensor) -> tf.Tensor:
    """A weight after an update, in its box: clipped to [-limit, limit]."""
    return tf.clip_by_value(weight, -numbers.limit, numbers.limit)
