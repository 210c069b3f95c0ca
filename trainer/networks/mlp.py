"""The plain GAN's fully connected networks (Goodfellow et al. 2014, arXiv:1406.2661)."""

import math
from collections.abc import Sequence
from typing import Literal

from trainer.networks import ends
from trainer.networks.builder import GLOROT, Architecture, Builder, LatentSize, T
from trainer.networks.conditioning import Conditioning
from trainer.sections import Fraction, Image, Widths


class Mlp(Architecture):
    """The plain GAN of Goodfellow et al. 2014 (arXiv:1406.2661): fully connected networks."""

    name: Literal["mlp"] = "mlp"
    """Kind of network."""
    latent_size: LatentSize = 100
    """Entries of the latent vector z, drawn from N(0, 1)."""
    generator_units: Widths = (128, 256, 512, 1024)
    """Units of each hidden layer of the generator."""
    discriminator_units: Widths = (1024, 512, 256)
    """Units of each hidden layer of the discriminator."""
    discriminator_normalization: Literal["none", "spectral"] = "none"
    """spectral: every weight of the discriminator divided by its largest singular value (Miyato et al. 2018,
    arXiv:1802.05957, algorithm 1)."""
    leaky_slope: Fraction = 0.2
    """Slope of LeakyReLU below zero."""

    def generator(self, builder: Builder[T], image: Image, conditioning: Conditioning) -> T:
        """With the defaults 100-128-256-512-1024-784: 1,506,448 parameters."""
        x = ends.latents(builder, self.latent_size, conditioning)
        x = self._hidden(builder, x, self.generator_units)
        x = builder.dense(x, math.prod(image.shape), "pixels", activation="tanh")
        return builder.reshape(x, image.shape, "image")

    def discriminator(self, builder: Builder[T], image: Image, conditioning: Conditioning) -> T:
        """With the defaults 784-1024-512-256-1: 1,460,225 parameters."""
        x, label = ends.image(builder, image.shape, conditioning, flat=True)
        spectral = self.discriminator_normalization == "spectral"
        x = self._hidden(builder, x, self.discriminator_units, spectral)
        return ends.logits(builder, x, label, conditioning, GLOROT, spectral=spectral)

    def _hidden(self, builder: Builder[T], x: T, units: Sequence[int], spectral: bool = False) -> T:
        for number, width in enumerate(units, start=1):
            x = builder.dense(x, width, f"hidden_{number}", spectral=spectral)
            x = builder.leaky_relu(x, self.leaky_slope, f"leaky_{number}")
        return x
