"""Binary cross-entropy: the first GAN's game (Goodfellow et al. 2014, arXiv:1406.2661).

The discriminator's loss is equation 1's, halved as the mean over a batch of which one half is generated; the
generator maximises log D(G(z)) instead of minimising log(1 - D(G(z))), as section 3 says.
"""

import tensorflow as tf

from trainer.losses import Loss, Scores


def minus_log_sigmoid(logits: Scores) -> Scores:
    """Cross-entropy of the label 1: -log(sigmoid(x)), finite for every finite x, [batch] to [batch]."""
    return tf.nn.softplus(-logits)


def minus_log_one_minus_sigmoid(logits: Scores) -> Scores:
    """Cross-entropy of the label 0: -log(1 - sigmoid(x)), finite for every finite x, [batch] to [batch]."""
    return tf.nn.softplus(logits)


def parts(real: Scores, fake: Scores) -> tuple[Scores, Scores]:
    """Cross-entropy of real images with the label 1 and of generated ones with 0, each [batch]."""
    return minus_log_sigmoid(real), minus_log_one_minus_sigmoid(fake)


LOSS = Loss(parts, lambda _, fake: minus_log_sigmoid(fake), weight=0.5)
