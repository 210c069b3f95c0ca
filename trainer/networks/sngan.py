"""SNGAN's residual networks (Miyato et al. 2018, arXiv:1802.05957, appendix B.4).

As tables 3 to 5 and figure 8 say: a generator of residual blocks that double the map, with batch
normalization and ReLU before each 3x3 convolution; a discriminator of residual blocks, the first ones of
which halve the map by average pooling, with no ReLU before the very first, and all of whose weights are
spectrally normalized; then ReLU, sums over the map and a logit. Between a block's two convolutions there are
as many channels as after it in the generator, and as before it in the discriminator, but for its first block:
as in the authors' code.

In shortcuts, doubling comes after the 1x1 convolution and pooling before it, which is a quarter of the work:
the order changes nothing but rounding.
"""

from functools import partial
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from trainer.networks import ends
from trainer.networks.attention import self_attention
from trainer.networks.builder import GLOROT, Architecture, Builder, Glorot, LatentSize, Normal, T
from trainer.networks.conditioning import Conditioning
from trainer.networks.sides import check_sides
from trainer.sections import Fraction, Image, Widths

_EPSILON = 2e-5  # of batch normalization, as in the authors' code
_RESIDUAL = Glorot(2**0.5)  # of a block's 3x3 convolutions, likewise; all else has a gain of 1


