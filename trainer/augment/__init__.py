"""What the discriminator is shown in the place of images, where there are few: each a file, named in a table.

What an augmentation draws for each image of the global batch becomes `parameters` before the step is played,
and `applied` is a differentiable function of images and these. Real and generated images are augmented alike,
in both players' updates, by numbers of their own, so that the generator does not learn to make augmented ones
(Zhao et al. 2020, section 3.1). Penalties are of the discriminator at the images that it is shown, and so
with respect to augmented ones (the code released with the paper of ADA has R1's gradient go on to the images
before; for flips and quarter turns its norm is the same).

The table is free of TensorFlow.

Adding one: a file of that name, its name in `Kind` and its line in `AUGMENTATIONS`.
"""

import importlib
from collections.abc import Mapping
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import Field

from trainer.losses import LOSSES, Name
from trainer.sections import Fraction, Image, Positive, Section

Kind = Literal["none", "diffaugment", "ada"]
"""Every augmentation, by the name of its file."""


class Augmentation(Section):
    """What real and generated images go through before the discriminator sees them."""

    kind: Kind = "none"
    """none; diffaugment, which changes every image; ada, which changes some, more as the discriminator
    overfits."""
    color: bool = True
    """Brightness, contrast and saturation; of ada hue and inverted luma too. A grey image has no saturation
    and hue."""
    translation: bool = True
    """Shifts by up to an eighth of the image, zeros moving in; of diffaugment alone."""
    cutout: bool = True
    """A hole of half the image's edges; of diffaugment alone."""
    blitting: bool = True
    """Flips, quarter turns and shifts by whole pixels; of ada alone."""
    geometry: bool = True
    """Scaling, rotation and shifts by fractions of a pixel; of ada alone."""
    p: Annotated[float, Field(ge=0, le=1)] = 0.0
    """Probability of each of ada's transformations: at the first step, or in all where `target` is 0."""
    target: Fraction = 0.6
    """Mean sign of the discriminator's scores of real images that ada's p is adjusted to (Karras et al. 2020:
    0.6); 0 leaves p as it is."""
    every: Positive = 4
    """Steps from one adjustment of p to the next (the same: 4)."""
    images: Positive = 500_000
    """Images that p takes from 0 to 1 at the fastest (the same: 500,000)."""

    @property
    def on(self) -> bool:
        """Whether there is any."""
        return self.kind != "none"

    @property
    def adaptive(self) -> bool:
        """Whether p is adjusted, and so part of a run's state."""
        return self.kind == "ada" and self.target > 0


class About(NamedTuple):
    """What is known of an augmentation without TensorFlow."""

    line: str
    paper: str
    groups: tuple[str, ...]
    """Fields that take a group of transformations in or out."""
    uniform: int
    """Numbers that it draws for an image from [0, 1)."""
    normal: int = 0
    """And from N(0, 1)."""


AUGMENTATIONS: Mapping[str, About] = {
    "diffaugment": About(
        "colour, translation and cutout of every image",
        "Zhao et al. 2020, arXiv:2006.10738, section 3.2",
        ("color", "translation", "cutout"),
        uniform=7,
    ),
    "ada": About(
        "flips, turns, shifts, scaling and colour, each with a probability that follows overfitting",
        "Karras et al. 2020, arXiv:2006.06676, section 3 and appendix B",
        ("blitting", "geometry", "color"),
        uniform=21,
        normal=7,
    ),
}


def check(numbers: Augmentation, loss: Name) -> None:
    """Refuse an augmentation that does nothing, or whose p has nothing to follow.

    Raises:
        ValueError: with the key, its value and what is expected.
    """
    if numbers.p and numbers.kind != "ada":
        raise ValueError(f"augmentation.p is {numbers.p:g}, expected 0 with augmentation.kind {numbers.kind}")
    if not numbers.on:
        return
    groups = AUGMENTATIONS[numbers.kind].groups
    if not any(getattr(numbers, group) for group in groups):
        raise ValueError(
            f"augmentation.{groups[0]} is false, expected one of {', '.join(groups)} to be true with "
            f"augmentation.kind {numbers.kind}"
        )
    if numbers.adaptive and LOSSES[loss].middle is None:
        raise ValueError(
            f"augmentation.kind is ada, expected diffaugment, or augmentation.target=0 and a fixed "
            f"augmentation.p, with loss {loss}: its scores of real images have no sign of their own"
        )
    if numbers.kind == "ada" and not numbers.adaptive and not numbers.p:
        raise ValueError(
            "augmentation.p is 0, expected more with augmentation.target 0: nothing would be done"
        )


def parameters(numbers: Augmentation, image: Image, uniform: Any, normal: Any, p: Any) -> dict[str, Any]:
    """What is done to each image.

    Args:
        numbers: the run's.
        image: shape of each.
        uniform: float32 [n, `About.uniform`] in [0, 1).
        normal: float32 [n, `About.normal`].
        p: probability of each of ada's transformations, float32 scalar.

    Returns:
        Tensors [n, …] by names of the augmentation's own.
    """
    found: dict[str, Any] = _module(numbers).parameters(numbers, image, uniform, normal, p)
    return found


def applied(numbers: Augmentation, images: Any, done: Mapping[str, Any]) -> Any:
    """Images [n, height, width, channels] in [-1, 1], augmented as `parameters` says; the same shape."""
    return _module(numbers).applied(images, done)


def _module(numbers: Augmentation) -> Any:
    return importlib.import_module(f"trainer.augment.{numbers.kind}")
