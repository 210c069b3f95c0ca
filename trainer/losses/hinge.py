"""Hinge (Lim and Ye 2017, arXiv:1705.02894; Miyato et al. 2018, arXiv:1802.05957, equations 16 and 17)."""

import tensorflow as tf

from trainer.losses import Loss, Scores


def parts(real: Scores, fake: Scores) -> tuple[Scores, Scores]:
    """max(0, 1 - D(x)) and max(0, 1 + D(G(z))), each [batch]."""
    return tf.nn.relu(1.0 - real), tf.nn.relu(1.0 + fake)


LOSS = Loss(parts, lambda _, fake: -fake)
