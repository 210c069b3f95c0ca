"""R1: gamma / 2 ||grad_x D(x)||^2 at real images (Mescheder et al. 2018, arXiv:1801.04406, equation 9)."""

import tensorflow as tf

from trainer.regularizers import Game, Penalty
from trainer.regularizers.gradients import squared_norm


def penalty(numbers: Penalty, game: Game) -> tf.Tensor:
    """For each real image, [n]."""
    return numbers.weight / 2 * squared_norm(game.scores, game.real)
