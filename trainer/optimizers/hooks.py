"""What follows an update of a player's weights.

Every replica does it by itself and of its weights alone, which are the same everywhere: nothing is sent.
"""

from collections.abc import Collection, Sequence
from typing import Protocol

import tensorflow as tf

from trainer.networks import replica_local
from trainer.networks.keras_builder import Networks
from trainer.networks.spectral import Spectral
from trainer.regularizers import Regularizers, WeightClipping
from trainer.regularizers.weight_clipping import projected


class Hook(Protocol):
    """One such thing."""

    player: str
    """After whose updates."""

    def __call__(self) -> None:
        """Do it, in a replica's context."""


class Clipping:
    """The discriminator's weights brought back into their box."""

    player = "discriminator"

    def __init__(self, numbers: WeightClipping, weights: Sequence[tf.Variable]) -> None:
        self._numbers, self._weights = numbers, weights

    def __call__(self) -> None:
        """Clip every weight."""
        for weight in self._weights:
            replica_local.write(weight, projected(self._numbers, replica_local.read(weight)))


class PowerIteration:
    """One power iteration of every spectrally normalized layer: the generator's updates move none."""

    player = "discriminator"

    def __init__(self, layers: Sequence[Spectral]) -> None:
        self._layers = layers

    def __call__(self) -> None:
        """Follow the weights."""
        for layer in self._layers:
            layer.iterate()


def hooks(regularizers: Regularizers, networks: Networks, frozen: Collection[int] = ()) -> list[Hook]:
    """Those of a run, in their order: clipped weights are what an iteration follows.

    `frozen`: places of the discriminator's trainable weights that stay as they are.
    """
    found: list[Hook] = []
    if regularizers.weight_clipping.limit:
        weights = enumerate(networks.discriminator.trainable_variables)
        moving = [weight.value for place, weight in weights if place not in frozen]
        found.append(Clipping(regularizers.weight_clipping, moving))
    if layers := [layer for layer in networks.discriminator.layers if isinstance(layer, Spectral)]:
        found.append(PowerIteration(layers))
    return found
