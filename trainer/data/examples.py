"""TFRecord shards that somebody else wrote: read whole, one shard after the other."""

import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from trainer.data.look import Look
from trainer.data.npz import to_8_bits
from trainer.data.pixels import decode
from trainer.data.records import frames_or_damage, parse
from trainer.data.sources import ArraySource, Damage, Shape, by, problem
from trainer.errors import DataError
from trainer.storage import Stat, Store

_IMAGE = ("image", "image/encoded", "image_raw", "image_bytes", "image/raw", "data", "img", "x")
_LABEL = ("label", "image/class/label", "labels", "class", "y")
_SHAPE = ("shape", "image/shape")
_SIDES = (("height", "image/height"), ("width", "image/width"), ("channels", "image/channels", "depth"))
# How the files begin that Pillow reads: PNG, JPEG, GIF, TIFF; WebP says so behind its length.
_ENCODED = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF8", b"II*\0", b"MM\0*")


class _Row(NamedTuple):
    image: NDArray[Any]
    """[H, W, C]: uint8, or floats that are scaled when all are known."""
    label: int | bytes | None


def open_examples(store: Store, shards: list[Stat], shape: Shape | None, look: Look) -> ArraySource:
    """The images of shards without an index, in memory.

    Each record is a tf.train.Example with an image: encoded bytes, fitted to the shape as ``images:`` does;
    raw uint8 pixels; integers from 0 to 255; or floats in [0, 1] or [-1, 1]. Its feature is called ``image``,
    ``image/encoded``, ``image_raw`` or ``data``, say, and the shape is in an int64 feature ``shape``, or in
    ``height``, ``width`` and ``depth``, or is the model's. A feature ``label`` (int64, or bytes naming the
    label) is kept when every record has it.

    Args:
        store: where the shards lie.
        shards: as they were listed, in order.
        shape: what the model needs; None takes that of the first image.
        look: notes what is read.

    Damaged records are all found in one pass.

    Raises:
        DataError: a record is damaged, has no image or one of another shape.
    """
    name = look.name
    rows: list[_Row] = []
    damaged: dict[str, DataError] = {}
    size = 0
    for where, record in _records(store, shards, look):
        try:
            row = _row(where, record, shape, look)
        except DataError as error:
            damaged[where] = error
            continue
        rows.append(row)
        shape = shape or _shape(row.image)
        size += row.image.size
        look.admit(size)
    _sort_out(damaged, len(rows), store, look)
    images = to_8_bits(name, "image", np.stack([row.image for row in rows]))
    labels = [row.label for row in rows if row.label is not None]
    if not labels or not look.labels:
        return ArraySource(name, images, shape)
    if len(labels) != len(rows):
        look.no_labels(f"{len(labels)} of {len(rows)} records have a label")
        return ArraySource(name, images, shape)
    kinds = {type(label) for label in labels}
    if len(kinds) > 1:
        look.no_labels("some labels are numbers and some are bytes")
        return ArraySource(name, images, shape)
    return ArraySource(name, images, shape, *look.tidy(np.array(labels), len(images)))


def _records(store: Store, shards: list[Stat], look: Look) -> Iterator[tuple[str, bytes | Damage]]:
    """Each record with what it is called in messages, but those that the run began without."""
    for shard in shards:
        content = store.read(shard.name)
        look.saw(shard.name, content, shard.generation if store.url.startswith("gs://") else None)
        for number, record in enumerate(frames_or_damage(look.name, shard.name, content)):
            where = record.where if isinstance(record, Damage) else f"{shard.name}: record {number}"
            if not look.skips(where):
                yield where, record


def _sort_out(damaged: Mapping[str, DataError], sound: int, store: Store, look: Look) -> None:
    """Refuse, or leave out, the records that cannot be read.

    Raises:
        DataError: they are refused, or none is left; what all of them lack is said of the first.
    """
    first = next(iter(damaged.values()), None)
    if not sound and first is None:
        raise problem(look.name, f"there are no images in {store.url}, expected at least 1")
    if not sound and first is not None and (len(damaged) == 1 or not isinstance(first, Damage)):
        raise first
    why = {where: _why(look.name, where, error) for where, error in damaged.items()}
    if not sound:
        raise look.damage(why, len(damaged))
    look.sort_out(why, sound + len(damaged))


