"""lambda (||grad D||_2 - 1)^2 between real and generated images (Gulrajani et al. 2017, arXiv:1704.00028).

Equation 3, at x' = e x + (1 - e) G(z) with e uniform for each pair; one-sided, only norms above 1 count.
"""

import tensorflow as tf

from trainer.regularizers import Game, GradientPenalty
from trainer.regularizers.gradients import squared_norm

_TINY = 1e-12  # under the root, whose slope at 0 is infinite


def penalty(numbers: GradientPenalty, game: Game) -> tf.Tensor:
    """For each pair, [n]."""
    share = tf.reshape(game.noise("gradient_penalty"), (-1, 1, 1, 1))
    between = share * game.real + (1.0 - share) * game.fake
    excess = tf.sqrt(squared_norm(game.scores, between) + _TINY) - 1.0
    if numbers.one_sided:
        excess = tf.nn.relu(excess)
    return numbers.weight * tf.square(excess)
