"""What holds a discriminator back beside its loss: each a file, named in a table free of TensorFlow.

A regularizer is off while its weight is 0. Adding one: its section here and a field of `Regularizers` of that
name, its line in `REGULARIZERS`, and a file of that name whose `penalty` is the mathematics.
"""

import importlib
from collections.abc import Mapping
from typing import Annotated, Any, NamedTuple, Protocol

from pydantic import Field

from trainer.sections import Positive, Section

Weight = Annotated[float, Field(ge=0, le=1e6)]
Sigma = Annotated[float, Field(gt=0, le=1)]


class Penalty(Section):
    """A squared gradient of the discriminator at its images."""

    weight: Weight = 0.0
    """gamma: the penalty is gamma / 2 times the squared norm (Mescheder et al. 2018: 10); 0 is none."""
    every: Positive = 1
    """Updates of the discriminator from one penalty to the next, each then that many times as large (lazy
    regularization, Karras et al. 2020, arXiv:1912.04958, section 3.1: 16)."""


class ByNoise(Section):
    """The same approximated by the change of a score under small noise, which needs no second gradient."""

    weight: Weight = 0.0
    """Of (D(x + sigma n) - D(x))^2 / sigma^2; half of an exact penalty's gamma does the same (AFM: 0.25)."""
    sigma: Sigma = 0.01
    """Standard deviation of the noise, of images in [-1, 1] (AFM: 0.01)."""


class GradientPenalty(Section):
    """The gradient's norm held at 1 between real and generated images."""

    weight: Weight = 0.0
    """lambda (Gulrajani et al. 2017: 10); 0 is none."""
    one_sided: bool = False
    """Whether only a norm above 1 is penalized (the same, section 4; Petzka et al. 2018)."""
    every: Positive = 1
    """Updates of the discriminator from one penalty to the next, each then that many times as large."""


class LogitCentering(Section):
    """The discriminator's scores held near 0."""

    weight: Weight = 0.0
    """Of E (D(x) + D(G(z)))^2 (AFM: 0.01); 0 is none."""


class LabelSmoothing(Section):
    """Real images labelled a little less than 1, so that the discriminator is never quite sure."""

    weight: Annotated[float, Field(ge=0, lt=0.5)] = 0.0
    """alpha: real images are labelled 1 - alpha, generated ones still 0 (Salimans et al. 2016: 0.1)."""


class WeightClipping(Section):
    """The discriminator's weights held in a box, for a Wasserstein critic."""

    limit: Weight = 0.0
    """c: after each update every weight is clipped to [-c, c] (Arjovsky et al. 2017: 0.01); 0 is none."""


class InstanceNoise(Section):
    """Noise on real and generated images alike before the discriminator sees them, falling to none."""

    stddev: Annotated[float, Field(ge=0, le=10)] = 0.0
    """Standard deviation at the first step, of images in [-1, 1]; 0 is none."""
    decay_to: Positive = 10000
    """Steps after which it has fallen to 0, in a line; no share of the run, which may go on longer."""


class Regularizers(Section):
    """What the discriminator is held back by; each is off at 0."""

    r1: Penalty = Penalty()
    """Squared gradient at real images (Mescheder et al. 2018)."""
    r2: Penalty = Penalty()
    """Squared gradient at generated images (Mescheder et al. 2018)."""
    noise_r1: ByNoise = ByNoise()
    """R1 by noise (AFM 2025)."""
    noise_r2: ByNoise = ByNoise()
    """R2 by noise (AFM 2025)."""
    gradient_penalty: GradientPenalty = GradientPenalty()
    """Norm of the gradient between both held at 1 (Gulrajani et al. 2017)."""
    logit_centering: LogitCentering = LogitCentering()
    """Scores held near 0 (AFM 2025)."""
    label_smoothing: LabelSmoothing = LabelSmoothing()
    """Labels of real images below 1, for cross-entropies (Salimans et al. 2016)."""
    weight_clipping: WeightClipping = WeightClipping()
    """Weights held in a box (Arjovsky et al. 2017)."""
    instance_noise: InstanceNoise = InstanceNoise()
    """Noise on all that the discriminator is shown (Sonderby et al. 2016)."""


