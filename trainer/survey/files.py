"""Which files a source reads: pictures below a folder, shards that a pattern matches."""

import os
import re
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from fnmatch import fnmatchcase
from importlib.util import find_spec
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from trainer.config.sources import SOURCES
from trainer.environment.paths import expanded
from trainer.errors import AccessError, DataError
from trainer.storage import Stat, Store
from trainer.storage.limits import told

_PICTURES = (
    "apng avif avifs bmp bw cur dcx dds dib gif icb icns ico im j2c j2k jfif jp2 jpc jpe jpeg jpf jpg jpx "
    "mpo msp pbm pcx pfm pgm png pnm ppm psd qoi ras rgb rgba sgi tga tif tiff vda vst webp xbm xpm"
)
ENDINGS = tuple(f".{ending}" for ending in _PICTURES.split())
"""Endings of the pictures that Pillow's wheels read, lower case."""
INDEX, LABELS = "index.json", "labels.npy"
"""What lies beside shards that ``data prepare`` wrote."""
IDX_IMAGES = ("train-images-idx3-ubyte", "train-images.idx3-ubyte")
"""Names of the file of images in an ``idx:`` folder, with or without ``.gz``."""
NPZ_IMAGES = ("images", "x", "x_train", "X", "X_train", "train_images")
"""Keys of the images in an archive."""
_SHARDS = "*.tfrecord*"  # what a folder of shards means

LeaveOut = Callable[[str], object]
"""Takes the name of a file that is nothing that is read."""


class Place(NamedTuple):
    """Where a pattern looks."""

    folder: str
    pattern: str


def problem(name: str, text: str) -> DataError:
    """The error to raise about a source: one line that begins with its name."""
    return DataError(f"data.source {name}: {' '.join(text.split())}")


def kind_of(name: str) -> str:
    """What a file that is left out is counted as: its ending."""
    return PurePosixPath(name).suffix.lower() or "without an ending"


def package_folder(name: str, package: str = "") -> Path:
    """Where the package lies that holds a source's images, or another one, found without importing it.

    Raises:
        DataError: it is not installed.
    """
    kind = SOURCES[name.partition(":")[0]]
    package = package or kind.package
    try:
        found = find_spec(package)
    except ValueError:  # what stands in sys.modules under that name is no module
        found = None
    if found is None or not found.submodule_search_locations:
        raise problem(name, f"needs the package {package}; run pip install 'gantry[{kind.extra}]'")
    return Path(found.submodule_search_locations[0])


def check_installed(name: str) -> None:
    """Raise `DataError` where a source's images come in a package and this machine lacks it."""
    if SOURCES[name.partition(":")[0]].package:
        package_folder(name)


def local_path(name: str, text: str) -> Path:
    """The existing file or folder that a source names.

    Raises:
        DataError: it does not exist.
    """
    path = Path(expanded(text, name.partition(":")[0] + ":"))
    if not path.exists():
        raise problem(name, f"{path} does not exist")
    return path


def picture_folder(name: str, text: str) -> Path:
    """The folder of an ``images:`` source.

    Raises:
        DataError: it does not exist or is a file.
    """
    path = local_path(name, text)
    if not path.is_dir():
        raise problem(name, f"{path} is a file, expected a folder")
    return path


def pictures(folder: Path, leave_out: LeaveOut, endings: Collection[str] = ENDINGS) -> list[str]:
    """Paths of the pictures below a folder, with forward slashes, in no order; hidden ones do not count.

    Raises:
        OSError: a folder cannot be read.
    """
    found = []

    def refuse(error: OSError) -> None:
        raise error

    for parent, folders, names in os.walk(folder, followlinks=True, onerror=refuse):
        folders[:] = [child for child in folders if not child.startswith(".")]
        for name in names:
            if name.startswith("."):
                continue
            if name.lower().endswith(tuple(endings)):
                found.append((Path(parent) / name).relative_to(folder).as_posix())
            else:
                leave_out(name)
    return found


def no_pictures(name: str, folder: Path, left_out: str, endings: Collection[str] = ENDINGS) -> DataError:
    """The error of a folder in which nothing is read."""
    left = f"; there are {left_out}" if left_out else ""
    return problem(name, f"no images in {folder}, expected files ending in {', '.join(endings)}{left}")


def place_of(name: str, glob: str) -> Place:
    """The folder of a ``tfrecord:`` source and the pattern of the names in it.

    Raises:
        DataError: wildcards stand in the folder.
    """
    remote = glob.startswith("gs://")
    path = glob if remote else str(Path(expanded(glob)))
    folder, slash, last = path.removeprefix("gs://").rpartition("/")
    names_files = any(mark in last for mark in "*?[") or ".tfrecord" in last
    if Path(path).is_dir() or not (names_files or Path(path).is_file()):
        folder, last = path.removeprefix("gs://").rstrip("/") or slash, _SHARDS
    if any(mark in folder for mark in "*?"):
        raise problem(name, f"wildcards in the folder {folder}, expected them in the file's name only")
    if remote:
        return Place(f"gs://{folder}", last)
    return Place(folder or slash or ".", last)


def listed(store: Store, pattern: str, leave_out: LeaveOut = lambda _: None) -> Iterator[Stat]:
    """The files of a folder that a pattern matches, without what ``data prepare`` wrote beside them.

    What lies there besides is left out where a folder was named and no pattern.
    """
    # Only what can match is listed: a bucket's folder may hold much else.
    literal = re.split(r"[*?\[]", pattern, maxsplit=1)[0]
    for found in store.list(literal):
        if "/" in found.name or found.name == INDEX:
            continue
        if fnmatchcase(found.name, pattern) or found.name == pattern:
            yield found
        elif pattern == _SHARDS and found.name != LABELS and not found.name.startswith("."):
            leave_out(found.name)


def nothing_matches(name: str, url: str, pattern: str) -> DataError:
    """The error of a pattern that matches no shard."""
    return problem(name, f"nothing in {url} matches {pattern}")


@contextmanager
def reading(name: str, path: str | Path) -> Iterator[None]:
    """Say what the operating system says about a local file as `AccessError` or `DataError`."""
    try:
        yield
    except PermissionError as error:
        where = error.filename or path
        raise AccessError(f"data.source {name}: {where} may not be read: permission denied") from error
    except OSError as error:
        if found := told(error, f"data.source {name}"):  # and nothing is wrong with the file
            raise found from error
        raise problem(name, f"{error.filename or path} cannot be read: {error.strerror or error}") from error
