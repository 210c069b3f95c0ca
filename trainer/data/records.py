"""TFRecord framing and the tf.train.Example inside.

A record is its length (little-endian uint64), the masked crc32c of that, the bytes, and their masked crc32c:
https://www.tensorflow.org/tutorials/load_data/tfrecord#tfrecords_format_details. We parse it here because
TensorFlow's own reader opens whole files by path, and streaming wants a few records out of an object.
"""

import struct
from collections.abc import Iterator
from typing import Any

import google_crc32c
import numpy as np

from trainer.data.sources import Damage, Images, Shape, by, problem

_HEADER = struct.Struct("<QI")
_FOOTER = struct.Struct("<I")
FRAME_BYTES = _HEADER.size + _FOOTER.size
"""What framing adds to each record."""


def frames(name: str, where: str, content: bytes, offset: int = 0) -> Iterator[bytes]:
    """The records in some bytes that begin and end with a record.

    Args:
        name: the source, for messages.
        where: the shard, for messages.
        content: the bytes.
        offset: where they begin in the shard, for messages.

    Raises:
        DataError: a checksum does not match or the last record is cut short; the text names shard and byte.
    """
    for record in frames_or_damage(name, where, content, offset):
        if isinstance(record, Damage):
            raise record
        yield record


def frames_or_damage(name: str, where: str, content: bytes, offset: int = 0) -> Iterator[bytes | Damage]:
    """The same, with an error in the place of each damaged record.

    Where a length is damaged or the end is missing, nothing that follows can be found.
    """
    position = 0
    while position < len(content):
        at = f"{where}: the record at byte {offset + position}"
        start = position + _HEADER.size
        if start > len(content):
            yield Damage(name, at, "is cut short")
            return
        length, checksum = _HEADER.unpack_from(content, position)
        if checksum != _masked(content[position : position + 8]):
            yield Damage(
                name,
                at,
                "has a wrong checksum: damaged, compressed, or no TFRecord file; what follows is lost",
            )
            return
        end = start + length
        if end + _FOOTER.size > len(content):
            yield Damage(name, at, f"is cut short: {end + _FOOTER.size - len(content)} bytes are missing")
            return
        record = content[start:end]
        sound = _FOOTER.unpack_from(content, end)[0] == _masked(record)
        yield record if sound else Damage(name, at, "has a wrong checksum: the shard is damaged")
        position = end + _FOOTER.size


def _masked(content: bytes) -> int:
    """crc32c, rotated and shifted so that a checksum of data that holds checksums stays a good one."""
    crc: int = google_crc32c.value(content)
    return (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF


def framed(record: bytes) -> bytes:
    """A record as it lies in a shard."""
    length = struct.pack("<Q", len(record))
    return b"".join((length, _FOOTER.pack(_masked(length)), record, _FOOTER.pack(_masked(record))))


def parse(name: str, where: str, record: bytes) -> Any:
    """One record as the features of a tf.train.Example, by name.

    Raises:
        DataError: it is none.
    """
    from google.protobuf.message import DecodeError  # type: ignore[import-untyped]

    from trainer.data.example_proto import Example

    try:
        return Example.FromString(record).features.feature
    except DecodeError as error:
        raise problem(name, f"{where}: a record is no tf.train.Example") from error


def raw_images(name: str, where: str, records: Iterator[bytes], count: int, shape: Shape) -> Images:
    """Records that hold raw pixels as uint8 [count, H, W, C].

    Raises:
        DataError: there are more or fewer records, or one is damaged or of another size.
    """
    rows = []
    for record in records:
        features = parse(name, where, record)
        values: Any = features["image"].bytes_list.value if "image" in features else ()
        if len(values) != 1:
            raise problem(name, f"{where}: a record has no bytes feature 'image'")
        rows.append(values[0])
    size = shape[0] * shape[1] * shape[2]
    wrong = next((len(row) for row in rows if len(row) != size), None)
    if wrong is not None:
        raise problem(name, f"{where}: an image has {wrong} bytes, expected {size} for {by(shape)}")
    if len(rows) != count:
        raise problem(name, f"{where}: found {len(rows)} records, expected {count}")
    return np.frombuffer(b"".join(rows), np.uint8).reshape(count, *shape)
