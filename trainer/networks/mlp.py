"""The plain GAN's fully connected networks (Goodfellow et al. 2014, arXiv:1406.2661)."""

import math
from collections.abc import Sequence

import keras

from trainer.config.schema import Image, Mlp
from trainer.networks.seeds import Seeds


def generator(network: Mlp, image: Image, seeds: Seeds) -> keras.Sequential:
    """Latents [batch, latent_size] to images [batch, height, width, channels] in [-1, 1].

    With the defaults 100-128-256-512-1024-784: 1,506,448 parameters.
    """
    return keras.Sequential(
        [
            keras.Input((network.latent_size,)),
            *_hidden(network.generator_units, network.leaky_slope, seeds),
            _dense(math.prod(image.shape), "pixels", seeds, activation="tanh"),
            keras.layers.Reshape(image.shape, name="image"),
        ],
        name="generator",
    )


def discriminator(network: Mlp, image: Image, seeds: Seeds) -> keras.Sequential:
    """Images [batch, height, width, channels] in [-1, 1] to logits [batch, 1], positive for real.

    With the defaults 784-1024-512-256-1: 1,460,225 parameters.
    """
    return keras.Sequential(
        [
            keras.Input(image.shape),
            keras.layers.Flatten(name="flat"),
            *_hidden(network.discriminator_units, network.leaky_slope, seeds),
            _dense(1, "logit", seeds),
        ],
        name="discriminator",
    )


def _hidden(units: Sequence[int], slope: float, seeds: Seeds) -> list[keras.layers.Layer]:
    layers: list[keras.layers.Layer] = []
    for number, width in enumerate(units, start=1):
        layers.append(_dense(width, f"hidden_{number}", seeds))
        layers.append(keras.layers.LeakyReLU(slope, name=f"leaky_{number}"))
    return layers


def _dense(width: int, name: str, seeds: Seeds, activation: str | None = None) -> keras.layers.Layer:
    return keras.layers.Dense(width, activation=activation, kernel_initializer=seeds.glorot(), name=name)
