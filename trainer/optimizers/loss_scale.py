"""Dynamic loss scaling for float16 (Micikevicius et al. 2018, arXiv:1710.03740, section 3.2).

float16 ends at 65,504 and has nothing below 6e-8, where many gradients lie: losses are multiplied by a scale
before gradients are taken and gradients divided by it afterwards, in float32. An update whose gradients are
not finite is left out and halves the scale; many good ones double it. Whether they are finite is seen of
gradients that were summed over all replicas, so that each worker does the same.

At a scale of 1 there is nothing left to halve: what is not finite then is no matter of float16's range, and
is applied, for the run to stop with its name.
"""

from collections.abc import Callable, Sequence

import tensorflow as tf

from trainer.networks import replica_local

_FIRST, _LARGEST = 2.0**15, 2.0**24
_GOOD_UPDATES = 2000  # until it is doubled, as frameworks have it


class LossScale:
    """The scale and how long it has been good. Create it inside the strategy's scope."""

    def __init__(self) -> None:
        self.scale = tf.Variable(_FIRST, trainable=False, dtype=tf.float32)
        self.good = tf.Variable(0.0, trainable=False, dtype=tf.float32)
        """Updates in a row since it was changed."""

    def now(self) -> tf.Tensor:
        """The scale, float32 scalar, in a replica's context."""
        return replica_local.read(self.scale)

    def apply(
        self,
        gradients: Sequence[tf.Tensor],
        sums: tf.Tensor,
        scale: tf.Tensor,
        update: Callable[[Sequence[tf.Tensor]], None],
    ) -> tf.Tensor:
        """Update by gradients, or leave it out, in a replica's context.

        Args:
            gradients: of the loss times `scale`, summed over all replicas.
            sums: what goes into a line of metrics, the same.
            scale: the one that the losses were multiplied by.
            update: what to do with true gradients; nothing in it may wait for another replica.

        Returns:
            `sums`, with 0 in the place of what is not finite in an update that was left out.
        """
        finite = tf.reduce_all(
            tf.stack([tf.reduce_all(tf.math.is_finite(each)) for each in (*gradients, sums)])
        )
        real = finite | (scale <= 1.0)

        def take() -> tf.Tensor:
            update([each / scale for each in gradients])
            return tf.constant(True)

        tf.cond(real, take, lambda: tf.constant(False))
        self._change(finite, scale)
        return tf.where(real | tf.math.is_finite(sums), sums, 0.0)

    def _change(self, finite: tf.Tensor, scale: tf.Tensor) -> None:
        """Of what stands there, since a step's updates share the `scale` that it began with: halved once."""
        now, good = replica_local.read(self.scale), replica_local.read(self.good)
        good = tf.where(finite, good + 1.0, 0.0)
        long = good >= _GOOD_UPDATES
        larger = tf.where(long, tf.minimum(2.0 * now, _LARGEST), now)
        smaller = tf.minimum(now, tf.maximum(scale / 2.0, 1.0))
        replica_local.write(self.scale, tf.where(finite, larger, smaller))
        replica_local.write(self.good, tf.where(long, 0.0, good))
