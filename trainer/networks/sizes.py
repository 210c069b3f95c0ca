"""How large a configuration's networks are, from the configuration alone: no TensorFlow, no time.

The launcher estimates a run with this before there is a pod. The shapes are those that `networks.building`
builds; a test holds the two together, layer by layer.
"""

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from trainer.config.schema import Dcgan, Image, Mlp, RunConfig

_FLOAT_BYTES = 4
# Of a checkpoint's index and manifest: measured 1,150 bytes and 35 for each tensor (mlp, dcgan, dcgan64).
_INDEX_BYTES, _TENSOR_BYTES = 1150, 35
_MOMENTS = 2  # Adam's, for each trainable entry


class Size(NamedTuple):
    """One layer."""

    name: str
    """As in a checkpoint."""
    outputs: int
    """Entries of one example's output."""
    trainable: tuple[int, ...] = ()
    """Entries of each variable that the optimizer updates."""
    moving: tuple[int, ...] = ()
    """Entries of each variable that it does not: moving statistics."""

    @property
    def parameters(self) -> int:
        """Entries of all variables."""
        return sum(self.trainable) + sum(self.moving)


class Sizes(NamedTuple):
    """Both networks of a configuration."""

    generator: tuple[Size, ...]
    discriminator: tuple[Size, ...]
    batch_dependent: bool
    """Whether there is batch normalization, so that real and generated images take a pass each."""

    @property
    def layers(self) -> tuple[Size, ...]:
        """All layers of both."""
        return (*self.generator, *self.discriminator)

    @property
    def parameters(self) -> int:
        """Entries of all variables of both networks, moving statistics included."""
        return sum(layer.parameters for layer in self.layers)

    @property
    def trainable(self) -> int:
        """Entries of the variables that the optimizer updates."""
        return sum(sum(layer.trainable) for layer in self.layers)

    @property
    def checkpoint_bytes(self) -> int:
        """A checkpoint's files together: weights, moving statistics, Adam's moments and an index of names."""
        tensors = sum((1 + _MOMENTS) * len(layer.trainable) + len(layer.moving) for layer in self.layers)
        entries = self.parameters + _MOMENTS * self.trainable
        return entries * _FLOAT_BYTES + tensors * _TENSOR_BYTES + _INDEX_BYTES

    @property
    def generator_bytes(self) -> int:
        """The generator's weights, which are nearly all of ``export/generator.keras``."""
        return sum(layer.parameters for layer in self.generator) * _FLOAT_BYTES

    def memory_bytes(self, batch: int) -> dict[str, int]:
        """What one replica that takes `batch` images of each step holds, by what it is for.

        The data set and TensorFlow itself are not in it.
        """
        # Alive at once: the generator's activations and those of the discriminator on one or two batches.
        halves = 1 if self.batch_dependent else 2
        outputs = sum(layer.outputs for layer in self.generator)
        outputs += halves * sum(layer.outputs for layer in self.discriminator)
        return {
            "weights": self.parameters * _FLOAT_BYTES,
            "optimizer": _MOMENTS * self.trainable * _FLOAT_BYTES,
            "gradients": self.trainable * _FLOAT_BYTES,
            "activations": outputs * batch * _FLOAT_BYTES,
        }


def sizes(config: RunConfig) -> Sizes:
    """The sizes of the networks that `config` asks for."""
    network, image = config.network, config.image
    if isinstance(network, Mlp):
        pixels = math.prod(image.shape)
        return Sizes(
            generator=(
                *_hidden(network.latent_size, network.generator_units),
                _dense("pixels", network.generator_units[-1], pixels),
                Size("image", pixels),
            ),
            discriminator=(
                Size("flat", pixels),
                *_hidden(pixels, network.discriminator_units),
                _dense("logit", network.discriminator_units[-1], 1),
            ),
            batch_dependent=False,
        )
    return Sizes(
        tuple(_dcgan_generator(network, image)),
        tuple(_dcgan_discriminator(network, image)),
        batch_dependent=True,
    )


def _hidden(width: int, units: Sequence[int]) -> Iterator[Size]:
    for number, unit in enumerate(units, start=1):
        yield _dense(f"hidden_{number}", width, unit)
        yield Size(f"leaky_{number}", unit)
        width = unit


def _dense(name: str, inputs: int, outputs: int) -> Size:
    return Size(name, outputs, (inputs * outputs, outputs))


def _normalization(after: str, outputs: int, channels: int) -> Size:
    return Size(f"normalize_{after}", outputs, (channels, channels), (channels, channels))


def _dcgan_generator(network: Dcgan, image: Image) -> Iterator[Size]:
    first, *rest = network.generator_filters
    factor = 2 ** len(network.generator_filters)
    area = image.height // factor * (image.width // factor)
    outputs = area * first
    yield Size("project", outputs, (network.latent_size * outputs,))
    yield Size("grid", outputs)
    yield _normalization("project", outputs, first)
    yield Size("relu_project", outputs)
    channels = first
    for number, filters in enumerate(rest, start=1):
        area *= 4
        outputs = area * filters
        yield Size(f"up_{number}", outputs, (network.kernel**2 * channels * filters,))
        yield _normalization(f"up_{number}", outputs, filters)
        yield Size(f"relu_{number}", outputs)
        channels = filters
    kernel = network.kernel**2 * channels * image.channels
    yield Size("image", math.prod(image.shape), (kernel, image.channels))


def _dcgan_discriminator(network: Dcgan, image: Image) -> Iterator[Size]:
    channels: int = image.channels
    area = image.height * image.width
    for number, filters in enumerate(network.discriminator_filters, start=1):
        area //= 4
        outputs, kernel = area * filters, network.kernel**2 * channels * filters
        if number == 1:
            yield Size("down_1", outputs, (kernel, filters))
        else:
            yield Size(f"down_{number}", outputs, (kernel,))
            yield _normalization(f"down_{number}", outputs, filters)
        yield Size(f"leaky_{number}", outputs)
        channels = filters
    yield Size("flat", area * channels)
    yield _dense("logit", area * channels, 1)
