"""The few layers of which every network here is described, whoever builds or counts them."""

from abc import ABC, abstractmethod
from typing import Annotated, ClassVar, Generic, NamedTuple, Protocol, TypeVar

from pydantic import Field

from trainer.networks.conditioning import Conditioning
from trainer.regularizers import Regularizers
from trainer.sections import Image, Section

T = TypeVar("T")
"""A layer's output: a Keras tensor, or its shape alone."""
Shape = tuple[int, ...]
"""Of one example: without the batch."""
LatentSize = Annotated[int, Field(ge=1, le=4096)]


class Glorot(NamedTuple):
    """First weights as Keras has them by default (Glorot and Bengio 2010), times a gain."""

    gain: float = 1.0


class Normal(NamedTuple):
    """First weights from N(mean, stddev)."""

    stddev: float
    mean: float = 0.0


Weights = Glorot | Normal
GLOROT = Glorot()


BATCH_DEPENDENT = frozenset({"SyncBatchNormalization"})
"""Kinds of layers whose output for an example in training depends on the rest of its batch."""
SPECTRAL = frozenset({"SpectralDense", "SpectralConv2D"})
"""Kinds of layers with weights that are divided by their largest singular value."""


class DenseLayer(NamedTuple):
    """What `Builder.dense` was asked for."""

    name: str
    units: int
    bias: bool
    weights: Weights
    activation: str
    spectral: bool


class ConvolutionLayer(NamedTuple):
    """What `Builder.convolution` was asked for."""

    name: str
    filters: int
    kernel: int
    stride: int
    groups: int
    bias: bool
    weights: Weights
    activation: str
    spectral: bool


class UpConvolutionLayer(NamedTuple):
    """What `Builder.up_convolution` was asked for."""

    name: str
    filters: int
    kernel: int
    bias: bool
    weights: Weights
    activation: str


class Builder(ABC, Generic[T]):
    """Makes layers one after another; their names are those of a checkpoint's tensors, and so for ever.

    Defaults are here alone: who builds or counts is handed what was asked for, whole.
    """

    def dense(
        self,
        x: T,
        units: int,
        name: str,
        *,
        bias: bool = True,
        weights: Weights = GLOROT,
        activation: str = "",
        spectral: bool = False,
    ) -> T:
        """[batch, n] to [batch, units]; `spectral`: with normalized weights (`networks.spectral`)."""
        return self._dense(x, DenseLayer(name, units, bias, weights, activation, spectral))

    def convolution(
        self,
        x: T,
        filters: int,
        name: str,
        *,
        kernel: int,
        stride: int = 1,
        groups: int = 1,
        bias: bool = True,
        weights: Weights = GLOROT,
        activation: str = "",
        spectral: bool = False,
    ) -> T:
        """[batch, height, width, channels] to [batch, height / stride, …, filters], rounded up.

        `groups`: of neighbouring channels, each of which makes its share of the filters by itself.
        """
        layer = ConvolutionLayer(name, filters, kernel, stride, groups, bias, weights, activation, spectral)
        return self._convolution(x, layer)

    def up_convolution(
        self,
        x: T,
        filters: int,
        name: str,
        *,
        kernel: int,
        bias: bool = True,
        weights: Weights = GLOROT,
        activation: str = "",
    ) -> T:
        """Transposed, of stride 2: [batch, height, width, channels] to [batch, 2 height, …, filters]."""
        return self._up_convolution(x, UpConvolutionLayer(name, filters, kernel, bias, weights, activation))

    @abstractmethod
    def input(self, shape: Shape, name: str) -> T:
        """What the network is given first: [batch, *shape]."""

    @abstractmethod
    def label(self, classes: int) -> T:
        """What it is given second: a label in [0, classes), int32 [batch], here one-hot [batch, classes]."""

    @abstractmethod
    def width(self, x: T) -> int:
        """n of [batch, n], channels of [batch, height, width, channels]."""

    @abstractmethod
    def map_size(self, x: T) -> tuple[int, int]:
        """Height and width of [batch, height, width, channels]."""

    @abstractmethod
    def beside(self, x: T, vector: T, name: str) -> T:
        """[batch, n] and [batch, m] to [batch, n + m]; of a map, the vector beside each pixel's channels."""

    @abstractmethod
    def product(self, x: T, y: T, name: str) -> T:
        """Inner products of [batch, n] with [batch, n], [batch, 1]."""

    @abstractmethod
    def sum(self, x: T, y: T, name: str) -> T:
        """Entry by entry."""

    @abstractmethod
    def scale(self, x: T, name: str) -> T:
        """Times one learned number, which is 0 at first."""

    @abstractmethod
    def average_pool(self, x: T, name: str, *, stride: int) -> T:
        """Means of 2x2 pixels: a map half as high and wide with stride 2; with stride 1 as large as it was.

        With stride 1 a pixel is averaged with those right of it and below it, as far as there are any.
        """

    @abstractmethod
    def double(self, x: T, name: str) -> T:
        """Each pixel four times: [batch, height, width, channels] to [batch, 2 height, 2 width, channels]."""

    @abstractmethod
    def sum_map(self, x: T, name: str) -> T:
        """Sums over all pixels: [batch, height, width, channels] to [batch, channels]."""

    @abstractmethod
    def spread(self, x: T, height: int, width: int, name: str, *, weights: Weights) -> T:
        """Each entry times a map that is learned: [batch, channels] to [batch, height, width, channels]."""

    @abstractmethod
    def gather(self, x: T, name: str, *, weights: Weights) -> T:
        """Each channel's inner product with a map that is learned: to [batch, channels]."""

    @abstractmethod
    def attention(self, queries: T, keys: T, values: T, name: str) -> T:
        """Means of values, weighted by the softmax of a query's inner products with all keys.

        Args:
            queries: [batch, n, m].
            keys: [batch, k, m].
            values: [batch, k, channels]; the output is [batch, n, channels].
            name: of the layer.
        """

    @abstractmethod
    def reshape(self, x: T, shape: Shape, name: str) -> T:
        """The same entries in another shape."""

    @abstractmethod
    def flatten(self, x: T, name: str) -> T:
        """[batch, …] to [batch, n]."""

    @abstractmethod
    def normalization(self, x: T, name: str, *, momentum: float, epsilon: float, scale: Weights) -> T:
        """Batch normalization over all but the channels; `scale` draws the first gamma."""

    @abstractmethod
    def relu(self, x: T, name: str) -> T:
        """max(x, 0)."""

    @abstractmethod
    def leaky_relu(self, x: T, slope: float, name: str) -> T:
        """x where it is positive, `slope` times x elsewhere."""

    @abstractmethod
    def _dense(self, x: T, layer: DenseLayer) -> T: ...

    @abstractmethod
    def _convolution(self, x: T, layer: ConvolutionLayer) -> T: ...

    @abstractmethod
    def _up_convolution(self, x: T, layer: UpConvolutionLayer) -> T: ...


