"""Networks of Keras layers, from an architecture's description."""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, NamedTuple

import keras
import tensorflow as tf

from trainer.networks.builder import (
    BATCH_DEPENDENT,
    Builder,
    Configuration,
    ConvolutionLayer,
    DenseLayer,
    Normal,
    Shape,
    UpConvolutionLayer,
    Weights,
    pack,
)
from trainer.networks.first_weights import initializer
from trainer.networks.layers import GroupedConv2D, SyncBatchNormalization, UpConvolution
from trainer.networks.spectral import Spectral, SpectralConv2D, SpectralDense


class Networks(NamedTuple):
    """The two players."""

    generator: keras.Model
    """Latents [batch, latent_size] to images [batch, height, width, channels] in [-1, 1]."""
    discriminator: keras.Model
    """Images to logits [batch, 1], or [batch, 1 + classes] where it says the class too."""

    @property
    def batch_dependent(self) -> bool:
        """Whether an example's output in training depends on the rest of its batch, in either network."""
        return batch_dependent(self.generator) or batch_dependent(self.discriminator)

    @property
    def convolves(self) -> bool:
        """Whether there is a convolution in either network."""
        kinds = (keras.layers.Conv2D, keras.layers.Conv2DTranspose)
        return any(isinstance(layer, kinds) for network in self for layer in network.layers)


def batch_dependent(network: keras.Model) -> bool:
    """Whether an example's output in training depends on the rest of its batch."""
    return any(type(layer).__name__ in BATCH_DEPENDENT for layer in network.layers)


def build(config: Configuration) -> Networks:
    """Both networks with first weights that are a function of the seed alone.

    Call it inside the strategy's scope; on several workers the chief's first weights reach all of them.
    """
    generator, discriminator = (KerasBuilder(config.seed, name) for name in Networks._fields)
    with _computing_in(config.precision):
        return Networks(
            generator.model(config.network.generator(generator, config.image, config.conditioning)),
            discriminator.model(
                config.network.discriminator(discriminator, pack(config), config.conditioning)
            ),
        )


@contextmanager
def _computing_in(precision: str) -> Iterator[None]:
    """Layers made within have variables in float32, and cast these and their inputs to `precision`."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(precision if precision == "float32" else f"mixed_{precision}")
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def call(network: keras.Model, first: Any, labels: Any, training: bool) -> Any:
    """A network's output for latents or images [batch, …], and labels int32 [batch] where it takes any.

    It is float32 whatever the layers compute in, so that losses, penalties and statistics are.
    """
    found = network([first, labels] if len(network.inputs) > 1 else first, training=training)
    return tf.cast(found, tf.float32)


def bare_generator(config: Configuration) -> keras.Model:
    """A generator with first weights, made of Keras' own layers, which ``keras.models.load_model`` opens."""
    builder = KerasBuilder(config.seed, "generator", portable=True)
    return builder.model(config.network.generator(builder, config.image, config.conditioning))


def portable_generator(config: Configuration, weights: list[object]) -> keras.Model:
    """A generator made of Keras' own layers only, which ``keras.models.load_model`` opens without Gantry.

    Args:
        config: the run's configuration.
        weights: what `get_weights()` of the trained generator returned.
    """
    generator = bare_generator(config)
    generator.set_weights(weights)
    return generator


def named_variables(network: keras.Model) -> dict[str, tf.Variable]:
    """Every variable of a network by a name that is the same in every process.

    Keras numbers names by what was built before; ours are ``generator/hidden_1/kernel``, and in a layer of
    layers ``generator/block_1/conv/kernel``: the whole path of names from the network's layer on.
    """
    return {
        f"{network.name}/{_path(layer, variable)}": variable.value
        for layer in network.layers
        for variable in layer.variables
        if "float" in variable.dtype  # leaves out the counters of Keras' own seed generators
    }


def _path(layer: keras.layers.Layer, variable: keras.Variable) -> str:
    """A variable's path from a layer of the network on."""
    names = variable.path.split("/")
    return "/".join(names[names.index(layer.name) :])


