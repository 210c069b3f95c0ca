"""How many examples a source holds, and what lies there and is left out."""

import gzip
import json
import math
import struct
import warnings as python_warnings
from ast import literal_eval
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple
from zipfile import BadZipFile, ZipFile

from trainer.config import RunConfig
from trainer.config.sources import absolute, parse_source
from trainer.console.wording import several
from trainer.errors import ObjectMissing
from trainer.storage import LocalStore, Stat, Store, open_store
from trainer.survey import files
from trainer.survey.colours import shows_colours
from trainer.survey.latest import resolve
from trainer.survey.shapes import KNOWN, Shape, check_shape, check_square
from trainer.survey.telling import classes_fit, headline, left_out_text, warnings

_SAMPLE = 24  # pictures that are opened to see whether they have colours
_MOST_PIXELS = 1 << 25  # of one of these
_COUNTED_BYTES = 4 << 30  # of local shards without an index: their records are counted by reading lengths
_RECORD = struct.Struct("<Q4x")
_FOOTER_BYTES = 4


class Survey(NamedTuple):
    """What lies in a source."""

    source: str
    """As it is opened: ``latest`` looked up, its path absolute."""
    images: int | None
    """None where only reading them all would tell."""
    left_out: Counter[str]
    """What is not read, by kind."""
    shape: Shape | None = None
    """Where it is known without reading an image."""
    labels: int = 0
    """How many there are; 0 for none, or where that is not known."""
    shards: int = 0
    """Of a set of shards."""
    nbytes: int = 0
    """Of its shards."""
    coloured: int = 0
    sample: int = 0
    """Pictures that show colours, of how many that were opened."""

    def lines(self, config: RunConfig) -> list[str]:
        """What is to be said of it, a line each."""
        name = self.source
        if self.images is not None:
            said = [headline(name, self.images, self.shape, self.labels, used=config.conditioning.on)]
        else:
            what = f"{several(self.shards, 'shard')} without an index, {self.nbytes / 2**20:.1f} MiB"
            said = [f"data.source {name}: {what}; how many images is known when they are read"]
        if self.left_out:
            said.append(
                f"note: data.source {name}: left out, as no images that are read: {self.left_out_text}"
            )
        told = [] if self.images is None else warnings(config, self.images, self.coloured, self.sample)
        return said + [f"warning: data.source {name}: {line}" for line in told]

    @property
    def left_out_text(self) -> str:
        """What is not read, in words."""
        return left_out_text(self.left_out)


def survey(config: RunConfig) -> Survey | None:
    """Look at a run's data from here; None where the number of its images cannot be had without reading them.

    Raises:
        DataError: there is nothing, or what is there cannot be what the model needs.
        AccessError: a folder or bucket refuses us.
        StorageError: a bucket failed.
    """
    found = _survey(config)
    if found and found.labels:
        classes_fit(config, found.source, found.labels)
    return found


def _survey(config: RunConfig) -> Survey | None:
    source, shape = resolve(absolute(config.data.source)), config.image.shape
    kind, rest = parse_source(source)
    if source in KNOWN:
        known = _known(source, config)
        return known if kind != "keras" else None  # one may be downloaded, and then it is counted
    with files.reading(source, rest):
        if kind == "images":
            return _pictures(source, rest, config)
        if kind == "tfrecord":
            return _shards(source, rest, config)
        if kind not in ("idx", "npz"):
            return None
        path = files.local_path(source, rest)
        found = _array_shape(kind, path)
    if found is None or len(found) not in (3, 4):
        return None  # whoever reads it says what is wrong
    own = (found[1], found[2], found[3] if len(found) == 4 else 1)
    check_shape(source, own, shape)
    return Survey(source, found[0], Counter(), own)


def _known(source: str, config: RunConfig) -> Survey:
    """A set that everybody has."""
    known, shape = KNOWN[source], config.image.shape
    if known.shape:
        check_shape(source, known.shape, shape)
    else:
        check_square(source, shape)
    labels = known.labels if config.labelled or not known.labelled else 0
    return Survey(
        source, known.taken(config.labelled), Counter(), known.shape or shape, _wanted(config, labels)
    )


def _wanted(config: RunConfig, labels: int) -> int:
    return 0 if config.data.labels == "none" else labels


