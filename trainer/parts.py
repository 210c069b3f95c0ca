"""Every part that a run can be made of, by group: name, one line, and the paper that it is from."""

from typing import NamedTuple

from trainer.augment import AUGMENTATIONS
from trainer.losses import LOSSES
from trainer.metrics import METRICS
from trainer.networks import ARCHITECTURES
from trainer.networks.builder import Architecture
from trainer.networks.conditioning import CONDITIONINGS
from trainer.regularizers import REGULARIZERS


class Part(NamedTuple):
    """One of them."""

    name: str
    """As a configuration has it."""
    line: str
    paper: str
    """Empty where it is of no paper."""


_ADAM = Part("adam", "one fused kernel for each weight", "Kingma and Ba 2014, arXiv:1412.6980")
_ACCUMULATION = Part(
    "gradient_accumulation",
    "a replica's images some after others, one update of all of them (microbatch)",
    "Ott et al. 2018, arXiv:1806.00187",
)
_EMA = Part(
    "ema",
    "the generator's weights averaged, with a half-life in images (averaging)",
    "Karras et al. 2020, arXiv:2006.06676",
)
_SPECTRAL_NORM = Part(
    "spectral_norm",
    "the discriminator's weights over their largest singular value (network.discriminator_normalization)",
    "Miyato et al. 2018, arXiv:1802.05957, algorithm 1",
)
_PACKING = Part(
    "packing",
    "the discriminator judges several images at once, as channels of one (packing)",
    "Lin et al. 2018, arXiv:1712.04086, section 2",
)
_FLIP = Part(
    "flip",
    "real images mirrored, left for right, half of the time (data.flip)",
    "Karras et al. 2020, arXiv:2006.06676",
)
_METHOD = Part(
    "adversarial",
    "a discriminator and a generator, in turn, with any loss and any regularizers",
    "Goodfellow et al. 2014, arXiv:1406.2661, algorithm 1",
)

_IMAGES = Part("images", "pictures, grey or in colour", "")

HOW = {
    "losses": "loss=NAME",
    "regularizers": "regularizers.NAME.weight=…",
    "networks": "network.name=NAME",
    "augmentations": "augmentation.kind=NAME",
    "conditionings": "conditioning.kind=NAME",
    "averaging": "averaging.half_life_images=…",
}
"""By group, the value that takes a part in; spectral_norm, weight_clipping and flip say or have another."""


def parts() -> dict[str, list[Part]]:
    """Every part, by the name of its group."""
    return {
        "methods": [_METHOD],
        "losses": [Part(name, about.line, about.paper) for name, about in LOSSES.items()],
        "regularizers": [
            *(Part(name, about.line, about.paper) for name, about in REGULARIZERS.items()),
            _SPECTRAL_NORM,
            _PACKING,
        ],
        "networks": [_network(each) for each in ARCHITECTURES],
        "augmentations": [
            *(Part(name, about.line, about.paper) for name, about in AUGMENTATIONS.items()),
            _FLIP,
        ],
        "conditionings": [Part(name, about.line, about.paper) for name, about in CONDITIONINGS.items()],
        "averaging": [_EMA],
        "optimizers": [_ADAM, _ACCUMULATION],
        "metrics": [Part(metric.name, metric.label, "") for metric in METRICS],
        "modalities": [_IMAGES],
    }


def _network(section: type[Architecture]) -> Part:
    """By the first line of its section: what it is, "of", and the paper."""
    line = (section.__doc__ or "").strip().splitlines()[0].rstrip(".")
    what, _, paper = line.partition(" of ")
    [name] = section.model_fields["name"].annotation.__args__  # type: ignore[union-attr]
    return Part(name, what, paper)
