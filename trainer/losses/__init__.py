"""The mathematics of the adversarial game: each loss a file, named in a table that is free of TensorFlow.

Adding a loss: a file here whose `LOSS` is a `GanLoss`, and its name in `Name`.
"""

import importlib
from collections.abc import Callable
from typing import Any, Literal, NamedTuple

Name = Literal["bce"]
"""Every loss, by the name of its file.

bce: binary cross-entropy, the generator's non-saturating (Goodfellow et al. 2014, section 3).
"""
Scores = Any
"""A tensor of logits, or of losses: float32 [batch]."""


class GanLoss(NamedTuple):
    """One two-player game, on logits and for each example.

    Each function takes logits [batch] and returns losses [batch]; the step sums them and divides by the
    *global* batch, so that gradients can be summed over replicas.
    """

    real: Callable[[Scores], Scores]
    """The discriminator's loss on real images, given its logits for them."""
    fake: Callable[[Scores], Scores]
    """The discriminator's loss on generated images, given its logits for them."""
    generator: Callable[[Scores], Scores]
    """The generator's loss, given the discriminator's logits for its images."""


def load(name: Name) -> GanLoss:
    """The loss of that name; TensorFlow is imported with it."""
    found: GanLoss = importlib.import_module(f"trainer.losses.{name}").LOSS
    return found