class KerasBuilder(Builder[Any]):
    """A builder of Keras layers."""

    def __init__(self, seed: int, network: str, *, portable: bool = False) -> None:
        """Build the network of that name with first weights of that seed.

        `portable`: of Keras' own layers, which need no Gantry to be loaded; the weights are the same.
        """
        self._seed, self._network = seed, network
        self._up = keras.layers.Conv2DTranspose if portable else UpConvolution
        self._grouped = keras.layers.Conv2D if portable else GroupedConv2D
        self._normalization = keras.layers.BatchNormalization if portable else SyncBatchNormalization
        self._inputs: list[Any] = []

    def model(self, outputs: Any) -> keras.Model:
        """The network from its inputs to `outputs`."""
        inputs = self._inputs if len(self._inputs) > 1 else self._inputs[0]
        return keras.Model(inputs, outputs, name=self._network)

    def input(self, shape: Shape, name: str) -> Any:
        """A Keras input."""
        self._inputs.append(keras.Input(shape, name=name))
        return self._inputs[-1]

    def label(self, classes: int) -> Any:
        """A Keras input of whole numbers and `keras.layers.CategoryEncoding`."""
        self._inputs.append(keras.Input((), dtype="int32", name="label"))
        encoding = keras.layers.CategoryEncoding(classes, output_mode="one_hot", name="one_hot")
        return encoding(self._inputs[-1])

    def width(self, x: Any) -> int:
        """Of a Keras tensor."""
        return int(x.shape[-1])

    def map_size(self, x: Any) -> tuple[int, int]:
        """Of a Keras tensor."""
        return int(x.shape[1]), int(x.shape[2])

    def beside(self, x: Any, vector: Any, name: str) -> Any:
        """`keras.layers.Concatenate`, after `UpSampling2D` for a map."""
        if len(x.shape) == 4:
            vector = keras.layers.Reshape((1, 1, vector.shape[-1]), name=f"{name}_pixel")(vector)
            vector = keras.layers.UpSampling2D(x.shape[1:3], name=f"{name}_map")(vector)
        return keras.layers.Concatenate(name=name)([x, vector])

    def product(self, x: Any, y: Any, name: str) -> Any:
        """`keras.layers.Dot`."""
        return keras.layers.Dot(1, name=name)([x, y])

    def sum(self, x: Any, y: Any, name: str) -> Any:
        """`keras.layers.Add`."""
        return keras.layers.Add(name=name)([x, y])

    def scale(self, x: Any, name: str) -> Any:
        """`keras.layers.Dense` of one unit for each entry by itself, as Keras has no layer of one number."""
        each = keras.layers.Reshape((math.prod(x.shape[1:]), 1), name=f"{name}_entries")(x)
        scaled = keras.layers.Dense(1, use_bias=False, kernel_initializer="zeros", name=name)(each)
        return keras.layers.Reshape(x.shape[1:], name=f"{name}_map")(scaled)

    def average_pool(self, x: Any, name: str, *, stride: int) -> Any:
        """`keras.layers.AveragePooling2D`."""
        return keras.layers.AveragePooling2D(2, strides=stride, padding="same", name=name)(x)

    def double(self, x: Any, name: str) -> Any:
        """`keras.layers.UpSampling2D`."""
        return keras.layers.UpSampling2D(2, name=name)(x)

    def sum_map(self, x: Any, name: str) -> Any:
        """`keras.layers.GlobalAveragePooling2D` times the number of pixels."""
        mean = keras.layers.GlobalAveragePooling2D(name=f"{name}_mean")(x)
        return keras.layers.Rescaling(float(math.prod(x.shape[1:3])), name=name)(mean)

    def spread(self, x: Any, height: int, width: int, name: str, *, weights: Weights) -> Any:
        """`keras.layers.EinsumDense`."""
        shape = (height, width, x.shape[-1])
        first = self._first(weights, f"{name}/kernel")
        return keras.layers.EinsumDense("bc,hwc->bhwc", shape, kernel_initializer=first, name=name)(x)

    def gather(self, x: Any, name: str, *, weights: Weights) -> Any:
        """`keras.layers.EinsumDense`."""
        first = self._first(weights, f"{name}/kernel")
        return keras.layers.EinsumDense("bhwc,hwc->bc", (x.shape[-1],), kernel_initializer=first, name=name)(
            x
        )

    def attention(self, queries: Any, keys: Any, values: Any, name: str) -> Any:
        """`keras.layers.Attention`."""
        return keras.layers.Attention(name=name)([queries, values, keys])

    def reshape(self, x: Any, shape: Shape, name: str) -> Any:
        """`keras.layers.Reshape`."""
        return keras.layers.Reshape(shape, name=name)(x)

    def flatten(self, x: Any, name: str) -> Any:
        """`keras.layers.Flatten`."""
        return keras.layers.Flatten(name=name)(x)

    def normalization(self, x: Any, name: str, *, momentum: float, epsilon: float, scale: Weights) -> Any:
        """`layers.SyncBatchNormalization`, or Keras' own."""
        return self._normalization(
            momentum=momentum,
            epsilon=epsilon,
            gamma_initializer=self._first(scale, f"{name}/gamma"),
            name=name,
        )(x)

    def relu(self, x: Any, name: str) -> Any:
        """`keras.layers.ReLU`."""
        return keras.layers.ReLU(name=name)(x)

    def leaky_relu(self, x: Any, slope: float, name: str) -> Any:
        """`keras.layers.LeakyReLU`."""
        return keras.layers.LeakyReLU(slope, name=name)(x)

    def _dense(self, x: Any, layer: DenseLayer) -> Any:
        """`keras.layers.Dense`, or `spectral.SpectralDense`."""
        kind = self._spectral(SpectralDense, layer.name) if layer.spectral else keras.layers.Dense
        return kind(
            layer.units,
            activation=layer.activation or None,
            use_bias=layer.bias,
            kernel_initializer=self._first(layer.weights, f"{layer.name}/kernel"),
            name=layer.name,
        )(x)

    def _convolution(self, x: Any, layer: ConvolutionLayer) -> Any:
        """`keras.layers.Conv2D`, `layers.GroupedConv2D` or `spectral.SpectralConv2D`."""
        plain = keras.layers.Conv2D if layer.groups == 1 else self._grouped
        kind = self._spectral(SpectralConv2D, layer.name) if layer.spectral else plain
        return kind(
            layer.filters,
            layer.kernel,
            strides=layer.stride,
            groups=layer.groups,
            padding="same",
            activation=layer.activation or None,
            use_bias=layer.bias,
            kernel_initializer=self._first(layer.weights, f"{layer.name}/kernel"),
            name=layer.name,
        )(x)

    def _up_convolution(self, x: Any, layer: UpConvolutionLayer) -> Any:
        """`layers.UpConvolution`, or Keras' own."""
        return self._up(
            layer.filters,
            layer.kernel,
            strides=2,
            padding="same",
            use_bias=layer.bias,
            kernel_initializer=self._first(layer.weights, f"{layer.name}/kernel"),
            activation=layer.activation or None,
            name=layer.name,
        )(x)

    def _spectral(self, kind: type[Spectral], name: str) -> Callable[..., Spectral]:
        return partial(kind, first=self._first(Normal(1.0), f"{name}/u"))

    def _first(self, weights: Weights, path: str) -> keras.Initializer:
        return initializer(weights, self._seed, f"{self._network}/{path}")
