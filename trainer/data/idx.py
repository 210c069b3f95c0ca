"""``idx:<folder>``: the files MNIST and its relatives are published in.

The format is that of http://yann.lecun.com/exdb/mnist/: a magic number (two zero bytes, 8 for unsigned
bytes, the number of dimensions), each dimension as a big-endian int32, then the bytes.
"""

import gzip
import math
import struct
import zlib
from pathlib import Path

import numpy as np

from trainer.data.sources import ArraySource, Images, Shape, local_path, problem, reading, tidy_labels

_IMAGES = ("train-images-idx3-ubyte", "train-images.idx3-ubyte")
_LABELS = ("train-labels-idx1-ubyte", "train-labels.idx1-ubyte")


def open_idx(name: str, folder: str, shape: Shape | None) -> ArraySource:
    """The training images of a folder and, if they are there, their labels. Example: ``idx:data/mnist``.

    The folder holds ``train-images-idx3-ubyte`` and perhaps ``train-labels-idx1-ubyte``, each with or without
    ``.gz``; dots in the place of the second dash are fine.

    Raises:
        DataError: a file is missing, broken or cut short, the counts differ, or the shape is wrong.
        AccessError: a file may not be read.
    """
    path = local_path(name, folder)
    found = _find(path, _IMAGES)
    if found is None:
        raise problem(name, f"no {_IMAGES[0]} or {_IMAGES[0]}.gz in {path}")
    images = _read(name, found, dimensions=3)[..., np.newaxis]
    labels = _find(path, _LABELS)
    if labels is None:
        return ArraySource(name, images, shape)
    return ArraySource(name, images, shape, *tidy_labels(name, _read(name, labels, dimensions=1)))


def _find(folder: Path, names: tuple[str, ...]) -> Path | None:
    candidates = (folder / (name + ending) for name in names for ending in ("", ".gz"))
    return next((path for path in candidates if path.is_file()), None)


def _read(name: str, path: Path, dimensions: int) -> Images:
    """One file as uint8 with that many dimensions."""
    content = _content(name, path)
    header = 4 + 4 * dimensions
    if len(content) < header:
        raise problem(name, f"{path} is cut short: expected a header of {header} bytes, found {len(content)}")
    magic, *sizes = struct.unpack(f">{1 + dimensions}I", content[:header])
    if magic != 0x800 + dimensions:
        raise problem(name, f"{path} begins with 0x{magic:08x}, expected 0x{0x800 + dimensions:08x}")
    expected = header + math.prod(sizes)
    if len(content) != expected:
        what = "is cut short" if len(content) < expected else "is too long"
        raise problem(name, f"{path} {what}: expected {expected} bytes, found {len(content)}")
    return np.frombuffer(content, np.uint8, offset=header).reshape(sizes)


def _content(name: str, path: Path) -> bytes:
    """What a file holds, unpacked when its name ends in .gz."""
    with reading(name, path):
        content = path.read_bytes()
    if path.suffix != ".gz":
        return content
    try:
        return gzip.decompress(content)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise problem(name, f"{path} is not a whole gzip file: {error}") from error
