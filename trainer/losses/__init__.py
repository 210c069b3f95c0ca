"""The mathematics of the adversarial game: each loss a file, named in a table that is free of TensorFlow.

Adding a loss: a file here whose `LOSS` is a `Loss`, and its name in `Name` and its line in `LOSSES`.
"""

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

Name = Literal["bce", "minimax", "lsgan", "wasserstein", "hinge", "rpgan"]
"""Every loss, by the name of its file."""
Scores = Any
"""A tensor of the discriminator's outputs, or of losses: float32 [batch]."""


class About(NamedTuple):
    """What is known of a loss without TensorFlow."""

    line: str
    """What it is."""
    paper: str
    middle: float | None = 0.0
    """The score between real and generated; None where only the difference of two scores means something."""
    relative: bool = False
    """Whether the generator's loss looks at the scores of real images too."""
    logistic: bool = False
    """Whether it is a cross-entropy: log 2 is guessing, and 87.3 the end of float32."""
    critic: bool = False
    """Whether the discriminator has to be Lipschitz, by a penalty on its gradient or by clipped weights."""


LOSSES: Mapping[Name, About] = {
    "bce": About(
        "binary cross-entropy, the generator's non-saturating",
        "Goodfellow et al. 2014, arXiv:1406.2661, section 3",
        logistic=True,
    ),
    "minimax": About(
        "binary cross-entropy, the generator's saturating",
        "Goodfellow et al. 2014, arXiv:1406.2661, equation 1",
        logistic=True,
    ),
    "lsgan": About("least squares", "Mao et al. 2016, arXiv:1611.04076, equation 9", middle=0.5),
    "wasserstein": About(
        "difference of mean scores, with a Lipschitz critic",
        "Arjovsky et al. 2017, arXiv:1701.07875, equations 2 and 3",
        middle=None,
        critic=True,
    ),
    "hinge": About("hinge", "Lim and Ye 2017, arXiv:1705.02894; Miyato et al. 2018, equations 16 and 17"),
    "rpgan": About(
        "relativistic pairing: each generated image against a real one",
        "Jolicoeur-Martineau 2018, arXiv:1807.00734; Huang et al. 2024, arXiv:2501.05441, equation 2",
        middle=None,
        relative=True,
        logistic=True,
    ),
}


@dataclass(frozen=True)
class Loss:
    """One two-player game on scores, for each example, on its paper's own scale.

    The step sums what the functions return and divides by the *global* batch, so that gradients can be summed
    over replicas.
    """

    parts: Callable[[Scores, Scores], tuple[Scores, ...]]
    """From scores of real and of generated images: the discriminator's loss on the ones and on the others,
    each [batch]; or one of pairs."""
    generator: Callable[[Scores, Scores], Scores]
    """From scores of real and of generated images: the generator's loss, [batch]."""
    weight: float = 1.0
    """By which the sum of the parts is the discriminator's loss."""

    def discriminator(self, real: Scores, fake: Scores) -> Scores:
        """The discriminator's loss, [batch]."""
        return self.weight * sum(self.parts(real, fake))


def load(name: Name) -> Loss:
    """The loss of that name; TensorFlow is imported with it."""
    found: Loss = importlib.import_module(f"trainer.losses.{name}").LOSS
    return found
