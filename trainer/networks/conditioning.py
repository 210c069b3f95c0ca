"""Labels: how both networks are told of which class an image is, or is to be.

The generator has the label, one-hot, beside its latent, whatever the kind; what the discriminator makes of it
is the kind.
"""

from collections.abc import Mapping
from typing import Annotated, Literal, NamedTuple

from pydantic import Field

from trainer.sections import Section

Kind = Literal["none", "concatenation", "projection", "acgan"]
"""What the discriminator does with a label."""


class About(NamedTuple):
    """What is known of a kind."""

    line: str
    paper: str


CONDITIONINGS: Mapping[Kind, About] = {
    "concatenation": About(
        "the label as further channels of the discriminator's image",
        "Mirza and Osindero 2014, arXiv:1411.1784, equation 2",
    ),
    "projection": About(
        "the label's embedding, projected on what the discriminator sees, added to its logit",
        "Miyato and Koyama 2018, arXiv:1802.05637, equation 3",
    ),
    "acgan": About(
        "the discriminator also says the class, of real and of generated images",
        "Odena et al. 2017, arXiv:1610.09585, equations 2 and 3",
    ),
}


class Conditioning(Section):
    """Whether the networks are told the class of an image, and how."""

    kind: Kind = "none"
    """none; concatenation, projection (worth most here) or acgan, which need labels in the set."""
    classes: Annotated[int, Field(ge=2, le=4096)] = 10
    """How many classes the set has (MNIST: 10); another number than it has is refused."""
    class_weight: Annotated[float, Field(ge=0, le=1000)] = 1.0
    """Of acgan's cross-entropy of classes, beside the loss (Odena et al. 2017: 1)."""

    @property
    def on(self) -> bool:
        """Whether the networks are given labels."""
        return self.kind != "none"

    @property
    def says_class(self) -> bool:
        """Whether the discriminator has a logit for each class beside the one for real."""
        return self.kind == "acgan"
