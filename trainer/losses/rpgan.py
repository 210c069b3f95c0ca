"""Relativistic pairing (Jolicoeur-Martineau 2018, arXiv:1807.00734), as R3GAN has it.

f(D(G(z)) - D(x)) with f(t) = -log(1 + e^-t), which the generator minimises and the discriminator maximises
(Huang et al. 2024, arXiv:2501.05441, equation 2); each generated image is paired with the real one beside it.
"""

import tensorflow as tf

from trainer.losses import Loss, Scores


def parts(real: Scores, fake: Scores) -> tuple[Scores]:
    """-log sigmoid(D(x) - D(G(z))), [batch]."""
    return (tf.nn.softplus(fake - real),)


LOSS = Loss(parts, lambda real, fake: tf.nn.softplus(real - fake))
