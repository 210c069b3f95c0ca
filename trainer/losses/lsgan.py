"""Least squares (Mao et al. 2016, arXiv:1611.04076): equation 9, the labels 0 and 1 with c = b = 1."""

import tensorflow as tf

from trainer.losses import Loss, Scores


def parts(real: Scores, fake: Scores) -> tuple[Scores, Scores]:
    """(D(x) - 1)^2 / 2 and D(G(z))^2 / 2, each [batch]."""
    return tf.square(real - 1.0) / 2.0, tf.square(fake) / 2.0


LOSS = Loss(parts, lambda _, fake: tf.square(fake - 1.0) / 2.0)
