"""The saturating game: the generator minimises what the discriminator maximises (arXiv:1406.2661, eq. 1).

Its gradient vanishes where the discriminator is sure, which is why section 3 has the other one.
"""

from trainer.losses import Loss
from trainer.losses.bce import minus_log_one_minus_sigmoid, parts

LOSS = Loss(parts, lambda _, fake: -minus_log_one_minus_sigmoid(fake), weight=0.5)
