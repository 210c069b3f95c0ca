"""R2 without a second gradient, by small noise at generated images (AFM 2025, arXiv:2511.22475)."""

import tensorflow as tf

from trainer.regularizers import ByNoise, Game
from trainer.regularizers.gradients import squared_change


def penalty(numbers: ByNoise, game: Game) -> tf.Tensor:
    """For each generated image, [n]."""
    noise = game.noise("noise_r2")
    return numbers.weight * squared_change(game.scores, game.fake, game.fake_scores, noise, numbers.sigma)
