"""What is to be found of which picture, checked before TensorFlow loads where that is possible."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from trainer.data.pixels import decode
from trainer.data.sources import Damage
from trainer.environment.paths import expanded, require_folder
from trainer.errors import ConfigError, DataError, ObjectMissing, UserError
from trainer.storage import open_store

MOST_STARTS = 256


@dataclass(frozen=True)
class Request:
    """How to look for a latent."""

    of_class: str | None = None
    """Number or name of the class; None for one start's after another, where labels are taken."""
    starts: int = 8
    """Latents that are followed at once, of which the nearest is kept."""
    updates: int = 300
    """Of each."""
    seed: int = 0
    """Of the first latents."""
    rate: float = 0.1
    """Of Adam at first; it falls to 0 as half a cosine."""
    features: str | None = None
    """Feature network: digits, lite0, lite0@SIDE or none; None for the one that fits."""
    feature_weight: float = 0.1
    """Of the distance of features, beside that of pixels."""

    def check(self) -> None:
        """Refuse what cannot be followed.

        Raises:
            UserError: with the option, its value and what is expected.
        """
        for option, value, high in (("starts", self.starts, MOST_STARTS), ("updates", self.updates, 10**6)):
            if not 1 <= value <= high:
                raise UserError(f"--{option} {value}: expected 1 to {high}")
        if not 0 < self.rate <= 10:
            raise UserError(f"--rate {self.rate:g}: expected more than 0, up to 10")
        if not 0 <= self.feature_weight <= 1e6:
            raise UserError(f"--feature-weight {self.feature_weight:g}: expected 0 to 1000000")


def check_folder(out: str) -> Path:
    """The folder that is to hold the result, made if absent, once there is one.

    Raises:
        ConfigError: it is a file, or there is no folder above it.
    """
    path = Path(expanded(out, "--out"))
    if path.exists() and not path.is_dir():
        raise ConfigError(f"--out {path}: is a file, expected a folder")
    require_folder(f"--out {path}", path)
    return path


def read_picture(where: str) -> bytes:
    """A picture's file, here or at a ``gs://`` address.

    Raises:
        UserError: it is not there or may not be read.
    """
    try:
        if "://" in where:
            folder, _, name = where.rpartition("/")
            return open_store(folder).read(name)
        return Path(where).read_bytes()
    except ObjectMissing:
        raise DataError(f"{where}: there is no such picture") from None
    except OSError as error:
        why = "there is no such picture" if isinstance(error, FileNotFoundError) else error.strerror or error
        raise DataError(f"{where}: {why}") from None


def fitted(where: str, content: bytes, shape: tuple[int, int, int]) -> np.ndarray:
    """A picture as a run's data would have it, uint8 [height, width, channels], see `data.pixels.decode`.

    Raises:
        DataError: it is none, or a damaged one.
    """
    try:
        return decode("picture", where, content, shape)
    except Damage as error:
        raise DataError(f"{where} {error.why}") from None
