"""The mathematics of the adversarial game, on logits and for each example.

Each function takes logits [batch] and returns losses [batch]; the caller sums them and divides by the
*global* batch, so that gradients can be summed over replicas. Adding a loss: write its three functions, put
it into `LOSSES`, and its name into `RunConfig.loss`.
"""

from collections.abc import Callable
from typing import NamedTuple

import tensorflow as tf


class GanLoss(NamedTuple):
    """One two-player game."""

    real: Callable[[tf.Tensor], tf.Tensor]
    """The discriminator's loss on real images, given its logits for them."""
    fake: Callable[[tf.Tensor], tf.Tensor]
    """The discriminator's loss on generated images, given its logits for them."""
    generator: Callable[[tf.Tensor], tf.Tensor]
    """The generator's loss, given the discriminator's logits for its images."""


def minus_log_sigmoid(logits: tf.Tensor) -> tf.Tensor:
    """Cross-entropy of the label 1: -log(sigmoid(x)), finite for every finite x, [batch] to [batch]."""
    return tf.nn.softplus(-logits)


def minus_log_one_minus_sigmoid(logits: tf.Tensor) -> tf.Tensor:
    """Cross-entropy of the label 0: -log(1 - sigmoid(x)), finite for every finite x, [batch] to [batch]."""
    return tf.nn.softplus(logits)


LOSSES = {
    # Goodfellow et al. 2014 (arXiv:1406.2661), equation 1; the generator maximises log D(G(z)), section 3.
    "bce": GanLoss(real=minus_log_sigmoid, fake=minus_log_one_minus_sigmoid, generator=minus_log_sigmoid),
}
