"""ADA's p, which follows how far the discriminator is sure of real images (Karras et al. 2020).

arXiv:2006.06676, section 3: r_t is the mean sign of its scores of real images, and every few steps p goes up
where r_t is above its target and down where it is below. Counted over the global batch, out of sums that an
update has reduced already, so that every worker has the same p.
"""

import tensorflow as tf

from trainer.config import RunConfig
from trainer.networks import replica_local


class Adaptive:
    """p and what it is adjusted by. Create it inside the strategy's scope."""

    def __init__(self, config: RunConfig, place: int) -> None:
        """`place`: of the number of real images told right among an update's sums."""
        self._rules, self._place = config.augmentation, place
        images = config.images_per_step * self._rules.every
        self._scores = images / config.packing
        self._most = images / self._rules.images
        self.p = tf.Variable(self._rules.p, trainable=False, dtype=tf.float32)
        """Probability of each transformation."""
        self.right = tf.Variable(0.0, trainable=False, dtype=tf.float32)
        """Scores of real images on their side of the middle since p was adjusted."""

    def now(self) -> tf.Tensor:
        """p in this step, in a replica's context."""
        return replica_local.read(self.p)

    def saw(self, sums: tf.Tensor) -> None:
        """Count an update of the discriminator, whose sums are over all replicas."""
        replica_local.write(self.right, replica_local.read(self.right) + sums[self._place])

    def adjust(self, step: tf.Tensor) -> None:
        """Move p where it is time to, after a step; `step`: int64 scalar, steps taken before it."""
        due = tf.equal((step + 1) % self._rules.every, 0)
        right, p = replica_local.read(self.right), replica_local.read(self.p)
        sign = 2.0 * right / self._scores - 1.0
        moved = tf.clip_by_value(p + self._most * tf.sign(sign - self._rules.target), 0.0, 1.0)
        replica_local.write(self.p, tf.where(due, moved, p))
        replica_local.write(self.right, tf.where(due, 0.0, right))