class About(NamedTuple):
    """What is known of a regularizer without TensorFlow."""

    line: str
    paper: str
    of_one: bool = True
    """Whether it is a function of one example alone, which batch normalization is not."""
    lipschitz: bool = False
    """Whether it makes the discriminator Lipschitz, as a Wasserstein critic has to be."""
    of_labels: bool = False
    """Whether it is about labels, which only the cross-entropy of single images has."""
    of_loss: bool = True
    """Whether it is a part of the discriminator's loss."""
    noise: tuple[int, ...] | None = None
    """Random numbers it draws for an example: () for one, (-1,) for one each pixel, None for none."""


REGULARIZERS: Mapping[str, About] = {
    "r1": About("squared gradient at real images", "Mescheder et al. 2018, arXiv:1801.04406, equation 9"),
    "r2": About(
        "squared gradient at generated images", "Mescheder et al. 2018, arXiv:1801.04406, equation 10"
    ),
    "noise_r1": About("R1 by small noise, no second gradient", "AFM 2025, arXiv:2511.22475", noise=(-1,)),
    "noise_r2": About("R2 by small noise, no second gradient", "AFM 2025, arXiv:2511.22475", noise=(-1,)),
    "gradient_penalty": About(
        "norm of the gradient between real and generated images held at 1",
        "Gulrajani et al. 2017, arXiv:1704.00028, equation 3",
        lipschitz=True,
        noise=(),
    ),
    "logit_centering": About("scores held near 0", "AFM 2025, arXiv:2511.22475", of_one=False),
    "label_smoothing": About(
        "real images labelled a little less than 1",
        "Salimans et al. 2016, arXiv:1606.03498, section 3.4",
        of_one=False,
        of_labels=True,
    ),
    "weight_clipping": About(
        "weights held in a box",
        "Arjovsky et al. 2017, arXiv:1701.07875, algorithm 1",
        of_one=False,
        lipschitz=True,
        of_loss=False,
    ),
    "instance_noise": About(
        "noise on real and generated images, falling to none",
        "Sonderby et al. 2016, arXiv:1610.04490",
        of_one=False,
        of_loss=False,
    ),
}


class Game(Protocol):
    """What a penalty may look at: one replica's images of one update, and the discriminator."""

    real: Any
    """float32 [n, height, width, channels] in [-1, 1]."""
    fake: Any
    """The same of generated ones, as many."""
    real_scores: Any
    """float32 [n], of the update under way."""
    fake_scores: Any

    def scores(self, images: Any) -> Any:
        """The discriminator's, [n]."""

    def noise(self, name: str) -> Any:
        """A regularizer's random numbers: uniform [n] for one an example, normal [n, …] for each pixel."""


def chosen(regularizers: Regularizers) -> tuple[str, ...]:
    """Names of those that are on, in the table's order."""
    return tuple(name for name in REGULARIZERS if strength(getattr(regularizers, name)) > 0)


def strength(numbers: Section) -> float:
    """A regularizer's weight, or what it has instead of one."""
    value: float = getattr(numbers, strength_key(numbers))
    return value


def strength_key(numbers: Section) -> str:
    """What that is called."""
    others = {WeightClipping: "limit", InstanceNoise: "stddev"}
    return others.get(type(numbers), "weight")


def penalties(regularizers: Regularizers) -> tuple[str, ...]:
    """Names of those that are on and part of the discriminator's loss."""
    return tuple(name for name in chosen(regularizers) if REGULARIZERS[name].of_loss)


def passes(regularizers: Regularizers) -> float:
    """What penalties cost an update for each image, in forward passes of the discriminator over one.

    An exact one goes forward, back to the image, and back through both: 6 with the gradients of weights. One
    by noise goes forward and back once: 3. Lazy ones count for the updates in which they are due.
    """
    found = 0.0
    for name in penalties(regularizers):
        numbers = getattr(regularizers, name)
        if REGULARIZERS[name].of_one:  # the others are of scores that are there
            found += (3 if isinstance(numbers, ByNoise) else 6) / getattr(numbers, "every", 1)
    return found


def penalty(name: str, numbers: Section, game: Game) -> Any:
    """What it adds to the discriminator's loss for each example, float32 [n]."""
    return importlib.import_module(f"trainer.regularizers.{name}").penalty(numbers, game)
