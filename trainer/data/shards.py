"""``tfrecord:<glob>``: TFRecord shards in a folder or a bucket.

Shards that `trainer.data.shard_writer` wrote have an index and can be streamed: `ShardSource` fetches blocks
of neighbouring images by range reads. Any other shards of tf.train.Example are read whole into memory
(`trainer.data.examples`).
"""

import io
import re
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trainer.data import index as index_json
from trainer.data.blocks import BlockCache
from trainer.data.index import Index
from trainer.data.look import File, Look
from trainer.data.records import frames, raw_images
from trainer.data.sources import Images, ImageSource, Labels, Shape, check_shape, checked_ids, problem
from trainer.errors import ObjectMissing
from trainer.storage import Stat, Store, crc32c, open_store
from trainer.survey.files import listed, nothing_matches, place_of

_OURS = re.compile(r"shard-\d{5}-of-(\d{5})\.tfrecord")


class ShardSource(ImageSource):
    """Indexed shards: any image can be read without reading the rest.

    Args:
        name: as for `ImageSource`.
        store: where the shards lie.
        index: what they hold.
        wanted: the shape that the model needs, None to take the set's own.
        cache_blocks: blocks of 256 images kept in memory.
        labels: as for `ImageSource`.
    """

    streamable = True

    def __init__(
        self,
        name: str,
        store: Store,
        index: Index,
        wanted: Shape | None,
        cache_blocks: int,
        labels: Labels | None = None,
    ) -> None:
        check_shape(name, index.shape, wanted)
        super().__init__(name, index.count, index.shape, labels, index.label_names)
        self._store, self._index = store, index
        # Which shard each block lies in, and the block's number within it.
        self._places = [(shard, block) for shard in index.shards for block in range(len(shard.blocks))]
        self._cache = BlockCache(self._fetch, cache_blocks)

    def read(self, ids: NDArray[np.integer[Any]]) -> Images:
        """Some images, from the blocks kept in memory or by one range read for each other block.

        Every record's checksum is verified as it is read.
        """
        ids = checked_ids(ids, self.count)
        numbers, rows = ids // self._index.block_images, ids % self._index.block_images
        images = np.empty((len(ids), *self.shape), np.uint8)
        for number, block in self._cache.get(np.unique(numbers).tolist()).items():
            here = numbers == number
            images[here] = block[rows[here]]
        return images

    def load(self) -> Images:
        """The whole set, shard by shard; each shard's checksum is verified."""
        images = np.empty((self.count, *self.shape), np.uint8)
        first = 0
        for shard in self._index.shards:
            content = _verified(self.name, self._store, shard)
            records = frames(self.name, shard.name, content)
            images[first : first + shard.records] = raw_images(
                self.name, shard.name, records, shard.records, self.shape
            )
            first += shard.records
        return images

    def _fetch(self, number: int) -> Images:
        """One block as uint8 [n, H, W, C]."""
        shard, block = self._places[number]
        start, length = shard.span(block)
        content = self._store.read(shard.name, start, length)
        count = min(self._index.block_images, shard.records - block * self._index.block_images)
        records = frames(self.name, shard.name, content, start)
        return raw_images(self.name, shard.name, records, count, self.shape)


