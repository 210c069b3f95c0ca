"""Wasserstein distance (Arjovsky et al. 2017, arXiv:1701.07875): the critic maximises D(x) - D(G(z)).

It measures something only while the critic is Lipschitz: by clipped weights (algorithm 1) or a gradient
penalty (Gulrajani et al. 2017, arXiv:1704.00028).
"""

from trainer.losses import Loss

LOSS = Loss(lambda real, fake: (-real, fake), lambda _, fake: -fake)
