"""How large a configuration's networks are and what they cost, without TensorFlow and in no time.

`Counter` is a builder that only counts; a test holds it to what Keras builds, layer by layer.
"""

import math
from typing import NamedTuple

from trainer.networks.builder import (
    BATCH_DEPENDENT,
    SPECTRAL,
    Architecture,
    Builder,
    Configuration,
    ConvolutionLayer,
    DenseLayer,
    Shape,
    UpConvolutionLayer,
    Weights,
    pack,
)
from trainer.networks.conditioning import Conditioning
from trainer.regularizers import passes
from trainer.sections import Image

_FLOAT_BYTES = 4
# Of a checkpoint's index and manifest: measured 1,150 bytes and 35 for each tensor (mlp, dcgan, dcgan64).
_INDEX_BYTES, _TENSOR_BYTES = 1150, 35
_MOMENTS = 2  # Adam's, for each trainable entry


class Size(NamedTuple):
    """One layer."""

    name: str
    """As in a checkpoint."""
    kind: str
    """What it is, by Keras' name for it."""
    output_shape: Shape
    """Of one example."""
    trainable: tuple[int, ...] = ()
    """Entries of each variable that the optimizer updates."""
    moving: tuple[int, ...] = ()
    """Entries of each variable that it does not: moving statistics, singular vectors."""
    flop: int = 0
    """Floating-point operations of one example forward: two for each multiply and add of a product.

    Products only; activations and normalization are below 1 % of a GAN's work.
    """

    @property
    def outputs(self) -> int:
        """Entries of one example's output."""
        return math.prod(self.output_shape)

    @property
    def parameters(self) -> int:
        """Entries of all variables."""
        return sum(self.trainable) + sum(self.moving)


