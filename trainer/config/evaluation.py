"""When a run is judged while it trains, by what, and what follows of it."""

import re
from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from trainer.sections import Image, Section

BEST_BY = Literal["fd", "fd128", "kid", "precision", "recall", "modes", "kl", "sw"]
"""What the best checkpoint can be chosen by."""
USUAL_SHARE = 0.05
"""Of the time, that evaluations may cost before it is said how they would cost less."""
FEATURES: Mapping[str, int] = {"digits": 96, "lite0": 1280}
"""Features that a network gives of an image; digits of each channel."""
LITE0_SIDES = (64, 128, 224)
"""Pixels of a side to which lite0 has images resized: the least that is no less than theirs, or the last."""
LITE0_LEAST, LITE0_MOST = 32, 512
"""The smallest and the largest that may be asked for: it halves images five times."""
_DIGITS = (28, 28)  # height and width of what the shipped classifier takes, grey or stacked as channels
_OF_STACKS = ("modes", "kl")


def lite0_side(name: str, height: int, width: int) -> int | None:
    """Pixels of a side of ``lite0`` or ``lite0@SIDE`` for such images; None where it names none that goes."""
    _, at, side = name.partition("@")
    if not at:
        return next((each for each in LITE0_SIDES if each >= max(height, width)), LITE0_SIDES[-1])
    there = re.fullmatch(r"[1-9]\d{1,2}", side, re.ASCII) and LITE0_LEAST <= int(side) <= LITE0_MOST
    return int(side) if there else None


def _features(value: str) -> str:
    is_lite0 = value == "lite0" or (value.startswith("lite0@") and lite0_side(value, 1, 1))
    if value not in ("auto", "digits", "none") and not is_lite0:
        sides = f"lite0@SIDE with pixels from {LITE0_LEAST} to {LITE0_MOST}"
        raise ValueError(f"expected auto, digits, lite0, {sides}, or none")
    return value


class Evaluation(Section):
    """Figures of the images while the run trains, and the best checkpoint by one of them."""

    every_steps: Annotated[int, Field(ge=0)] = 0
    """Steps between two evaluations, a multiple of `metrics.every_steps`; the last step always has one; 0
    makes none. What they cost is said: 5 % of the time is a usual price."""
    samples: Annotated[int, Field(ge=2, le=1_000_000)] = 2000
    """Images that are drawn for each, more than the feature network has features (Karras et al. 2020: 50,000
    against all of the set)."""
    features: Annotated[str, AfterValidator(_features)] = "auto"
    """In whose features: digits, a classifier of 28x28 images, which auto is for these; lite0 or lite0@SIDE,
    EfficientNet-Lite0 of `gantry[features]`, for any, 1.1 ms an image and core at 64 pixels; none, without a
    network, for metric sw. What is installed where the run trains decides nothing."""
    metric: BEST_BY = "fd"
    """By which the best checkpoint is chosen, on the first half of held-out images where there are any; kid
    (Binkowski et al. 2018) or fd128 where these are fewer than the feature network has features; modes and kl
    (Lin et al. 2018) of stacked digits; sw without a network."""
    stop_when_no_better: Annotated[int, Field(ge=0)] = 0
    """Evaluations in a row without a better one after which the run ends; 0 lets it take all its steps."""

    @property
    def on(self) -> bool:
        """Whether the run is judged while it trains."""
        return self.every_steps > 0

    def looks_by(self, image: Image) -> str:
        """The name of the feature network for such images.

        Raises:
            ValueError: there is none for them, or it does not give the metric.
        """
        size = f"{image.height}x{image.width}x{image.channels}"
        digits = (image.height, image.width) == _DIGITS and image.channels in (1, 3)
        found = "digits" if self.features == "auto" and digits else self.features
        if found == "auto" or (found == "digits" and not digits):
            raise ValueError(
                f"evaluation.features is {self.features} and images are {size}, expected lite0 (pip install "
                "'gantry[features]'), or none with evaluation.metric=sw"
            )
        if (found == "none") != (self.metric == "sw"):
            expected = "sw" if found == "none" else "fd, fd128, kid, precision or recall"
            raise ValueError(
                f"evaluation.metric is {self.metric}, expected {expected} with evaluation.features {found}"
            )
        if self.metric in _OF_STACKS and not (found == "digits" and image.channels == 3):
            raise ValueError(
                f"evaluation.metric is {self.metric}, which is of stacked digits, 28x28x3 in the features of "
                f"digits; images are {size} in those of {found}"
            )
        return found

    def check(self, line_steps: int, image: Image) -> None:
        """Refuse evaluations of steps that have no line of metrics, every `line_steps`, or of such images.

        Raises:
            ValueError: with the key, its value and what is expected.
        """
        if self.on:
            self.looks_by(image)
        if self.every_steps % line_steps:
            raise ValueError(
                f"evaluation.every_steps is {self.every_steps}, expected a multiple of metrics.every_steps "
                f"({line_steps})"
            )
        if self.stop_when_no_better and not self.on:
            raise ValueError(
                f"evaluation.stop_when_no_better is {self.stop_when_no_better}, expected 0 without "
                "evaluation.every_steps"
            )
