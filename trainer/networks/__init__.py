"""Generator and discriminator of every architecture, each written once against a small builder.

`keras_builder` makes Keras layers of a description; `sizes` counts shapes, parameters and FLOP of the same
one without TensorFlow, so a workstation knows what a run takes before there is a pod.

Adding an architecture: a file here with its section, and its line in `Network`.
"""

from typing import get_args

from trainer.networks.builder import Architecture
from trainer.networks.dcgan import Dcgan
from trainer.networks.mlp import Mlp
from trainer.networks.r3gan import R3gan
from trainer.networks.sngan import Sngan

__all__ = ["ARCHITECTURES", "NAMES", "Dcgan", "Mlp", "Network", "R3gan", "Sngan"]

Network = Mlp | Dcgan | Sngan | R3gan
"""Every architecture; `name` tells which one a configuration means."""
ARCHITECTURES: tuple[type[Architecture], ...] = get_args(Network)
NAMES = frozenset(get_args(each.model_fields["name"].annotation)[0] for each in ARCHITECTURES)
"""What a configuration calls them."""
