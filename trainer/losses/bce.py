"""Binary cross-entropy: the first GAN's game (Goodfellow et al. 2014, arXiv:1406.2661).

The discriminator's loss is equation 1's; the generator maximises log D(G(z)) instead of minimising
log(1 - D(G(z))), as section 3 says.
"""

import tensorflow as tf

from trainer.losses import GanLoss


def minus_log_sigmoid(logits: tf.Tensor) -> tf.Tensor:
    """Cross-entropy of the label 1: -log(sigmoid(x)), finite for every finite x, [batch] to [batch]."""
    return tf.nn.softplus(-logits)


def minus_log_one_minus_sigmoid(logits: tf.Tensor) -> tf.Tensor:
    """Cross-entropy of the label 0: -log(1 - sigmoid(x)), finite for every finite x, [batch] to [batch]."""
    return tf.nn.softplus(logits)


LOSS = GanLoss(real=minus_log_sigmoid, fake=minus_log_one_minus_sigmoid, generator=minus_log_sigmoid)
