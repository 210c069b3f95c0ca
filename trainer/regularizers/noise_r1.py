"""R1 without a second gradient, by small noise at real images (AFM 2025, arXiv:2511.22475)."""

import tensorflow as tf

from trainer.regularizers import ByNoise, Game
from trainer.regularizers.gradients import squared_change


def penalty(numbers: ByNoise, game: Game) -> tf.Tensor:
    """For each real image, [n]."""
    noise = game.noise("noise_r1")
    return numbers.weight * squared_change(game.scores, game.real, game.real_scores, noise, numbers.sigma)
