"""Values that are proposed for what a configuration leaves at nothing.

Evaluations as often as takes a twentieth of the time (`price`). R1 and the generator's average by the rule of
StyleGAN2-ADA's `auto` (Karras et al. 2020, arXiv:2006.06676, and train.py of its code): gamma = 0.0002 pixels
/ batch, every 16th update, and an average whose half-life is 10/32 thousand images for each image of the
batch. Their loss is the sum of both cross-entropies, with gamma / 2 times the squared gradient; where ours is
their mean, the same balance takes half of that gamma. It was made for photographs of 256x256 and more: on
28x28 digits a gamma of 0.3 to 3 did well, far above it.
"""

from typing import NamedTuple

from trainer.config.price import price
from trainer.config.schema import RunConfig
from trainer.losses import LOSSES
from trainer.networks.sizes import discriminator_normalizes
from trainer.regularizers import REGULARIZERS, chosen

_GAMMA, _EVERY, _HALF_LIFE = 0.0002, 16, 10_000 / 32


class Proposal(NamedTuple):
    """Values for one part that is off."""

    part: str
    """As `parts` lists it."""
    values: dict[str, str]
    """By key."""
    why: str
    rule: str = "StyleGAN2-ADA's rule"
    """Whose they are."""

    @property
    def options(self) -> str:
        """To paste behind a command."""
        return " ".join(f"--set {key}={value}" for key, value in self.values.items())


def proposals(config: RunConfig) -> list[Proposal]:
    """What the rule says of parts that `config` leaves out; nothing for a game that it was not made for."""
    found = []
    held = any(
        REGULARIZERS[name].of_one or REGULARIZERS[name].lipschitz for name in chosen(config.regularizers)
    )
    if LOSSES[config.loss].logistic and not held:
        found.append(_r1(config))
    if not config.averaging.half_life_images:
        half_life = round(config.batch_size * _HALF_LIFE)
        why = f"{_HALF_LIFE:g} x batch_size {config.batch_size}"
        found.append(Proposal("ema", {"averaging.half_life_images": str(half_life)}, why))
    if not config.evaluation.on:
        found.append(_evaluation(config))
    return found


def _evaluation(config: RunConfig) -> Proposal:
    found = price(config)
    samples = f"{config.evaluation.samples:,} samples in the features of {found.features}"
    why = f"{samples} take {found.seconds:.2g} s"
    values = {"evaluation.every_steps": str(found.every_steps)}
    if found.features == "lite0":
        values |= {"evaluation.features": "lite0"}
        why += "; it needs pip install 'gantry[features]'"
    return Proposal("evaluation", values, why, "5 % of the time on 2 cores")


def _r1(config: RunConfig) -> Proposal:
    height, width, _ = config.image.shape
    gamma, why = _GAMMA * height * width / config.batch_size, f"{_GAMMA} x {height}x{width} / batch_size"
    if not LOSSES[config.loss].relative:
        gamma, why = gamma / 2, f"{why} / 2, as {config.loss} is a mean of two"
    values = {"regularizers.r1.weight": f"{gamma:.2g}", "regularizers.r1.every": str(_EVERY)}
    if discriminator_normalizes(config.network, config.image):
        values["network.discriminator_normalization"] = "none"
        why += "; beside batch normalization in the discriminator it is refused"
    return Proposal("r1", values, why)