class Counter(Builder[Shape]):
    """A builder whose outputs are shapes: it keeps the size of each layer."""

    def __init__(self) -> None:
        self.layers: list[Size] = []

    def input(self, shape: Shape, name: str) -> Shape:
        """Nothing to count."""
        return shape

    def label(self, classes: int) -> Shape:
        """One-hot."""
        return self._add(Size("one_hot", "CategoryEncoding", (classes,)))

    def width(self, x: Shape) -> int:
        """Of a shape."""
        return x[-1]

    def map_size(self, x: Shape) -> tuple[int, int]:
        """Of a shape."""
        return x[0], x[1]

    def beside(self, x: Shape, vector: Shape, name: str) -> Shape:
        """No variables."""
        if len(x) == 3:
            self._add(Size(f"{name}_pixel", "Reshape", (1, 1, *vector)))
            self._add(Size(f"{name}_map", "UpSampling2D", (*x[:2], *vector)))
        return self._add(Size(name, "Concatenate", (*x[:-1], x[-1] + vector[-1])))

    def product(self, x: Shape, y: Shape, name: str) -> Shape:
        """No variables; 2 n operations are below what is counted."""
        return self._add(Size(name, "Dot", (1,)))

    def sum(self, x: Shape, y: Shape, name: str) -> Shape:
        """No variables."""
        return self._add(Size(name, "Add", x))

    def scale(self, x: Shape, name: str) -> Shape:
        """One number, and a product for each entry."""
        entries = math.prod(x)
        self._add(Size(f"{name}_entries", "Reshape", (entries, 1)))
        self._add(Size(name, "Dense", (entries, 1), (1,), flop=2 * entries))
        return self._add(Size(f"{name}_map", "Reshape", x))

    def average_pool(self, x: Shape, name: str, *, stride: int) -> Shape:
        """No variables."""
        return self._add(Size(name, "AveragePooling2D", (-(-x[0] // stride), -(-x[1] // stride), x[2])))

    def double(self, x: Shape, name: str) -> Shape:
        """No variables."""
        return self._add(Size(name, "UpSampling2D", (2 * x[0], 2 * x[1], x[2])))

    def sum_map(self, x: Shape, name: str) -> Shape:
        """No variables."""
        self._add(Size(f"{name}_mean", "GlobalAveragePooling2D", x[-1:]))
        return self._add(Size(name, "Rescaling", x[-1:]))

    def spread(self, x: Shape, height: int, width: int, name: str, *, weights: Weights) -> Shape:
        """A map for each channel."""
        shape = (height, width, *x)
        entries = math.prod(shape)
        return self._add(Size(name, "EinsumDense", shape, (entries,), flop=2 * entries))

    def gather(self, x: Shape, name: str, *, weights: Weights) -> Shape:
        """A map for each channel."""
        entries = math.prod(x)
        return self._add(Size(name, "EinsumDense", x[-1:], (entries,), flop=2 * entries))

    def attention(self, queries: Shape, keys: Shape, values: Shape, name: str) -> Shape:
        """No variables; a product with each key, and one with each value."""
        shape = (queries[0], values[1])
        flop = 2 * queries[0] * keys[0] * (keys[1] + values[1])
        return self._add(Size(name, "Attention", shape, flop=flop))

    def reshape(self, x: Shape, shape: Shape, name: str) -> Shape:
        """No variables."""
        return self._add(Size(name, "Reshape", shape))

    def flatten(self, x: Shape, name: str) -> Shape:
        """No variables."""
        return self._add(Size(name, "Flatten", (math.prod(x),)))

    def normalization(self, x: Shape, name: str, *, momentum: float, epsilon: float, scale: Weights) -> Shape:
        """Scale and shift of each channel, and its moving mean and variance."""
        two = (x[-1], x[-1])
        return self._add(Size(name, "SyncBatchNormalization", x, two, two))

    def relu(self, x: Shape, name: str) -> Shape:
        """No variables."""
        return self._add(Size(name, "ReLU", x))

    def leaky_relu(self, x: Shape, slope: float, name: str) -> Shape:
        """No variables."""
        return self._add(Size(name, "LeakyReLU", x))

    def _dense(self, x: Shape, layer: DenseLayer) -> Shape:
        """A kernel [n, units]."""
        entries = math.prod(x) * layer.units
        return self._product(layer.name, "Dense", (layer.units,), entries, layer.bias, 1, layer.spectral)

    def _convolution(self, x: Shape, layer: ConvolutionLayer) -> Shape:
        """A kernel [kernel, kernel, channels / groups, filters], which each pixel of the output meets."""
        height, width = (-(-side // layer.stride) for side in x[:2])
        entries = layer.kernel**2 * x[2] // layer.groups * layer.filters
        shape = (height, width, layer.filters)
        kind = "Conv2D" if layer.groups == 1 else "GroupedConv2D"
        return self._product(layer.name, kind, shape, entries, layer.bias, height * width, layer.spectral)

    def _up_convolution(self, x: Shape, layer: UpConvolutionLayer) -> Shape:
        """A kernel [kernel, kernel, filters, channels], which each pixel of the input meets whole."""
        height, width, channels = x
        shape = (2 * height, 2 * width, layer.filters)
        entries = layer.kernel**2 * channels * layer.filters
        return self._product(layer.name, "UpConvolution", shape, entries, layer.bias, height * width)

    def _product(
        self, name: str, kind: str, shape: Shape, kernel: int, bias: bool, uses: int, spectral: bool = False
    ) -> Shape:
        outputs = shape[-1]
        variables = (kernel, outputs) if bias else (kernel,)
        vectors = (outputs, kernel // outputs) if spectral else ()
        kind = f"Spectral{kind}" if spectral else kind
        return self._add(Size(name, kind, shape, variables, vectors, 2 * uses * kernel))

    def _add(self, size: Size) -> Shape:
        self.layers.append(size)
        return size.output_shape


class Sizes(NamedTuple):
    """Both networks of a configuration."""

    generator: tuple[Size, ...]
    discriminator: tuple[Size, ...]
    averaged: bool = False
    """Whether the generator's weights are averaged."""
    repeats: tuple[int, int] = (1, 1)
    """Updates of generator and discriminator in a step."""
    penalties: float = 0.0
    """Passes over one image that an update's penalties cost, in forward passes of the discriminator."""
    microbatch: int = 0
    """Images of one replica that are computed at once; 0 for all."""
    packing: int = 1
    """Images that the discriminator is given as one."""
    precision: str = "float32"
    """Type that activations are computed in."""

    @property
    def batch_dependent(self) -> bool:
        """Whether there is batch normalization, so that real and generated images take a pass each."""
        return any(layer.kind in BATCH_DEPENDENT for layer in self.layers)

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
    def state(self) -> dict[str, int]:
        """Entries of what a checkpoint has to bring back, by kind."""
        return {
            "weights": self.trainable,
            "moments": _MOMENTS * self.trainable,
            "statistics": self.parameters - self.trainable,
            "average": self._averages,
        }

    @property
    def checkpoint_bytes(self) -> int:
        """A checkpoint's files together: weights, moving statistics, Adam's moments and an index of names."""
        tensors = sum((1 + _MOMENTS) * len(layer.trainable) + len(layer.moving) for layer in self.layers)
        entries = self.parameters + _MOMENTS * self.trainable + self._averages
        if self.averaged:
            tensors += sum(len(layer.trainable) for layer in self.generator)
        return entries * _FLOAT_BYTES + tensors * _TENSOR_BYTES + _INDEX_BYTES

    @property
    def generator_bytes(self) -> int:
        """The generator's weights, which are nearly all of ``export/generator.keras``."""
        return sum(layer.parameters for layer in self.generator) * _FLOAT_BYTES

    @property
    def flop_per_image(self) -> int:
        """FLOP of one whole step, divided by its real images: all updates, forward and backward.

        A backward pass costs one forward pass for the weights' gradients and one for the inputs', but the
        first layer's inputs need none. The discriminator sees a real and a generated image in its own update,
        and the generated one again in the generator's, without gradients for its weights.
        """
        both = (self.generator, self.discriminator)
        g, d = (sum(layer.flop for layer in layers) for layers in both)
        first_g, first_d = (next(layer.flop for layer in layers if layer.flop) for layers in both)
        of_g, of_d = self.repeats
        packs = 2 * (3 * d - first_d) + round(self.penalties * d)
        judged = packs // self.packing + g  # with images drawn for it
        drawn = 2 * d // self.packing + 3 * g - first_g
        shared = 0 if self.microbatch else g  # the last images are both players', if they are kept
        return (of_d * judged + of_g * drawn - shared) // of_d

    @property
    def _averages(self) -> int:
        return sum(sum(layer.trainable) for layer in self.generator) if self.averaged else 0

    def memory_bytes(self, batch: int) -> dict[str, int]:
        """What one replica that takes `batch` images of each step holds, by what it is for.

        The data set and TensorFlow itself are not in it.
        """
        # Alive at once: the generator's activations and those of the discriminator on one or two batches.
        entry = _FLOAT_BYTES if self.precision == "float32" else _FLOAT_BYTES // 2
        in_parts = 0 < self.microbatch < batch
        halves = 1 if self.batch_dependent else 2
        outputs = sum(layer.outputs for layer in self.generator)
        outputs += halves * sum(layer.outputs for layer in self.discriminator) // self.packing
        return {
            "weights": (self.parameters + self._averages) * _FLOAT_BYTES,
            "optimizer": _MOMENTS * self.trainable * _FLOAT_BYTES,
            # Of a part, and what they are added to.
            "gradients": (2 if in_parts else 1) * self.trainable * _FLOAT_BYTES,
            "activations": outputs * (self.microbatch if in_parts else batch) * entry,
        }


def sizes(config: Configuration) -> Sizes:
    """The sizes of the networks that `config` asks for."""
    generator, discriminator = Counter(), Counter()
    config.network.generator(generator, config.image, config.conditioning)
    config.network.discriminator(discriminator, pack(config), config.conditioning)
    return Sizes(
        tuple(generator.layers),
        tuple(discriminator.layers),
        config.averaging.half_life_images > 0,
        (config.g_repeats, config.d_repeats),
        passes(config.regularizers),
        config.microbatch,
        config.packing,
        config.precision,
    )


def generator_normalizes(network: Architecture, image: Image) -> bool:
    """Whether an image in training depends on the other latents of its batch."""
    counter = Counter()
    network.generator(counter, image, Conditioning())
    return any(layer.kind in BATCH_DEPENDENT for layer in counter.layers)


def discriminator_normalizes(network: Architecture, image: Image) -> bool:
    """Whether a discriminator's score depends on the other images of its batch."""
    return any(layer.kind in BATCH_DEPENDENT for layer in _discriminator(network, image))


def discriminator_is_lipschitz(network: Architecture, image: Image) -> bool:
    """Whether all of a discriminator's weights are spectrally normalized."""
    return all(layer.kind in SPECTRAL for layer in _discriminator(network, image) if layer.trainable)


def discriminator_fuses(network: Architecture, image: Image) -> bool:
    """Whether TensorFlow may make one kernel of its convolutions and what follows each.

    Where a LeakyReLU follows without batch normalization between, it tries and fails, and says so on stderr.
    """
    convolves = any(layer.kind.endswith("Conv2D") for layer in _discriminator(network, image))
    return not convolves or discriminator_normalizes(network, image)


def _discriminator(network: Architecture, image: Image) -> list[Size]:
    counter = Counter()
    network.discriminator(counter, image, Conditioning())
    return counter.layers
