"""All that training changes, by the names it has in a checkpoint."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from trainer.config import RunConfig
from trainer.networks.keras_builder import Networks, build, named_variables
from trainer.optimizers.adam import Adam

# What each step sums over the global batch, in this order.
_D_SUMS = ("d_loss_real", "d_loss_fake", "d_accuracy_real", "d_accuracy_fake")
SUMS = (*_D_SUMS, "g_loss")
TALLY = "metrics/tally"
"""Name in a checkpoint of what the next line of metrics has of its steps so far."""


class State:
    """All that training changes: two networks and Adam's moments. Create it in the strategy's scope."""

    def __init__(self, config: RunConfig) -> None:
        self.networks: Networks = build(config)
        generator, discriminator = self.networks
        self.generator_weights = [weight.value for weight in generator.trainable_variables]
        self.discriminator_weights = [weight.value for weight in discriminator.trainable_variables]
        self.generator_adam = Adam(config.optimizer, self.generator_weights)
        self.discriminator_adam = Adam(config.optimizer, self.discriminator_weights)
        self.begin_line()

    def begin_line(self) -> None:
        """Have the next line of metrics begin after the steps so far."""
        # Doubles, added one step after another: the same sums however calls and restarts cut the steps.
        self.tally = tf.zeros((len(SUMS) + 1,), tf.float64)
        """`SUMS` over the steps of a line so far, and how many these are, float64 [len(SUMS) + 1]."""

    def tensors(self) -> dict[str, tf.Variable | tf.Tensor]:
        """All that a checkpoint keeps, by name."""
        return {**self.variables(), TALLY: self.tally}

    def variables(self) -> dict[str, tf.Variable]:
        """Every variable by the name it has in a checkpoint."""
        found: dict[str, tf.Variable] = {}
        for network, adam in zip(self.networks, (self.generator_adam, self.discriminator_adam), strict=True):
            found |= named_variables(network)
            for name, first, second in zip(trainable_names(network), adam.first, adam.second, strict=True):
                found[f"adam/{name}/first_moment"] = first
                found[f"adam/{name}/second_moment"] = second
        return found

    def not_finite(self) -> str | None:
        """What is NaN or Inf, and which of it came first in a step that began with none; None: nothing.

        A gradient is not kept, but one that is not finite leaves its variable's first moment so.
        """
        bad = [name for name, tensor in self.tensors().items() if name != TALLY and not all_finite(tensor)]
        losses = np.isfinite(self.tally.numpy())
        for network, name, loss in (
            ("discriminator", "d_loss", losses[:4]),
            ("generator", "g_loss", losses[4]),
        ):
            if not np.all(loss):
                return name
            for each in bad:
                if each.startswith(f"adam/{network}/") and each.endswith("/first_moment"):
                    return "gradient of " + each.removeprefix("adam/").removesuffix("/first_moment")
        return bad[0] if bad else None

    def assign(self, values: Mapping[str, np.ndarray]) -> None:
        """Give every variable the value of that name, on each replica, and go on with a checkpoint's line.

        Raises:
            KeyError: a variable has no value.
        """
        self.begin_with({name: values[name] for name in self.variables()})
        if TALLY in values:  # checkpoints up to version 0.1 have none: the line begins here
            self.tally = tf.constant(values[TALLY], tf.float64)

    def begin_with(self, values: Mapping[str, np.ndarray]) -> None:
        """Give the variables that are named their values, on each replica."""
        variables = self.variables()
        for name, value in values.items():
            variables[name].assign(value)


def trainable_names(network: Any) -> list[str]:
    """Names of a network's trainable variables, in Keras' order."""
    by_id = {id(variable): name for name, variable in named_variables(network).items()}
    return [by_id[id(weight.value)] for weight in network.trainable_variables]


def all_finite(tensor: tf.Tensor) -> tf.Tensor:
    """Whether every entry is, bool scalar."""
    return tf.reduce_all(tf.math.is_finite(tensor))
