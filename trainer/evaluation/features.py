"""The table of feature networks: what each looks at, and its weights, checked by their sum before use."""

import hashlib
import importlib
from collections.abc import Callable, Mapping
from importlib.resources import files
from typing import NamedTuple

import numpy as np

from trainer.errors import DataError, UserError
from trainer.survey.shapes import Shape, by

_AT_ONCE = 500  # images: 50 MiB of activations
_DIGITS = "1b34c3798886debc54d924e84c2c87add0b6998c6fe61aa72657eb75e1f1e776"


class Network(NamedTuple):
    """A network whose features images are compared in, without its weights."""

    name: str
    shape: Shape
    """Height, width and channels of the images that it takes."""
    size: int
    """Features of an image."""
    weights: str
    """A file of this package."""
    sha256: str
    """Of that file."""

    @property
    def label(self) -> str:
        """As figures name it: ``digits@1f3a``."""
        return f"{self.name}@{self.sha256[:4]}"


NETWORKS: Mapping[str, Network] = {
    "digits": Network("digits", (28, 28, 1), 96, "digits.npz", _DIGITS),
}
"""Each by the name of the module here whose `forward` it is."""


class Seen(NamedTuple):
    """What a network sees in some images."""

    features: np.ndarray
    """float32 [n, size]."""
    shares: np.ndarray
    """Probability of each class, float32 [n, classes]."""


Look = Callable[[np.ndarray], Seen]
"""From uint8 images [n, height, width, channels]."""


def network_for(shape: Shape) -> Network:
    """The network that takes images of that shape.

    Raises:
        UserError: there is none.
    """
    found = next((each for each in NETWORKS.values() if each.shape == tuple(shape)), None)
    if found is None:
        known = ", ".join(f"{by(each.shape)} ({each.name})" for each in NETWORKS.values())
        raise UserError(f"image {by(shape)}: no feature network takes it, expected {known}")
    return found


def load(network: Network) -> Look:
    """The network with its weights.

    Raises:
        DataError: its file is missing or is another one.
    """
    return of_weights(network, _read(network))


def of_weights(network: Network, weights: Mapping[str, np.ndarray]) -> Look:
    """The network with weights of one's own."""
    module = importlib.import_module(f"trainer.evaluation.{network.name}")
    forward = module.forward(weights)

    def look(images: np.ndarray) -> Seen:
        parts = [forward(images[start : start + _AT_ONCE]) for start in range(0, len(images), _AT_ONCE)]
        return Seen(*(np.concatenate(each) for each in zip(*parts, strict=True)))

    return look


def _read(network: Network) -> dict[str, np.ndarray]:
    place = files("trainer.evaluation") / network.weights
    what = f"feature network {network.name}: {place}"
    try:
        content = place.read_bytes()
    except OSError as error:
        raise DataError(f"{what}: cannot be read: {error.strerror or error}, expected its weights") from None
    found = hashlib.sha256(content).hexdigest()
    if found != network.sha256:
        raise DataError(f"{what}: its sha256 is {found}, expected {network.sha256}")
    with np.load(str(place)) as archive:
        return {name: archive[name].astype(np.float32) for name in archive.files}