def open_images(glob: str, shape: Shape | None, look: Look) -> ImageSource:
    """The shards that a pattern matches. Examples: ``tfrecord:data/faces``, ``tfrecord:gs://b/x/*.tfrecord``.

    Wildcards stand in the file's name only; a folder means its files named ``*.tfrecord*``. With an
    ``index.json`` beside the shards, their names and sizes, and in a bucket their sums, are checked against
    it now and their checksums when they are read. Without, they are read into memory now; see
    `trainer.data.examples.open_examples`.

    Raises:
        DataError: nothing matches, or the shards are incomplete, damaged or of the wrong shape.
        AccessError: the folder or bucket refuses us.
    """
    name = look.name
    place = place_of(name, glob)
    store = open_store(place.folder)
    there = {found.name: found for found in listed(store, place.pattern, look.leave_out)}
    pinned_index = None if look.pinned is None else index_json.NAME in look.pinned
    try:
        if pinned_index is False:  # the shards had no index when the run began, and need none
            raise ObjectMissing(index_json.NAME)
        content = store.read(index_json.NAME)
    except ObjectMissing:
        shards = [there[shard] for shard in look.choose(there)]
        _refuse_unfinished(name, store, [shard.name for shard in shards])
        if not shards:
            raise nothing_matches(name, store.url, place.pattern) from None
        from trainer.data.examples import open_examples

        return open_examples(store, shards, shape, look)
    look.saw(index_json.NAME, content)
    look.check()  # before the shards are compared with another index than the run's
    index = index_json.parse_index(name, f"{store.url}/{index_json.NAME}", content)
    labels_there = look.labels and index.labels is not None and store.stat(index.labels.name) is not None
    also = [index.labels.name] if index.labels and labels_there else []
    shards_there = {shard for shard in there if ".tfrecord" in shard} | {shard.name for shard in index.shards}
    chosen = look.choose({*(shards_there & there.keys()), *also, index_json.NAME})
    _compare(look, store, index, {shard: there[shard] for shard in chosen if shard in there})
    labels = _read_labels(look, store, index) if labels_there else None
    if index.labels and look.labels and not labels_there:
        look.no_labels(f"{index.labels.name} is in {index_json.NAME} but missing")
    check_shape(name, index.shape, shape)
    return ShardSource(name, store, index, shape, look.cache_blocks, labels)


def _refuse_unfinished(name: str, store: Store, names: list[str]) -> None:
    """Shards named as we name them, but without an index, may be the first part of a set."""
    ours = [match for match in map(_OURS.fullmatch, names) if match]
    if ours and len(ours) != int(ours[0][1]):
        raise problem(
            name,
            f"{store.url} has no {index_json.NAME} and {len(ours)} of {int(ours[0][1])} shards: preparing it "
            "did not finish; run 'python -m trainer data prepare' again",
        )


def _compare(look: Look, store: Store, index: Index, there: dict[str, Stat]) -> None:
    """Refuse a listing that differs from the index, and note the shards as the index has them."""
    name, remote = look.name, store.url.startswith("gs://")
    for shard in index.shards:
        found = there.get(shard.name)
        if found is None:
            raise problem(
                name,
                f"{shard.name} is in {store.url}/{index_json.NAME} but missing, or the pattern leaves it out",
            )
        if found.size != shard.bytes:
            raise problem(name, f"{shard.name} has {found.size} bytes, the index says {shard.bytes}")
        if found.crc32c not in (None, shard.crc32c):
            raise problem(name, f"{shard.name} has the crc32c {found.crc32c}, the index says {shard.crc32c}")
        look.know(File(shard.name, shard.bytes, shard.crc32c, found.generation if remote else None))
    known = {shard.name for shard in index.shards}
    extra = next((found for found in there if found not in known and ".tfrecord" in found), None)
    if extra:
        raise problem(
            name, f"{extra} is not in {store.url}/{index_json.NAME}, expected that set's shards only"
        )


def _verified(name: str, store: Store, file: index_json.File) -> bytes:
    """A whole object, its checksum compared with the index."""
    content = store.read(file.name)
    found = crc32c(content)
    if found != file.crc32c:
        raise problem(name, f"{file.name} is damaged: its crc32c is {found}, the index says {file.crc32c}")
    return content


def _read_labels(look: Look, store: Store, index: Index) -> Labels | None:
    if index.labels is None:
        return None
    content = _verified(look.name, store, index.labels)
    look.saw(index.labels.name, content)
    try:
        labels = np.load(io.BytesIO(content), allow_pickle=False)
    except Exception as error:  # its sum is right: whoever wrote it did not write an array
        raise problem(look.name, f"{index.labels.name} is no NumPy array: {error}") from error
    return np.asarray(labels, np.int64)
