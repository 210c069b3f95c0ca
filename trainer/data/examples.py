"""TFRecord shards that somebody else wrote: read whole, one shard after the other."""

from typing import Any, NamedTuple

import numpy as np

from trainer.data.pixels import decode
from trainer.data.records import frames, parse
from trainer.data.sources import ArraySource, Images, Shape, by, problem, tidy_labels
from trainer.storage import Store

_ENCODED = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff")  # how PNG and JPEG files begin


class _Row(NamedTuple):
    image: Images
    label: int | bytes | None


def open_examples(name: str, store: Store, shards: list[str], shape: Shape | None) -> ArraySource:
    """The images of shards without an index, in memory.

    Each record is a tf.train.Example with a bytes feature ``image``: a PNG or JPEG, fitted to the shape as
    ``images:`` does, or raw uint8 pixels, whose shape is in an int64 feature ``shape`` or is the model's. A
    feature ``label`` (int64, or bytes naming the label) is kept when every record has it.

    Args:
        name: the source, for messages.
        store: where the shards lie.
        shards: their names, in order.
        shape: what the model needs; None takes that of the first image.

    Raises:
        DataError: a record is damaged, has no image or one of another shape, or only some have labels.
    """
    rows: list[_Row] = []
    for shard in shards:
        for record in frames(name, shard, store.read(shard)):
            row = _row(name, f"{shard}: record {len(rows)}", record, shape)
            shape = shape or _shape(row.image)
            if _shape(row.image) != shape:
                found = by(_shape(row.image))
                raise problem(name, f"{shard}: record {len(rows)} is {found}, expected {by(shape)}")
            rows.append(row)
    if not rows:
        raise problem(name, f"there are no images in {store.url}, expected at least 1")
    images = np.stack([row.image for row in rows])
    labels = [row.label for row in rows if row.label is not None]
    if not labels:
        return ArraySource(name, images, shape)
    if len(labels) != len(rows):
        raise problem(name, f"{len(labels)} of {len(rows)} records have a label, expected all or none")
    return ArraySource(name, images, shape, *tidy_labels(name, np.array(labels)))


def _row(name: str, where: str, record: bytes, shape: Shape | None) -> _Row:
    features = parse(name, where, record)
    content = features["image"].bytes_list.value[0]
    label = _label(features)
    if content.startswith(_ENCODED):
        return _Row(decode(name, where, content, shape), label)
    own = tuple(features["shape"].int64_list.value) if "shape" in features else shape
    if own is None or len(own) != 3 or len(content) != own[0] * own[1] * own[2]:
        expected = f"{by(own)} of them" if own else "a feature 'shape' of three numbers"
        raise problem(
            name, f"{where}: 'image' is neither PNG nor JPEG but {len(content)} bytes, expected {expected}"
        )
    return _Row(np.frombuffer(content, np.uint8).reshape(own), label)


def _label(features: Any) -> int | bytes | None:
    if "label" not in features:
        return None
    values = features["label"].int64_list.value or features["label"].bytes_list.value
    return values[0] if len(values) == 1 else None


def _shape(image: Images) -> Shape:
    height, width, channels = image.shape
    return height, width, channels
