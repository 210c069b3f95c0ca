"""What the command `sample` is asked to draw and where to, checked before TensorFlow loads; and its files."""

import math
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from trainer.config import MOST_ROWS
from trainer.errors import ConfigError, UserError
from trainer.pictures.grid import encode_png, tile
from trainer.run import layout, record
from trainer.run.record import Record
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
    of_class: str | None = None
    """Number or name of the class to draw; None for every class in turn, where the run has labels."""


def check(store: Store, request: Request) -> Record:
    """The record of the run that is to be drawn from.

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
    conditioning = known.config.conditioning
    if conditioning.on and request.interpolate and request.of_class is None:
        raise UserError(
            "--interpolate: expected --class with it, as the run has labels: a way lies in one class"
        )
    class_number(known, request.of_class)
    return known


def class_number(known: Record, wanted: str | None) -> int | None:
    """The number of a class by its number or its name; None where none is wanted.

    Raises:
        UserError: the run has no labels, or no such class.
    """
    conditioning = known.config.conditioning
    if wanted is None:
        return None
    if not conditioning.on:
        raise UserError(f"--class {wanted}: the run has no labels (its conditioning.kind is none)")
    names = class_names(known)
    if wanted in names:
        return names.index(wanted)
    if wanted.isdecimal() and int(wanted) < conditioning.classes:
        return int(wanted)
    named = f", or one of {', '.join(names)}" if names else ""
    raise UserError(f"--class {wanted}: expected a number from 0 to {conditioning.classes - 1}{named}")


def class_names(known: Record) -> list[str]:
    """What the set calls its classes, in the order of their numbers; none where that was not written down."""
    data = known.values.get("data")
    found = data.get("classes") if isinstance(data, dict) else None
    return list(map(str, found)) if isinstance(found, list) else []


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


def write(images: np.ndarray, out: Path, way: bool = False, columns: int | None = None) -> None:
    """Write images as one grid (.png), one array (.npz, key ``images``), or one PNG each into a folder.

    `way`: they lie between two seeds. `columns`: of the grid, chosen by their number when left out.

    Raises:
        UserError: the target cannot be written.
    """
    try:
        _write(images, out, columns or columns_of(len(images), way))
    except OSError as error:
        text = f"--out {out}: cannot be written: {error.strerror or error}"
        raise told(error, f"--out {out}") or UserError(text) from error


def labels(known: Record, request: Request) -> np.ndarray | None:
    """The class of each image that is to be drawn, int32 [count]; None for a run without labels."""
    conditioning = known.config.conditioning
    if not conditioning.on:
        return None
    wanted = class_number(known, request.of_class)
    if wanted is None:
        return np.arange(request.count, dtype=np.int32) % conditioning.classes
    return np.full(request.count, wanted, np.int32)


def columns_for(known: Record, request: Request) -> int | None:
    """Columns of a grid with a class in each; None where they are chosen by the number of images."""
    classes = known.config.conditioning.classes
    in_turn = known.config.conditioning.on and request.of_class is None
    return classes if in_turn and request.count >= classes <= MOST_ROWS else None


def _write(images: np.ndarray, out: Path, columns: int) -> None:
    if out.suffix == ".png":
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
