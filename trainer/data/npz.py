"""``npz:<file>``: images, and perhaps labels, in an archive that `numpy.savez` wrote."""

import math
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trainer.data.look import Look
from trainer.data.sources import ArraySource, Images, Shape, by, local_path, problem, reading
from trainer.errors import DataError
from trainer.survey.files import NPZ_IMAGES as _IMAGE_KEYS

_LABEL_KEYS = ("labels", "y", "y_train", "Y", "Y_train", "train_labels")
_ROUNDED = 256  # images that are rounded at once
_ROUNDING = 1e-6  # how far float32 arithmetic may have left [-1, 1]


def open_images(file: str, shape: Shape | None, look: Look) -> ArraySource:
    """The images of an archive, with its labels if it has any. Example: ``npz:data/faces.npz``.

    Images are found under images, x, x_train, X, X_train or train_images and are [N, H, W] or [N, H, W, C]:
    uint8, or floats in [0, 1] or [-1, 1] (taken for the latter when one is negative), which are rounded to
    8 bits. Labels are found under labels, y, y_train, Y, Y_train or train_labels: whole numbers, strings or
    one-hot; others are told and left out.

    Raises:
        DataError: no archive, no images in it, or values or a shape other than these.
        AccessError: the file may not be read.
    """
    name = look.name
    path = local_path(name, file)
    with reading(name, path):
        if not path.is_file() or not zipfile.is_zipfile(path):
            raise problem(name, f"{path} is not a NumPy archive, expected a file that numpy.savez wrote")
        look.choose([path.name])
        look.saw(path.name, path)
    try:
        with zipfile.ZipFile(path) as archive:
            return _open(path, archive, shape, look)
    except (DataError, MemoryError):
        raise
    except Exception as error:  # whatever is wrong with a file, zipfile, zlib and NumPy raise
        raise problem(name, f"{path} is damaged: {error or type(error).__name__}") from error


def _open(path: Path, archive: zipfile.ZipFile, shape: Shape | None, look: Look) -> ArraySource:
    keys = [entry.removesuffix(".npy") for entry in archive.namelist()]
    key = _pick(keys, _IMAGE_KEYS)
    if key is None:
        found = ", ".join(keys) or "none"
        raise problem(
            look.name, f"no images in {path}: its keys are {found}; expected one of {', '.join(_IMAGE_KEYS)}"
        )
    images = _to_images(look.name, key, _array(archive, key, look))
    label_key = _pick(keys, _LABEL_KEYS)
    if label_key is None or not look.labels:
        return ArraySource(look.name, images, shape)
    return ArraySource(look.name, images, shape, *_labels(archive, label_key, len(images), look))


def _labels(archive: zipfile.ZipFile, key: str, count: int, look: Look) -> Any:
    try:
        return look.tidy(_array(archive, key, look), count)
    except DataError as error:
        look.no_labels(str(error).removeprefix(str(problem(look.name, ""))).strip())
        return None, None


def _array(archive: zipfile.ZipFile, key: str, look: Look) -> NDArray[Any]:
    """One array, once its header was found to promise no more than there is and may be."""
    names = archive.namelist()
    entry = key if key in names else f"{key}.npy"
    with archive.open(entry) as file:
        version = np.lib.format.read_magic(file)
        read = (
            np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        )
        found, _, dtype = read(file)
        if dtype.hasobject:
            raise problem(look.name, f"{key} holds Python objects, expected numbers")
        size = math.prod(found) * dtype.itemsize
        there = archive.getinfo(entry).file_size - file.tell()
        if size != there:
            raise problem(
                look.name, f"{key} is damaged: {by(found)} {dtype} are {size} bytes, and {there} are there"
            )
    look.admit(math.prod(found))  # 8 bits of each value are kept
    with archive.open(entry) as file:
        array: NDArray[Any] = np.lib.format.read_array(file, allow_pickle=False)
        return array


def _pick(keys: Iterable[str], wanted: tuple[str, ...]) -> str | None:
    present = set(keys)
    return next((key for key in wanted if key in present), None)


def _to_images(name: str, key: str, values: NDArray[Any]) -> Images:
    """Any array that is allowed as uint8 [N, H, W, C]."""
    if values.ndim == 3:
        values = values[..., np.newaxis]
    if values.ndim != 4 or values.shape[3] not in (1, 3):
        hint = "; move the channels last" if values.ndim == 4 and values.shape[1] in (1, 3) else ""
        raise problem(
            name, f"{key} is {by(values.shape)}, expected N x height x width, or that x 1 or 3 channels{hint}"
        )
    if not values.size:
        raise problem(name, f"{key} is {by(values.shape)}: there are no images, expected at least 1")
    return to_8_bits(name, key, values)


def to_8_bits(name: str, key: str, values: NDArray[Any]) -> Images:
    """Images of any kind that is allowed, [N, H, W, C], as uint8.

    Raises:
        DataError: they are neither uint8 nor floats in [0, 1] or [-1, 1].
    """
    if values.dtype == np.uint8:
        return values
    if values.dtype.kind != "f":
        raise problem(name, f"{key} is {values.dtype}, expected uint8, or floats in [0, 1] or [-1, 1]")
    return _round(name, key, values)


def _round(name: str, key: str, values: NDArray[np.floating[Any]]) -> Images:
    """Floats in [0, 1] or [-1, 1] to the nearest of 256 levels, some images at once: copies take memory."""
    parts = [slice(start, start + _ROUNDED) for start in range(0, len(values), _ROUNDED)]
    low, high = np.inf, -np.inf
    for part in parts:
        finite = np.isfinite(values[part])
        if not finite.all():
            image = part.start + int(np.argmin(finite.all(axis=(1, 2, 3))))
            raise problem(name, f"{key} holds NaN or Inf, first in image {image}, expected finite values")
        low, high = min(low, float(values[part].min())), max(high, float(values[part].max()))
    if low < -1 - _ROUNDING or high > 1 + _ROUNDING:
        raise problem(
            name, f"{key} holds floats from {low:g} to {high:g}, expected [0, 1] or [-1, 1] (or uint8)"
        )
    images = np.empty(values.shape, np.uint8)
    for part in parts:
        # float16 cannot tell 256 levels apart once they are scaled.
        some = values[part].astype(np.float32, copy=False)
        scaled = (some + 1) * 127.5 if low < 0 else some * 255
        images[part] = np.clip(np.rint(scaled), 0, 255)
    return images
