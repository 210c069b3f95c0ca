"""Noise on all that the discriminator is shown, falling to none.

Sonderby et al. 2016, arXiv:1610.04490; Arjovsky and Bottou 2017, arXiv:1701.04862, section 3. Distributions
of images with noise overlap, so that a discriminator cannot tell them apart for sure. The noise of real and
of generated images has one distribution, in the updates of both players, each from a stream of its own.
"""

import tensorflow as tf

from trainer.regularizers import InstanceNoise


def stddev(numbers: InstanceNoise, step: tf.Tensor) -> tf.Tensor:
    """Of the noise after `step` steps (float32 scalar), of images in [-1, 1]."""
    return numbers.stddev * tf.maximum(1.0 - step / numbers.decay_to, 0.0)