def _pictures(source: str, rest: str, config: RunConfig) -> Survey:
    left: Counter[str] = Counter()
    folder = files.picture_folder(source, rest)
    names = sorted(files.pictures(folder, lambda name: left.update([files.kind_of(name)])))
    if not names:
        raise files.no_pictures(source, folder, left_out_text(left))
    folders = {name.partition("/")[0] for name in names if "/" in name}
    labels = 0 if any("/" not in name for name in names) else len(folders)
    step = math.ceil(len(names) / _SAMPLE)
    looked = names[::step] if config.image.channels == 1 else []
    coloured = sum(_shows_colours(folder / name) for name in looked)
    return Survey(
        source,
        len(names),
        left,
        config.image.shape,  # to which they are fitted
        labels=_wanted(config, labels),
        coloured=coloured,
        sample=len(looked) if len(looked) < len(names) else 0,
    )


def _shows_colours(path: Path) -> bool:
    try:
        from PIL import Image

        with python_warnings.catch_warnings(action="ignore"), Image.open(path) as image:
            if image.format == "TIFF" or image.width * image.height > _MOST_PIXELS:
                return False  # libtiff prints what is wrong with one
            image.draft("RGB", (64, 64))  # a JPEG is read at an eighth of its size
            return shows_colours(image)
    except Exception:  # no Pillow here, or a file that whoever reads it has to judge
        return False


def _shards(source: str, rest: str, config: RunConfig) -> Survey:
    left: Counter[str] = Counter()
    place = files.place_of(source, rest)
    store = open_store(place.folder)
    found = list(files.listed(store, place.pattern, lambda name: left.update([files.kind_of(name)])))
    size = sum(shard.size for shard in found)
    if (index := _index(store)) is not None:
        images, own, labels = index
        check_shape(source, own, config.image.shape)
        return Survey(source, images, left, own, _wanted(config, labels), len(found), size)
    if not found:
        raise files.nothing_matches(source, store.url, place.pattern)
    return Survey(source, _records(store, found), left, shards=len(found), nbytes=size)


def _index(store: Store) -> tuple[int, Shape, int] | None:
    """Images, their shape and labels of prepared shards; None without an index that can be read."""
    try:
        values = json.loads(store.read(files.INDEX))
        height, width, channels = map(int, values["shape"])
        labels = len(values.get("label_names") or ()) if values.get("labels") else 0
        return int(values["count"]), (height, width, channels), labels
    except (ObjectMissing, ValueError, KeyError, TypeError, AttributeError):
        return None


def _records(store: Store, shards: list[Stat]) -> int | None:
    """Records of local shards; None in a bucket, or where there is much or something damaged."""
    if not isinstance(store, LocalStore) or sum(shard.size for shard in shards) > _COUNTED_BYTES:
        return None
    total = 0
    for shard in shards:
        with (Path(store.url) / shard.name).open("rb") as file:
            at = 0
            while at < shard.size:
                file.seek(at)
                header = file.read(_RECORD.size)
                if len(header) < _RECORD.size:
                    return None
                at += _RECORD.size + _RECORD.unpack(header)[0] + _FOOTER_BYTES
                total += 1
            if at != shard.size:
                return None
    return total


def _array_shape(kind: str, path: Path) -> tuple[int, ...] | None:
    """The shape that the header of an ``idx:`` or ``npz:`` source says; None where it cannot be had."""
    with suppress(OSError, EOFError, BadZipFile, struct.error, ValueError, SyntaxError, KeyError, TypeError):
        return _idx_shape(path) if kind == "idx" else _npz_shape(path)
    return None


def _idx_shape(folder: Path) -> tuple[int, ...] | None:
    for name in (each + ending for each in files.IDX_IMAGES for ending in ("", ".gz")):
        if (folder / name).is_file():
            with (gzip.open if name.endswith(".gz") else open)(folder / name, "rb") as file:
                magic, *sizes = struct.unpack(">4I", file.read(16))
            return tuple(sizes) if magic == 0x803 else None
    return None


def _npz_shape(path: Path) -> tuple[int, ...] | None:
    with ZipFile(path) as archive:
        there = archive.namelist()
        name = next((each for key in files.NPZ_IMAGES for each in (key, f"{key}.npy") if each in there), None)
        if name is None:
            return None
        with archive.open(name) as file:
            version = file.read(8)[6]
            length = struct.unpack("<H" if version == 1 else "<I", file.read(2 if version == 1 else 4))[0]
            header = literal_eval(file.read(min(length, 1 << 16)).decode("latin-1"))
    return tuple(map(int, header["shape"]))
