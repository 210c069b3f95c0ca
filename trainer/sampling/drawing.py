"""What the command `sample` is asked to draw and where to, checked before TensorFlow loads; and its files."""

import math
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from trainer.config import RunConfig
from trainer.errors import ConfigError, UserError
from trainer.pictures.grid import encode_png, tile
from trainer.run import layout, record
from trainer.storage import Store
from trainer.storage.limits import told

_LONGEST_ROW = 64  # images of a way between two seeds that lie in one row


@dataclass(frozen=True)
class Request:
    """What to draw."""

    step: int | None = None
    """Checkpoint to draw from; None for the newest whole one."""
    seed: int | None = None
    """Seed of the latents; None for the run's, whose first images are those of its grids."""
    count: int = 25
    """Number of images."""
    truncation: float | None = None
    """Largest magnitude of a latent's entries (the truncation trick, Brock et al. 2018, arXiv:1809.11096)."""
    interpolate: tuple[int, int] | None = None
    """Two seeds: draw the way from the one's first latent to the other's instead."""
    average: bool = True
    """Whether the average of the weights draws, where the run keeps one, or the last weights."""


def check(store: Store, request: Request) -> RunConfig:
    """The configuration of the run that is to be drawn from.

    Raises:
        UserError: there is no run, or the request is out of range.
    """
    if request.count < 1:
        raise UserError(f"--count {request.count}: expected 1 or more")
    if request.truncation is not None and request.truncation <= 0:
        raise UserError(f"--truncation {request.truncation}: expected more than 0")
    known = record.read(store)
    if known is None:
        raise UserError(f"--run-dir {store.url}: there is no {layout.RUN}, expected the folder of a run")
    return known.config


def check_target(out: Path) -> None:
    """Refuse a target that `write` could not write.

    Raises:
        ConfigError: the ending is neither .png nor .npz and the path is no folder, or its parent is missing
            or may not be written to.
    """
    if out.suffix not in (".png", ".npz", ""):
        raise ConfigError(f"--out {out}: expected a name ending in .png or .npz, or a folder")
    parent = out.absolute().parent
    if not parent.is_dir():
        raise ConfigError(f"--out {out}: there is no folder {parent}")
    if out.suffix and out.is_dir():
        raise ConfigError(f"--out {out}: is a folder, expected a file, or a folder without an ending")
    if not out.suffix and out.exists() and not out.is_dir():
        raise ConfigError(f"--out {out}: is a file, expected a folder")
    if not os.access(out if out.exists() else parent, os.W_OK):
        raise ConfigError(f"--out {out}: may not be written to")


def write(images: np.ndarray, out: Path, way: bool = False) -> None:
    """Write images as one grid (.png), one array (.npz, key ``images``), or one PNG each into a folder.

    `way`: they lie between two seeds.

    Raises:
        UserError: the target cannot be written.
    """
    try:
        _write(images, out, way)
    except OSError as error:
        text = f"--out {out}: cannot be written: {error.strerror or error}"
        raise told(error, f"--out {out}") or UserError(text) from error


def _write(images: np.ndarray, out: Path, way: bool) -> None:
    if out.suffix == ".png":
        columns = columns_of(len(images), way)
        out.write_bytes(encode_png(tile(images, math.ceil(len(images) / columns), columns)))
    elif out.suffix == ".npz":
        np.savez_compressed(out, images=images)
    else:
        out.mkdir(exist_ok=True)
        digits = len(str(len(images) - 1))
        for number, image in enumerate(images):
            (out / f"{number:0{digits}d}.png").write_bytes(encode_png(image))


def columns_of(count: int, way: bool) -> int:
    """Columns of a grid of so many images: one row for a way between two seeds, else about a square.

    Without empty places where there is such a grid that is at most three times as wide as high.
    """
    if way and count <= _LONGEST_ROW:
        return count
    least = math.ceil(math.sqrt(count))
    widest = math.floor(math.sqrt(3 * count))
    return next((columns for columns in range(least, widest + 1) if count % columns == 0), least)