class Architecture(Section):
    """One kind of networks: the section that configures it, and the two networks.

    A subclass has a field `name` of one literal, by which a configuration chooses it, and `latent_size`.
    """

    without_normalization: ClassVar[str] = ""
    """How a person takes batch normalization out of the discriminator, for messages: ``: network.… does``."""

    without_generator_normalization: ClassVar[str] = ""
    """The same for the generator."""

    def check(self, image: Image) -> None:
        """Refuse images that the networks cannot have.

        Raises:
            ValueError: with the key, its value and what is expected.
        """

    def generator(self, builder: Builder[T], image: Image, conditioning: Conditioning) -> T:
        """Latents [batch, latent_size] to images [batch, height, width, channels] in [-1, 1]."""
        raise NotImplementedError

    def discriminator(self, builder: Builder[T], image: Image, conditioning: Conditioning) -> T:
        """Images in [-1, 1] to `conditioning.logits`, the first positive for real."""
        raise NotImplementedError


class Averaging(Protocol):
    """Whether a run averages its generator's weights."""

    @property
    def half_life_images(self) -> int:
        """0 for no average."""


class Configuration(Protocol):
    """What of a run's configuration its networks are made from."""

    @property
    def network(self) -> Architecture:
        """The architecture and its numbers."""

    @property
    def image(self) -> Image:
        """Shape of the images."""

    @property
    def conditioning(self) -> Conditioning:
        """What the networks are told of labels."""

    @property
    def averaging(self) -> Averaging:
        """The average of the generator."""

    @property
    def regularizers(self) -> Regularizers:
        """What holds the discriminator back."""

    @property
    def microbatch(self) -> int:
        """Images of one replica that are computed at once; 0 for all."""

    @property
    def packing(self) -> int:
        """Images that the discriminator is given as one."""

    @property
    def d_repeats(self) -> int:
        """Updates of the discriminator in a step."""

    @property
    def g_repeats(self) -> int:
        """Updates of the generator in a step."""

    @property
    def precision(self) -> str:
        """Type that activations are computed in: float32, bfloat16 or float16."""

    @property
    def seed(self) -> int:
        """Seed of the first weights."""


def pack(config: Configuration) -> Image:
    """What the discriminator is given for an image: `packing` of them, as channels."""
    return config.image.model_copy(update={"channels": config.image.channels * config.packing})
