"""``npz:<file>``: images, and perhaps labels, in an archive that `numpy.savez` wrote."""

import zipfile
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trainer.data.sources import ArraySource, Images, Shape, by, local_path, problem, reading, tidy_labels

_IMAGE_KEYS = ("images", "x", "x_train", "X", "X_train", "train_images")
_LABEL_KEYS = ("labels", "y", "y_train", "Y", "Y_train", "train_labels")
_ROUNDING = 1e-6  # how far float32 arithmetic may have left [-1, 1]


def open_npz(name: str, file: str, shape: Shape | None) -> ArraySource:
    """The images of an archive, with its labels if it has any. Example: ``npz:data/faces.npz``.

    Images are found under images, x, x_train, X, X_train or train_images and are [N, H, W] or [N, H, W, C]:
    uint8, or floats in [0, 1] or [-1, 1] (taken for the latter when one is negative), which are rounded to
    8 bits. Labels are found under labels, y, y_train, Y, Y_train or train_labels: whole numbers or strings.

    Raises:
        DataError: no archive, no images in it, values or a shape other than these, or counts that differ.
        AccessError: the file may not be read.
    """
    path = local_path(name, file)
    with reading(name, path):
        if not path.is_file() or not zipfile.is_zipfile(path):
            raise problem(name, f"{path} is not a NumPy archive, expected a file that numpy.savez wrote")
    arrays = _arrays(name, path)
    key = _pick(arrays, _IMAGE_KEYS)
    if key is None:
        found = ", ".join(arrays) or "none"
        raise problem(
            name, f"no images in {path}: its keys are {found}; expected one of {', '.join(_IMAGE_KEYS)}"
        )
    images = _to_images(name, key, arrays[key])
    label_key = _pick(arrays, _LABEL_KEYS)
    if label_key is None:
        return ArraySource(name, images, shape)
    return ArraySource(name, images, shape, *tidy_labels(name, arrays[label_key]))


def _arrays(name: str, path: Path) -> dict[str, NDArray[Any]]:
    """The archive's images and labels; other keys have no value, only a name."""
    try:
        with np.load(path, allow_pickle=False) as archive:
            wanted = (_pick(archive.files, _IMAGE_KEYS), _pick(archive.files, _LABEL_KEYS))
            return {key: archive[key] if key in wanted else np.empty(0) for key in archive.files}
    except (ValueError, OSError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise problem(name, f"{path} is damaged or holds Python objects: {error}") from error


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
    if values.dtype == np.uint8:
        return values
    if values.dtype.kind != "f":
        raise problem(name, f"{key} is {values.dtype}, expected uint8, or floats in [0, 1] or [-1, 1]")
    return _round(name, key, values)


def _round(name: str, key: str, values: NDArray[np.floating[Any]]) -> Images:
    """Floats in [0, 1] or [-1, 1] to the nearest of 256 levels."""
    finite = np.isfinite(values)
    if not finite.all():
        image = int(np.argmin(finite.all(axis=(1, 2, 3))))
        raise problem(name, f"{key} holds NaN or Inf, first in image {image}, expected finite values")
    low, high = float(values.min()), float(values.max())
    if low < -1 - _ROUNDING or high > 1 + _ROUNDING:
        raise problem(
            name, f"{key} holds floats from {low:g} to {high:g}, expected [0, 1] or [-1, 1] (or uint8)"
        )
    # float16 cannot tell 256 levels apart once they are scaled.
    values = values.astype(np.float32, copy=False)
    scaled = (values + 1) * 127.5 if low < 0 else values * 255
    images: Images = np.clip(np.rint(scaled), 0, 255).astype(np.uint8)
    return images
