"""All that training changes, by the names it has in a checkpoint."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from trainer.config import RunConfig, freezing
from trainer.errors import ConfigError
from trainer.methods.adaptive import Adaptive
from trainer.methods.adversarial import names
from trainer.networks.keras_builder import Networks, build, named_variables
from trainer.optimizers.adam import Adam
from trainer.optimizers.average import Average
from trainer.optimizers.hooks import hooks
from trainer.optimizers.loss_scale import LossScale
from trainer.run.layout import AUGMENTATION, AVERAGE, MOMENTS, PRECISION

TALLY = "metrics/tally"
"""Name in a checkpoint of what the next line of metrics has of its steps so far."""
PLAYERS = ("generator", "discriminator")


class State:
    """All that training changes: networks, Adam's moments, averages. Create it in the strategy's scope."""

    def __init__(self, config: RunConfig, begun_warm: bool = False) -> None:
        """`begun_warm`: whether its first weights are another run's, of which some may be frozen.

        Raises:
            ConfigError: `warm_start.freeze` names no variable, or all of a player's.
        """
        self.networks: Networks = build(config)
        self.weights = {
            player: [weight.value for weight in getattr(self.networks, player).trainable_variables]
            for player in PLAYERS
        }
        places = _frozen(config, self.networks) if begun_warm else {player: {} for player in PLAYERS}
        self.frozen = [name for player in PLAYERS for name in places[player].values()]
        """Names of the weights that stay as they are."""
        self.hooks = hooks(config.regularizers, self.networks, places["discriminator"])
        self.adam = {
            player: Adam(config.optimizer.of(player), self.weights[player], places[player])
            for player in PLAYERS
        }
        self.average = (
            Average(config, self.weights["generator"]) if config.averaging.half_life_images else None
        )
        self.sums = names(config)
        """What a step sums, by name."""
        self.adaptive = (
            Adaptive(config, self.sums.index("d_accuracy_real")) if config.augmentation.adaptive else None
        )
        self.loss_scale = LossScale() if config.precision == "float16" else None
        self.begin_line()

    def begin_line(self) -> None:
        """Have the next line of metrics begin after the steps so far."""
        # Doubles, added one step after another: the same sums however calls and restarts cut the steps.
        self.tally = tf.zeros((len(self.sums) + 1,), tf.float64)
        """`sums` over the steps of a line so far, and how many these are, float64 [len(sums) + 1]."""

    def tensors(self) -> dict[str, tf.Variable | tf.Tensor]:
        """All that a checkpoint keeps, by name."""
        return {**self.variables(), TALLY: self.tally}

    def variables(self) -> dict[str, tf.Variable]:
        """Every variable by the name it has in a checkpoint.

        Raises:
            ValueError: two have one name, and one of them would be lost.
        """
        found: dict[str, tf.Variable] = {}
        for name, variable in self._named():
            if name in found:
                raise ValueError(f"two variables are called {name}")
            found[name] = variable
        return found

    def _named(self) -> Iterator[tuple[str, tf.Variable]]:
        for player in PLAYERS:
            network, adam = getattr(self.networks, player), self.adam[player]
            yield from named_variables(network).items()
            for name, first, second in zip(trainable_names(network), adam.first, adam.second, strict=True):
                yield f"{MOMENTS}{name}/first_moment", first
                yield f"{MOMENTS}{name}/second_moment", second
        if self.average:
            names = trainable_names(self.networks.generator)
            for name, variable in zip(names, self.average.variables, strict=True):
                yield AVERAGE + name, variable
        if self.adaptive:
            yield f"{AUGMENTATION}p", self.adaptive.p
            yield f"{AUGMENTATION}right", self.adaptive.right
        if self.loss_scale:
            yield f"{PRECISION}loss_scale", self.loss_scale.scale
            yield f"{PRECISION}good_updates", self.loss_scale.good

    def not_finite(self) -> str | None:
        """What is NaN or Inf, and which of it came first in a step that began with none; None: nothing.

        A gradient is not kept, but one that is not finite leaves its variable's first moment so.
        """
        bad = [name for name, tensor in self.tensors().items() if name != TALLY and not all_finite(tensor)]
        finite = dict(zip(self.sums, np.isfinite(self.tally.numpy()), strict=False))
        of_generator = [finite.pop(name) for name in self.sums if name.startswith("g_")]
        for network, name, loss in (
            ("discriminator", "d_loss", all(finite.values())),
            ("generator", "g_loss", all(of_generator)),
        ):
            if not loss:
                return name
            for each in bad:
                if each.startswith(f"{MOMENTS}{network}/") and each.endswith("/first_moment"):
                    return "gradient of " + each.removeprefix(MOMENTS).removesuffix("/first_moment")
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


def _frozen(config: RunConfig, networks: Networks) -> dict[str, dict[int, str]]:
    """Each player's frozen weights by their places among its trainable ones."""
    found, patterns = {}, config.warm_start.freeze
    every = {player: trainable_names(getattr(networks, player)) for player in PLAYERS}
    for pattern in patterns:
        if not any(freezing.named([pattern], own) for own in every.values()):
            raise ConfigError(f"warm_start.freeze is '{pattern}': no weight is called so")
    for player, own in every.items():
        chosen = set(freezing.named(patterns, own))
        if len(chosen) == len(own):
            raise ConfigError(
                f"warm_start.freeze is {', '.join(patterns)}: nothing of the {player} is left to train"
            )
        found[player] = {place: name for place, name in enumerate(own) if name in chosen}
    return found


def trainable_names(network: Any) -> list[str]:
    """Names of a network's trainable variables, in Keras' order."""
    by_id = {id(variable): name for name, variable in named_variables(network).items()}
    return [by_id[id(weight.value)] for weight in network.trainable_variables]


def all_finite(tensor: tf.Tensor) -> tf.Tensor:
    """Whether every entry is, bool scalar."""
    return tf.reduce_all(tf.math.is_finite(tensor))
