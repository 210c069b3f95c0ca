"""Drawn images as files: one grid, one array, a picture each, or a film."""

import io
import math
import os
from pathlib import Path
from typing import Any

import numpy as np

from trainer.environment.paths import require_folder
from trainer.errors import ConfigError
from trainer.pictures import film
from trainer.pictures.grid import encode_png, tile
from trainer.storage.limits import refused
from trainer.storage.whole_file import whole_file

_LONGEST_ROW = 64  # images of a way between two seeds that lie in one row
_STILLS = (".png", ".npz", "")


def check_target(out: Path, films: bool = False) -> None:
    """Refuse a target that `write`, or with `films` a film, could not be written to.

    Raises:
        ConfigError: the ending is another one and the path is no folder, its parent is missing or may not be
            written to, or a program that the film needs is not installed.
    """
    if films:
        film.check_ending(out)
    elif out.suffix not in _STILLS:
        raise ConfigError(f"--out {out}: expected a name ending in .png or .npz, or a folder")
    parent = require_folder(f"--out {out}", out)
    if out.suffix and out.is_dir():
        raise ConfigError(f"--out {out}: is a folder, expected a file, or a folder without an ending")
    if not out.suffix and out.exists() and not out.is_dir():
        raise ConfigError(f"--out {out}: is a file, expected a folder")
    if not os.access(out if out.exists() else parent, os.W_OK):
        raise ConfigError(f"--out {out}: may not be written to")


def write(
    images: np.ndarray,
    out: Path,
    way: bool = False,
    columns: int | None = None,
    names: tuple[str, ...] = (),
) -> None:
    """Write images as one grid (.png), one array (.npz, key ``images``), or one PNG each into a folder.

    `way`: they lie between two seeds. `columns`: of the grid, chosen by their number when left out. `names`:
    of the files in a folder, and in an array (key ``names``); numbers when left out.

    Raises:
        UserError: the target cannot be written.
    """
    try:
        if out.suffix == ".png":
            columns = columns or columns_of(len(images), way)
            _whole(out, encode_png(tile(images, math.ceil(len(images) / columns), columns)))
        elif out.suffix == ".npz":
            content = io.BytesIO()
            arrays: dict[str, Any] = {"images": images} | ({"names": np.array(names)} if names else {})
            np.savez_compressed(content, **arrays)
            _whole(out, content.getvalue())
        else:
            _write_each(images, out, names)
    except OSError as error:
        raise refused(f"--out {out}", error) from error


def write_film(images: np.ndarray, out: Path, fps: float) -> None:
    """Write images as a film, see `trainer.pictures.film`.

    Raises:
        UserError: the target cannot be written.
        GantryError: ffmpeg fails.
    """
    try:
        film.write_film(images, out, fps)
    except OSError as error:
        raise refused(f"--out {out}", error) from error


def _write_each(images: np.ndarray, out: Path, names: tuple[str, ...]) -> None:
    out.mkdir(exist_ok=True)
    digits = len(str(len(images) - 1))
    for number, image in enumerate(images):
        name = names[number] if names else f"{number:0{digits}d}"
        _whole(out / f"{name}.png", encode_png(image))


def _whole(path: Path, content: bytes) -> None:
    with whole_file(path) as file:
        file.write(content)


def columns_of(count: int, way: bool) -> int:
    """Columns of a grid of so many images: one row for a way between two seeds, else about a square.

    Without empty places where there is such a grid that is at most three times as wide as high.
    """
    if way and count <= _LONGEST_ROW:
        return count
    least = math.ceil(math.sqrt(count))
    widest = math.floor(math.sqrt(3 * count))
    return next((columns for columns in range(least, widest + 1) if count % columns == 0), least)
