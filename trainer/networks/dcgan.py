"""Deep convolutional GAN (Radford, Metz and Chintala 2015, arXiv:1511.06434).

As section 3 and figure 1 say: strided convolutions instead of pooling, batch normalization in both networks
but not at the generator's output nor the discriminator's input, ReLU in the generator with tanh at its end,
LeakyReLU in the discriminator, weights from N(0, 0.02).
"""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from trainer.networks import ends
from trainer.networks.builder import Architecture, Builder, LatentSize, Normal, T
from trainer.networks.conditioning import Conditioning
from trainer.sections import Fraction, Image, Widths

_EPSILON = 1e-5  # of batch normalization, as in the authors' code


class Dcgan(Architecture):
    """Deep convolutional GAN of Radford, Metz and Chintala 2015 (arXiv:1511.06434), section 3, figure 1."""

    without_normalization: ClassVar[str] = (
        "; network.discriminator_normalization=none or spectral takes it out"
    )
    without_generator_normalization: ClassVar[str] = "; network.generator_normalization=none takes it out"

    name: Literal["dcgan"]
    """Kind of network."""
    latent_size: LatentSize = 100
    """Entries of the latent vector z (section 4.1), drawn from N(0, 1)."""
    generator_filters: Widths = (1024, 512, 256, 128)
    """Channels of the projection and of each transposed convolution but the last (figure 1: from 1024)."""
    discriminator_filters: Widths = (64, 128, 256, 512)
    """Channels of each convolution of the discriminator: the generator's, mirrored and halved."""
    kernel: Annotated[int, Field(ge=2, le=9)] = 5
    """Edge of each convolution's kernel, in pixels (figure 1: 5); the stride is 2."""
    generator_normalization: Literal["batch", "none"] = "batch"
    """batch: as in section 3; none: for `microbatch`."""
    discriminator_normalization: Literal["batch", "none", "spectral"] = "batch"
    """batch: as in section 3; none: for penalties on the discriminator's gradient at each image; spectral:
    every weight of the discriminator divided by its largest singular value (Miyato et al. 2018,
    arXiv:1802.05957, algorithm 1), which goes with such penalties and makes a critic for wasserstein."""
    leaky_slope: Fraction = 0.2
    """Slope of LeakyReLU in the discriminator (section 3)."""
    weight_stddev: Annotated[float, Field(gt=0, le=1)] = 0.02
    """Standard deviation of the weights' first values (section 4)."""
    batch_norm_momentum: Fraction = 0.9
    """Share of the old moving statistics kept at each step."""

    def check(self, image: Image) -> None:
        """Each entry of the filters halves the image once, in both networks."""
        for field in ("generator_filters", "discriminator_filters"):
            factor = 2 ** len(getattr(self, field))
            for side in ("height", "width"):
                size = getattr(image, side)
                if size % factor:
                    raise ValueError(
                        f"image.{side} is {size}, expected a multiple of {factor}: "
                        f"network.{field} has {factor.bit_length() - 1} entries, each halving the image"
                    )

    def generator(self, builder: Builder[T], image: Image, conditioning: Conditioning) -> T:
        """A projection to a small map, doubled by each transposed convolution."""
        first, *rest = self.generator_filters
        factor = 2 ** len(self.generator_filters)
        small = (image.height // factor, image.width // factor, first)
        x = ends.latents(builder, self.latent_size, conditioning)
        plain = self.generator_normalization == "none"
        x = builder.dense(x, small[0] * small[1] * first, "project", bias=plain, weights=self._weights)
        x = builder.reshape(x, small, "grid")
        x = x if plain else self._normalized(builder, x, "project")
        x = builder.relu(x, "relu_project")
        for number, filters in enumerate(rest, start=1):
            name = f"up_{number}"
            x = builder.up_convolution(
                x, filters, name, kernel=self.kernel, bias=plain, weights=self._weights
            )
            x = x if plain else self._normalized(builder, x, name)
            x = builder.relu(x, f"relu_{number}")
        return builder.up_convolution(
            x, image.channels, "image", kernel=self.kernel, weights=self._weights, activation="tanh"
        )

    def discriminator(self, builder: Builder[T], image: Image, conditioning: Conditioning) -> T:
        """The image halved by each convolution, and one logit of what is left."""
        x, label = ends.image(builder, image.shape, conditioning)
        plain = self.discriminator_normalization != "batch"
        spectral = self.discriminator_normalization == "spectral"
        for number, filters in enumerate(self.discriminator_filters, start=1):
            name, first = f"down_{number}", number == 1
            x = builder.convolution(
                x,
                filters,
                name,
                kernel=self.kernel,
                stride=2,
                bias=first or plain,
                weights=self._weights,
                spectral=spectral,
            )
            if not first and not plain:
                x = self._normalized(builder, x, name)
            x = builder.leaky_relu(x, self.leaky_slope, f"leaky_{number}")
        x = builder.flatten(x, "flat")
        return ends.logits(builder, x, label, conditioning, self._weights, spectral=spectral)

    @property
    def _weights(self) -> Normal:
        return Normal(self.weight_stddev)

    def _normalized(self, builder: Builder[T], x: T, after: str) -> T:
        scale = Normal(self.weight_stddev, mean=1.0)  # from N(1, 0.02) as in the authors' code
        return builder.normalization(
            x, f"normalize_{after}", momentum=self.batch_norm_momentum, epsilon=_EPSILON, scale=scale
        )
