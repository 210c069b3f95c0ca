"""The generator whose images a run shows: that of training, or its average."""

from collections.abc import Mapping
from typing import Any

import keras
import tensorflow as tf

from trainer import randomness
from trainer.config import RunConfig
from trainer.networks.keras_builder import bare_generator, call, named_variables
from trainer.run.layout import AVERAGE

# From which statistics are measured: what one or two steps cost, for each grid.
_LATENTS, _AT_ONCE = 1024, 128


class Shown:
    """A run's generator for grids and the export; ask `refresh` before each use."""

    def __init__(
        self, config: RunConfig, generator: keras.Model, variables: Mapping[str, Any], average: bool = True
    ) -> None:
        """The average where a run keeps one and it is wanted; `generator` itself otherwise, in float32.

        Args:
            config: the run's.
            generator: that of training.
            variables: the run's, by the names that they have in a checkpoint.
            average: whether the average is wanted.
        """
        self._config, self._variables = config, variables
        self.is_average = bool(average and config.averaging.half_life_images)
        own = self.is_average or config.precision != "float32"  # as which images are shown, always
        self.generator = bare_generator(config) if own else generator
        self._is_own = own

    def refresh(self) -> None:
        """Take over the average, or the weights, as they are now."""
        if not self._is_own:
            return
        for name, variable in named_variables(self.generator).items():
            last = self._variables[name]
            variable.assign(
                tf.identity(self._variables.get(AVERAGE + name, last) if self.is_average else last)
            )
        if self.is_average:
            self._measure()

    def _measure(self) -> None:
        """Batch normalization's statistics anew: those of training are of other weights.

        They are means over batches of a stream of their own, the same at every grid, with every class alike.
        """
        layers = [
            layer for layer in self.generator.layers if isinstance(layer, keras.layers.BatchNormalization)
        ]
        if not layers:
            return
        kept = [layer.momentum for layer in layers]
        step, size = tf.constant(0, tf.int64), self._config.network.latent_size
        labels = tf.range(_AT_ONCE) % self._config.conditioning.classes
        for number in range(_LATENTS // _AT_ONCE):
            for layer in layers:
                layer.momentum = number / (number + 1)  # so that all batches count alike
            latents = randomness.noise(self._config.seed, step, _AT_ONCE, size, "averaging", number)
            call(self.generator, latents, labels, training=True)
        for layer, momentum in zip(layers, kept, strict=True):
            layer.momentum = momentum
