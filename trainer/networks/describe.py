"""What a configuration builds and costs, counted without training: layers, parameters, FLOP, memory."""

import math
from typing import Any, NamedTuple

import keras

from trainer.config import RunConfig
from trainer.networks.building import build
from trainer.networks.sizes import sizes


class Layer(NamedTuple):
    """One layer of a network."""

    name: str
    """Its name in a checkpoint."""
    kind: str
    """Keras' class."""
    output_shape: tuple[int, ...]
    """Shape of one example's output."""
    parameters: int
    """Entries of its variables, moving statistics included."""
    flop: int
    """Floating-point operations of one example forward: two for each multiply and add of a product."""


class Description(NamedTuple):
    """A configuration's size and cost."""

    generator: tuple[Layer, ...]
    discriminator: tuple[Layer, ...]
    flop_per_image: int
    """FLOP of one whole step, divided by its real images: both updates, forward and backward."""
    memory_bytes: dict[str, int]
    """Estimate for one replica: weights, optimizer, gradients, activations; the data set is not in it."""

    @property
    def generator_parameters(self) -> int:
        """Parameters of the generator."""
        return sum(layer.parameters for layer in self.generator)

    @property
    def discriminator_parameters(self) -> int:
        """Parameters of the discriminator."""
        return sum(layer.parameters for layer in self.discriminator)


def describe(config: RunConfig, replicas: int = 1) -> Description:
    """Count what `config` builds, with the global batch spread over `replicas`."""
    networks = build(config)
    generator = tuple(_layer(layer) for layer in networks.generator.layers)
    discriminator = tuple(_layer(layer) for layer in networks.discriminator.layers)
    return Description(
        generator=generator,
        discriminator=discriminator,
        flop_per_image=_step_flop(generator, discriminator),
        memory_bytes=sizes(config).memory_bytes(config.per_replica_batch(replicas)),
    )


def as_json(description: Description) -> dict[str, Any]:
    """The description as plain values."""
    return {
        "generator": {
            "parameters": description.generator_parameters,
            "layers": [layer._asdict() for layer in description.generator],
        },
        "discriminator": {
            "parameters": description.discriminator_parameters,
            "layers": [layer._asdict() for layer in description.discriminator],
        },
        "flop_per_image": description.flop_per_image,
        "memory_bytes_per_replica": description.memory_bytes,
    }


def _layer(layer: keras.layers.Layer) -> Layer:
    shape = tuple(layer.output.shape[1:])
    return Layer(layer.name, type(layer).__name__, shape, layer.count_params(), _forward_flop(layer, shape))


def _forward_flop(layer: keras.layers.Layer, output_shape: tuple[int, ...]) -> int:
    """Products only; activations and normalization are below 1 % of a GAN's work."""
    if isinstance(layer, keras.layers.Conv2DTranspose):
        uses = math.prod(layer.input.shape[1:3])  # each pixel of the input meets the whole kernel
    elif isinstance(layer, keras.layers.Conv2D):
        uses = math.prod(output_shape[:2])  # each pixel of the output does
    elif isinstance(layer, keras.layers.Dense):
        uses = 1
    else:
        return 0
    return int(2 * uses * math.prod(layer.kernel.shape))


def _step_flop(generator: tuple[Layer, ...], discriminator: tuple[Layer, ...]) -> int:
    """FLOP of a step for each real image.

    A backward pass costs one forward pass for the weights' gradients and one for the inputs', but the first
    layer's inputs need none. The discriminator sees a real and a generated image in its own update, and the
    generated one again in the generator's, without gradients for its weights.
    """
    g, d = sum(layer.flop for layer in generator), sum(layer.flop for layer in discriminator)
    first_g, first_d = (
        next(layer.flop for layer in layers if layer.flop) for layers in (generator, discriminator)
    )
    discriminator_update = 2 * (3 * d - first_d)
    generator_update = 2 * d + 3 * g - first_g
    return discriminator_update + generator_update


def as_text(description: Description) -> str:
    """The description as a table for a terminal."""
    rows = []
    for title, layers, parameters in (
        ("generator", description.generator, description.generator_parameters),
        ("discriminator", description.discriminator, description.discriminator_parameters),
    ):
        rows.append(f"{title}: {parameters:,} parameters")
        rows += [
            f"  {layer.name:<20} {layer.kind:<24} {'x'.join(map(str, layer.output_shape)):<14} "
            f"{layer.parameters:>12,} {layer.flop:>16,} FLOP"
            for layer in layers
        ]
    rows.append(f"one step: {description.flop_per_image:,} FLOP per image")
    total = sum(description.memory_bytes.values()) / 2**20
    parts = ", ".join(f"{name} {size / 2**20:.1f}" for name, size in description.memory_bytes.items())
    rows.append(
        f"one replica: about {total:.0f} MiB ({parts}), TensorFlow itself and the data set not counted"
    )
    return "\n".join(rows)
