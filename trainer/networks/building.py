"""Generator and discriminator of every architecture, built from a configuration.

Adding an architecture: a section in `trainer.config.schema` with a `name` of its own, a module here with
`generator` and `discriminator`, and a line in `build` and `portable_generator`.
"""

from typing import NamedTuple

import keras
import tensorflow as tf

from trainer.config import Mlp, RunConfig
from trainer.networks import dcgan, mlp
from trainer.networks.layers import SyncBatchNormalization
from trainer.networks.seeds import Seeds

__all__ = ["Networks", "build", "named_variables", "portable_generator"]


class Networks(NamedTuple):
    """The two players."""

    generator: keras.Sequential
    """Latents [batch, latent_size] to images [batch, height, width, channels] in [-1, 1]."""
    discriminator: keras.Sequential
    """Images to logits [batch, 1]."""

    @property
    def batch_dependent(self) -> bool:
        """Whether an example's output in training depends on the rest of its batch."""
        layers = [*self.generator.layers, *self.discriminator.layers]
        return any(isinstance(layer, SyncBatchNormalization) for layer in layers)


def build(config: RunConfig) -> Networks:
    """Both networks with first weights that are a function of the seed alone.

    Call it inside the strategy's scope; on several workers the chief's first weights reach all of them.
    """
    network, image, seeds = config.network, config.image, Seeds(config.seed)
    if isinstance(network, Mlp):
        return Networks(mlp.generator(network, image, seeds), mlp.discriminator(network, image, seeds))
    return Networks(dcgan.generator(network, image, seeds), dcgan.discriminator(network, image, seeds))


def portable_generator(config: RunConfig, weights: list[object]) -> keras.Sequential:
    """A generator made of Keras' own layers only, which ``keras.models.load_model`` opens without Gantry.

    Args:
        config: the run's configuration.
        weights: what `get_weights()` of the trained generator returned.
    """
    network, image, seeds = config.network, config.image, Seeds(config.seed)
    if isinstance(network, Mlp):
        generator = mlp.generator(network, image, seeds)
    else:
        generator = dcgan.generator(network, image, seeds, portable=True)
    generator.set_weights(weights)
    return generator


def named_variables(network: keras.Sequential) -> dict[str, tf.Variable]:
    """Every variable of a network by a name that is the same in every process.

    Keras numbers names by what was built before; ours are ``generator/hidden_1/kernel``.
    """
    return {
        f"{network.name}/{layer.name}/{variable.name}": variable.value
        for layer in network.layers
        for variable in layer.variables
        if variable.dtype == "float32"  # leaves out the counters of Keras' own seed generators
    }