class Sngan(Architecture):
    """Residual networks with spectral normalization of Miyato et al. 2018 (arXiv:1802.05957), table 3."""

    without_generator_normalization: ClassVar[str] = "; network.generator_normalization=none takes it out"

    name: Literal["sngan"]
    """Kind of network."""
    latent_size: LatentSize = 128
    """Entries of the latent vector z, drawn from N(0, 1) (table 3)."""
    generator_filters: Widths = (256, 256, 256, 256)
    """Channels of the projection and of each block, which doubles the map (table 3; the authors' code at
    64x64: 1024, 512, 256, 128, 64)."""
    discriminator_filters: Widths = (128, 128, 128, 128)
    """Channels of each block of the discriminator (table 3; the authors' code at 64x64: 64, 128, 256, 512,
    1024)."""
    discriminator_halvings: Annotated[int, Field(ge=1, le=8)] = 2
    """How many blocks of the discriminator, the first ones, halve the map (table 3: 2; at 64x64: 5)."""
    generator_normalization: Literal["batch", "none"] = "batch"
    """batch: as in table 3; none: for `microbatch`."""
    discriminator_normalization: Literal["spectral", "none"] = "spectral"
    """spectral: every weight of the discriminator divided by its largest singular value (algorithm 1), which
    without `attention` makes a critic for wasserstein; none: for penalties alone."""
    attention: Annotated[int, Field(ge=0, le=128)] = 0
    """Height of the map at which both networks have self-attention (Zhang et al. 2019, arXiv:1805.08318: 32
    of 128), after the first block that leaves such a map; 0 is none."""
    batch_norm_momentum: Fraction = 0.9
    """Share of the old moving statistics kept at each step."""

    def check(self, image: Image) -> None:
        """Maps that can be doubled and halved as often as there are blocks for it, and attention to one."""
        doublings, halvings = len(self.generator_filters) - 1, self.discriminator_halvings
        blocks = len(self.discriminator_filters)
        if halvings > blocks:
            raise ValueError(
                f"network.discriminator_halvings is {halvings}, expected at most {blocks}, the entries of "
                "network.discriminator_filters"
            )
        check_sides(image, doublings, f"network.generator_filters has {doublings} blocks that double the map")
        check_sides(image, halvings, f"network.discriminator_halvings is {halvings}")
        heights = [image.height >> halved for halved in range(1, min(doublings - 1, halvings) + 1)]
        if self.attention and self.attention not in heights:
            raise ValueError(
                f"network.attention is {self.attention}, expected a height of maps within both networks "
                f"({', '.join(map(str, heights)) or 'there is none'}), or 0"
            )

    def generator(self, builder: Builder[T], image: Image, conditioning: Conditioning) -> T:
        """A small map, doubled by each block; with the defaults 4,276,739 trainable parameters at 32x32x3."""
        first, *rest = self.generator_filters
        small = (image.height >> len(rest), image.width >> len(rest), first)
        x = ends.latents(builder, self.latent_size, conditioning)
        x = builder.dense(x, small[0] * small[1] * first, "project")
        x = builder.reshape(x, small, "grid")
        for number, filters in enumerate(rest, start=1):
            x = self.up_block(builder, x, filters, f"up_{number}")
            if builder.map_size(x)[0] == self.attention:
                x = self_attention(builder, x, "attention")
        x = self._activated(builder, x, "last")
        return builder.convolution(x, image.channels, "image", kernel=3, activation="tanh")

    def discriminator(self, builder: Builder[T], image: Image, conditioning: Conditioning) -> T:
        """Blocks, some of which halve the image, and one logit of the sums over the last map."""
        x, label = ends.image(builder, image.shape, conditioning)
        spectral = self.discriminator_normalization == "spectral"
        attended = False
        for number, filters in enumerate(self.discriminator_filters, start=1):
            x = self.down_block(builder, x, filters, number)
            if not attended and builder.map_size(x)[0] == self.attention:
                x, attended = self_attention(builder, x, "attention", spectral=spectral), True
        x = builder.sum_map(builder.relu(x, "last_relu"), "features")
        return ends.logits(builder, x, label, conditioning, GLOROT, spectral=spectral)

    def up_block(self, builder: Builder[T], x: T, filters: int, name: str) -> T:
        """A block of the generator: [batch, height, width, …] to [batch, 2 height, 2 width, filters]."""
        inner = self._activated(builder, x, f"{name}_1")
        inner = builder.double(inner, f"{name}_double")
        inner = builder.convolution(inner, filters, f"{name}_conv_1", kernel=3, weights=_RESIDUAL)
        inner = self._activated(builder, inner, f"{name}_2")
        inner = builder.convolution(inner, filters, f"{name}_conv_2", kernel=3, weights=_RESIDUAL)
        x = builder.convolution(x, filters, f"{name}_shortcut", kernel=1)
        return builder.sum(builder.double(x, f"{name}_shortcut_double"), inner, f"{name}_sum")

    def down_block(self, builder: Builder[T], x: T, filters: int, number: int) -> T:
        """A block of the discriminator: [batch, height, width, …] to as large or half as large a map."""
        name, channels, halves = f"down_{number}", builder.width(x), number <= self.discriminator_halvings
        spectral = self.discriminator_normalization == "spectral"
        convolved = partial(builder.convolution, kernel=3, weights=_RESIDUAL, spectral=spectral)
        inner = x if number == 1 else builder.relu(x, f"{name}_relu_1")
        inner = convolved(inner, filters if number == 1 else channels, f"{name}_conv_1")
        inner = convolved(builder.relu(inner, f"{name}_relu_2"), filters, f"{name}_conv_2")
        if halves:
            inner = builder.average_pool(inner, f"{name}_pool", stride=2)
            x = builder.average_pool(x, f"{name}_shortcut_pool", stride=2)
        if halves or channels != filters:
            x = builder.convolution(x, filters, f"{name}_shortcut", kernel=1, spectral=spectral)
        return builder.sum(x, inner, f"{name}_sum")

    def _activated(self, builder: Builder[T], x: T, name: str) -> T:
        """ReLU, after batch normalization where there is any."""
        if self.generator_normalization == "batch":
            x = builder.normalization(
                x,
                f"{name}_normalize",
                momentum=self.batch_norm_momentum,
                epsilon=_EPSILON,
                scale=Normal(0.0, mean=1.0),
            )
        return builder.relu(x, f"{name}_relu")
