"""A moving average of weights (EMA), counted in images (Karras et al. 2020, arXiv:2006.06676)."""

from collections.abc import Sequence

import tensorflow as tf

from trainer.config import RunConfig
from trainer.networks import replica_local


class Average:
    """Averages of a network's weights, which begin as these are. Create it inside the strategy's scope."""

    def __init__(self, config: RunConfig, weights: Sequence[tf.Variable]) -> None:
        self._rules, self._batch_size = config.averaging, config.batch_size
        self._weights = list(weights)
        self.variables = [tf.Variable(tf.identity(weight), trainable=False) for weight in weights]

    def update(self, step: tf.Tensor) -> None:
        """Take in the weights after a step, in a replica's context.

        A weight of `half_life_images` ago counts half; at first, one of `ramp_up` times all images so far.

        Args:
            step: float32 scalar, steps taken before this one.
        """
        half_life = tf.constant(float(self._rules.half_life_images))
        if self._rules.ramp_up:
            half_life = tf.minimum(half_life, (step + 1.0) * self._batch_size * self._rules.ramp_up)
        share = 1.0 - tf.pow(0.5, self._batch_size / half_life)
        for average, weight in zip(self.variables, self._weights, strict=True):
            old, new = replica_local.read(average), replica_local.read(weight)
            replica_local.write(average, old + (new - old) * share)
