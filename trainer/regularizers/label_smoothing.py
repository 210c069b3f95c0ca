"""One-sided label smoothing (Salimans et al. 2016, arXiv:1606.03498, section 3.4).

Cross-entropy with the label 1 - alpha is that with the label 1 and alpha times the score more, since
log(1 + e^x) - log(1 + e^-x) = x; halved, as the discriminator's loss is.
"""

import tensorflow as tf

from trainer.regularizers import Game, LabelSmoothing


def penalty(numbers: LabelSmoothing, game: Game) -> tf.Tensor:
    """For each real image, [n]."""
    return numbers.weight / 2 * game.real_scores
