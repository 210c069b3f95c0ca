"""``idx:<folder>``: the files MNIST and its relatives are published in.

The format is that of http://yann.lecun.com/exdb/mnist/: a magic number (two zero bytes, 8 for unsigned
bytes, the number of dimensions), each dimension as a big-endian int32, then the bytes.
"""

import gzip
import io
import math
import struct
import zlib
from pathlib import Path

import numpy as np

from trainer.data.look import Look
from trainer.data.sources import ArraySource, Images, Shape, local_path, problem, reading
from trainer.survey.files import IDX_IMAGES as _IMAGES

_LABELS = ("train-labels-idx1-ubyte", "train-labels.idx1-ubyte")
_CHUNK = 1 << 24  # bytes unpacked at once: a header may promise more than there is


def open_images(folder: str, shape: Shape | None, look: Look) -> ArraySource:
    """The training images of a folder and, if they are there, their labels. Example: ``idx:data/mnist``.

    The folder holds ``train-images-idx3-ubyte`` and perhaps ``train-labels-idx1-ubyte``, each with or without
    ``.gz``; dots in the place of the second dash are fine.

    Raises:
        DataError: a file is missing, broken or cut short, or the shape is wrong.
        AccessError: a file may not be read.
    """
    return _open(folder, shape, look, _IMAGES, _LABELS)


def open_test(folder: str, look: Look) -> ArraySource:
    """The test images of the same folder, whose files begin with ``t10k`` instead of ``train``.

    Raises:
        DataError, AccessError: as above.
    """
    kinds = (tuple(name.replace("train", "t10k") for name in names) for names in (_IMAGES, _LABELS))
    return _open(folder, None, look, *kinds)


def _open(
    folder: str, shape: Shape | None, look: Look, image_names: tuple[str, ...], label_names: tuple[str, ...]
) -> ArraySource:
    name = look.name
    path = local_path(name, folder)
    names = look.choose(_there(path, image_names, label_names))
    found = _first(names, image_names)
    if found is None:
        raise problem(name, f"no {image_names[0]} or {image_names[0]}.gz in {path}")
    images = _read(path / found, look, dimensions=3)[..., np.newaxis]
    labels = _first(names, label_names)
    if labels is None or not look.labels:
        return ArraySource(name, images, shape)
    return ArraySource(name, images, shape, *look.tidy(_read(path / labels, look, dimensions=1), len(images)))


def _there(folder: Path, *wanted: tuple[str, ...]) -> list[str]:
    """One file of each kind wanted, of those that are there."""
    kinds = ([name + ending for name in names for ending in ("", ".gz")] for names in wanted)
    firsts = (next((name for name in kind if (folder / name).is_file()), None) for kind in kinds)
    return [name for name in firsts if name]


def _first(names: list[str], wanted: tuple[str, ...]) -> str | None:
    return next((name for name in names if name.removesuffix(".gz") in wanted), None)


def _read(path: Path, look: Look, dimensions: int) -> Images:
    """One file as uint8 with that many dimensions."""
    with reading(look.name, path):
        look.saw(path.name, path)
        with (gzip.open if path.suffix == ".gz" else open)(path, "rb") as file:
            try:
                return _parse(path, file, look, dimensions)
            except (gzip.BadGzipFile, EOFError, zlib.error) as error:
                raise problem(look.name, f"{path} is not a whole gzip file: {error}") from error


def _parse(path: Path, file: io.BufferedIOBase, look: Look, dimensions: int) -> Images:
    size = 4 + 4 * dimensions
    header = file.read(size)
    if len(header) < size:
        raise problem(
            look.name, f"{path} is cut short: expected a header of {size} bytes, found {len(header)}"
        )
    magic, *sizes = struct.unpack(f">{1 + dimensions}I", header)
    if magic != 0x800 + dimensions:
        raise problem(look.name, f"{path} begins with 0x{magic:08x}, expected 0x{0x800 + dimensions:08x}")
    wanted = math.prod(sizes)
    look.admit(wanted)
    content = bytearray()
    while len(content) <= wanted and (part := file.read(min(_CHUNK, wanted + 1 - len(content)))):
        content += part
    if len(content) != wanted:
        what = "is cut short" if len(content) < wanted else "is too long"
        more = "" if len(content) < wanted else " or more"
        raise problem(
            look.name, f"{path} {what}: expected {size + wanted} bytes, found {size + len(content)}{more}"
        )
    return np.frombuffer(content, np.uint8).reshape(sizes)