def _why(name: str, where: str, error: DataError) -> str:
    """What is wrong, without the source and the record."""
    if isinstance(error, Damage):
        return error.why
    return str(error).removeprefix(str(problem(name, where))).lstrip(": ")


def _row(where: str, record: bytes | Damage, shape: Shape | None, look: Look) -> _Row:
    """One record.

    Raises:
        DataError: it is damaged, has no image or one of another shape.
    """
    if isinstance(record, Damage):
        raise record
    row = _image(where, parse(look.name, where, record), shape, look)
    found = _shape(row.image)
    if shape is not None and found != shape:
        raise problem(look.name, f"{where} is {by(found)}, expected {by(shape)}")
    return row


def _image(where: str, features: Any, shape: Shape | None, look: Look) -> _Row:
    name = look.name
    key = _first(features, _IMAGE)
    if key is None:
        found = ", ".join(sorted(features)) or "none"
        raise problem(
            name, f"{where}: no feature 'image' (nor {', '.join(_IMAGE[1:5])}); its features are {found}"
        )
    label = _label(features)
    own = _own_shape(features)
    kind = features[key].WhichOneof("kind")
    values: Any = getattr(features[key], kind).value if kind else ()
    if kind == "bytes_list":
        if len(values) != 1:
            raise problem(name, f"{where}: '{key}' has {len(values)} values, expected 1")
        content = values[0]
        if content.startswith(_ENCODED) or (content[:4] == b"RIFF" and content[8:12] == b"WEBP"):
            return _Row(decode(name, where, content, shape, lambda: look.has_colours(where)), label)
        flat = np.frombuffer(content, np.uint8)
    elif kind == "float_list":
        flat = np.array(values, np.float32)
        if not np.isfinite(flat).all():
            raise problem(name, f"{where}: '{key}' holds NaN or Inf, expected finite values")
    else:
        flat = np.array(values, np.int64)
        if flat.size and (flat.min() < 0 or flat.max() > 255):
            raise problem(
                name, f"{where}: '{key}' holds integers from {flat.min()} to {flat.max()}, expected 0 to 255"
            )
        flat = flat.astype(np.uint8)
    return _Row(_shaped(name, f"{where}: '{key}'", flat, own, shape), label)


def _shaped(
    name: str, what: str, flat: NDArray[Any], own: tuple[int, ...] | None, wanted: Shape | None
) -> NDArray[Any]:
    """Values one after another as [H, W, C]; a shape may leave out the channels, or have them first."""
    own = own if own is not None else wanted
    full = (*own, 1) if own is not None and len(own) == 2 else own
    if full is None or len(full) != 3 or min(full) < 1 or math.prod(full) != len(flat):
        expected = f"{by(full)} of them" if full else "a feature 'shape' of two or three numbers"
        kind = "bytes, neither PNG nor JPEG" if flat.dtype == np.uint8 else "numbers"
        raise problem(name, f"{what} is {len(flat)} {kind}: expected {expected}")
    image = flat.reshape(full)
    if full[0] in (1, 3) and full[2] not in (1, 3):  # channels first, as PyTorch and StyleGAN have them
        return np.ascontiguousarray(image.transpose(1, 2, 0))
    return image


def _own_shape(features: Any) -> tuple[int, ...] | None:
    key = _first(features, _SHAPE)
    if key is not None:
        return tuple(features[key].int64_list.value)
    sides = [_first(features, names) for names in _SIDES]
    numbers = [tuple(features[side].int64_list.value) for side in sides if side is not None]
    if len(numbers) < 2 or sides[0] is None or sides[1] is None or any(len(each) != 1 for each in numbers):
        return None
    return tuple(each[0] for each in numbers)


def _first(features: Any, names: Iterable[str]) -> str | None:
    return next((name for name in names if name in features), None)


def _label(features: Any) -> int | bytes | None:
    key = _first(features, _LABEL)
    if key is None:
        return None
    values = features[key].int64_list.value or features[key].bytes_list.value
    return values[0] if len(values) == 1 else None


def _shape(image: NDArray[Any]) -> Shape:
    height, width, channels = image.shape
    return height, width, channels
