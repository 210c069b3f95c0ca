"""R3GAN's networks (Huang et al. 2024, arXiv:2501.05441, section 4 and appendix).

Stages of residual blocks, one for each size of the map. A block is an inverted bottleneck: a 1x1 convolution
to `expansion` times the channels, a 3x3 one in groups, and a 1x1 one back, with a biased LeakyReLU after each
of the first two, and no normalization. First weights are fix-up's (Zhang et al. 2019, arXiv:1901.09321)
without its scalars: N(0, gain^2 / inputs), but 0 for the last convolution of a block, and the two before it
times L^(-1/4), L the blocks of the network. Between stages the map is resampled with the triangle [1, 2, 1],
which is bilinear interpolation, and a 1x1 convolution changes the channels where they change. The generator
begins with a learned map for each channel, as strong as a linear function of the latent says, and the
discriminator ends with the inner products of its maps and learned ones.

Unlike the paper's, the generator ends with tanh: exports promise images in [-1, 1].
"""

from typing import Annotated, Literal

from pydantic import Field

from trainer.networks import ends
from trainer.networks.builder import Architecture, Builder, LatentSize, Normal, T
from trainer.networks.conditioning import Conditioning
from trainer.networks.sides import check_sides
from trainer.sections import Fraction, Image, Widths


class R3gan(Architecture):
    """Residual networks with grouped bottlenecks of Huang et al. 2024 (arXiv:2501.05441), section 4."""

    name: Literal["r3gan"]
    """Kind of network."""
    latent_size: LatentSize = 64
    """Entries of the latent vector z, drawn from N(0, 1)."""
    widths: Widths = (768, 768, 768, 768)
    """Channels of each stage in both networks, from the smallest map to the image's (CIFAR-10: 768 in each
    of four)."""
    groups: Widths = (96, 96, 96, 96)
    """Groups of each stage's 3x3 convolutions (the paper: of 16 channels)."""
    blocks: Annotated[int, Field(ge=1, le=32)] = 2
    """Residual blocks of each stage."""
    expansion: Annotated[int, Field(ge=1, le=8)] = 2
    """Channels within a block over those outside."""
    leaky_slope: Fraction = 0.2
    """Slope of LeakyReLU below zero."""

    def check(self, image: Image) -> None:
        """A map for each stage, and groups that divide its channels."""
        if len(self.groups) != len(self.widths):
            raise ValueError(
                f"network.groups has {len(self.groups)} entries, expected {len(self.widths)}, one for each "
                "of network.widths"
            )
        for width, groups in zip(self.widths, self.groups, strict=True):
            if width * self.expansion % groups:
                raise ValueError(
                    f"network.groups has {groups} beside network.widths' {width}, expected a divisor of "
                    f"{width * self.expansion}: network.expansion is {self.expansion}"
                )
        stages = len(self.widths)
        check_sides(
            image, stages - 1, f"network.widths has {stages} stages, each twice as large as the one before"
        )

    def generator(self, builder: Builder[T], image: Image, conditioning: Conditioning) -> T:
        """With the defaults, at 32x32x3 without labels, 20,732,160 parameters."""
        first, doublings = self.widths[0], len(self.widths) - 1
        x = ends.latents(builder, self.latent_size, conditioning)
        weights = Normal(builder.width(x) ** -0.5)
        x = builder.dense(x, first, "project", bias=False, weights=weights)
        small = (image.height >> doublings, image.width >> doublings)
        x = builder.spread(x, *small, "basis", weights=Normal(1.0))
        for stage, width in enumerate(self.widths):
            if stage:
                x = _resized(builder, x, width, f"up_{stage}")
                x = triangle_up(builder, x, f"up_{stage}")
            x = self._stage(builder, x, stage)
        return _pointwise(builder, x, image.channels, "image", activation="tanh")

    def discriminator(self, builder: Builder[T], image: Image, conditioning: Conditioning) -> T:
        """With the defaults, at 32x32x3 without labels, 20,683,776 parameters."""
        x, label = ends.image(builder, image.shape, conditioning)
        x = _pointwise(builder, x, self.widths[-1], "pixels")
        for stage in reversed(range(len(self.widths))):
            x = self._stage(builder, x, stage)
            if stage:
                x = triangle_down(builder, x, f"down_{stage}")
                x = _resized(builder, x, self.widths[stage - 1], f"down_{stage}")
        height, width = builder.map_size(x)
        x = builder.gather(x, "basis", weights=Normal((height * width) ** -0.5))
        return ends.logits(builder, x, label, conditioning, Normal(self.widths[0] ** -0.5), bias=False)

    def _stage(self, builder: Builder[T], x: T, stage: int) -> T:
        """The blocks of one stage, whose maps and channels stay."""
        for number in range(1, self.blocks + 1):
            x = self.block(builder, x, self.groups[stage], f"stage_{stage + 1}_block_{number}")
        return x

    def block(self, builder: Builder[T], x: T, groups: int, name: str) -> T:
        """An inverted bottleneck, whose output is as large as its input."""
        channels = builder.width(x)
        within = channels * self.expansion
        inner = builder.convolution(x, within, f"{name}_in", kernel=1, weights=self._weights(channels))
        inner = builder.leaky_relu(inner, self.leaky_slope, f"{name}_leaky_1")
        weights = self._weights(9 * within // groups)
        inner = builder.convolution(inner, within, f"{name}_groups", kernel=3, groups=groups, weights=weights)
        inner = builder.leaky_relu(inner, self.leaky_slope, f"{name}_leaky_2")
        inner = builder.convolution(inner, channels, f"{name}_out", kernel=1, bias=False, weights=Normal(0.0))
        return builder.sum(x, inner, f"{name}_sum")

    def _weights(self, inputs: int) -> Normal:
        """Of a convolution before a LeakyReLU, whose gain is sqrt(2 / (1 + slope^2)) (He et al. 2015)."""
        gain = (2 / (1 + self.leaky_slope**2)) ** 0.5
        return Normal(gain * (self.blocks * len(self.widths)) ** -0.25 * inputs**-0.5)


def triangle_up(builder: Builder[T], x: T, name: str) -> T:
    """[batch, height, width, channels] to [batch, 2 height, …]: each pixel twice, then means of two."""
    return builder.average_pool(builder.double(x, f"{name}_double"), f"{name}_smooth", stride=1)


def triangle_down(builder: Builder[T], x: T, name: str) -> T:
    """[batch, height, width, channels] to [batch, height / 2, …]: means of two neighbouring means of two."""
    return builder.average_pool(builder.average_pool(x, f"{name}_smooth", stride=1), f"{name}_pool", stride=2)


def _resized(builder: Builder[T], x: T, width: int, name: str) -> T:
    """The map with as many channels as the next stage has."""
    return x if builder.width(x) == width else _pointwise(builder, x, width, name)


def _pointwise(builder: Builder[T], x: T, filters: int, name: str, *, activation: str = "") -> T:
    weights = Normal(builder.width(x) ** -0.5)
    return builder.convolution(x, filters, name, kernel=1, bias=False, weights=weights, activation=activation)
