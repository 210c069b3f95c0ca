"""The scores of a pair held near 0: weight (D(x) + D(G(z)))^2 (AFM 2025, arXiv:2511.22475).

A relativistic loss sees only differences of scores, which may drift away together.
"""

import tensorflow as tf

from trainer.regularizers import Game, LogitCentering


def penalty(numbers: LogitCentering, game: Game) -> tf.Tensor:
    """For each pair, [n]."""
    return numbers.weight * tf.square(game.real_scores + game.fake_scores)
