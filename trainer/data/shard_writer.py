"""Turning any source into TFRecord shards that can be streamed."""

import io
import math
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

from trainer.config import BLOCK
from trainer.data import index as index_json
from trainer.data.folder import FolderSource
from trainer.data.index import File, Index, Shard
from trainer.data.look import Look
from trainer.data.records import FRAME_BYTES, framed
from trainer.data.registry import open_source
from trainer.data.sources import ImageSource, Shape, problem
from trainer.environment.paths import expanded
from trainer.errors import DataError, DiskFull, StorageError
from trainer.storage import LocalStore, Store, crc32c, open_store
from trainer.storage.limits import naming, told
from trainer.survey.files import LABELS as _LABELS


def prepare(
    source: str,
    target: str,
    *,
    shape: Shape | None = None,
    shard_images: int = 4096,
    progress: Callable[[int, int], None] = lambda done, total: None,
    look: Look | None = None,
) -> Index:
    """Write a set as TFRecord shards with an index. Example: ``prepare("images:faces", "tfrecord:gs://b/faces")``.

    The shards hold tf.train.Example records: ``image`` (raw uint8), ``shape`` (height, width, channels) and,
    if the set has them, ``label``. ``labels.npy`` repeats the labels, and ``index.json``, written last, says
    where each block of 256 images begins. The same source gives the same bytes.

    Args:
        source: what to read, any of the kinds in `trainer.config.sources`.
        target: ``tfrecord:<folder or gs://bucket/prefix>``; made when it is not there.
        shape: height, width and channels wanted; None takes the set's own.
        shard_images: images in each shard but the last, a multiple of 256.
        progress: called with the images written so far and their total, after each block.
        look: how the source is read, and where it is noted what was found.

    Raises:
        DataError: the source is wrong, or the target holds a set already.
        AccessError: the target may not be written.
        StorageError: writing failed.
    """
    store = _open_target(target)
    if shard_images < BLOCK or shard_images % BLOCK:
        raise DataError(f"shard_images is {shard_images}, expected a multiple of {BLOCK}")
    images = open_source(source, shape, look=look)
    if isinstance(images, FolderSource):
        images = images.sound()  # every file is read once before the first shard is written
    names = _names(images.count, shard_images)
    _refuse_leftovers(target, store, names)
    _check_index(images, names, shard_images)
    _check_room(target, store, images)
    shards = []
    with (
        naming(f"scratch folder {tempfile.gettempdir()}"),
        tempfile.TemporaryDirectory(prefix="gantry-") as folder,
    ):
        for number, name in enumerate(names):
            span = range(number * shard_images, min((number + 1) * shard_images, images.count))
            path = Path(folder) / name
            shards.append(_write_shard(images, path, span, progress))
            store.upload(name, path)
            path.unlink()
    index = Index(
        count=images.count,
        shape=images.shape,
        label_names=images.label_names,
        labels=_write_labels(store, images),
        shards=tuple(shards),
    )
    store.write(index_json.NAME, index.model_dump_json(indent=1).encode(), if_generation=0)
    return index


def _check_index(images: ImageSource, names: list[str], shard_images: int) -> None:
    """Make the index of shards that are still to come: what it would refuse is known before they are written.

    Raises:
        DataError: it cannot hold what the set has.
    """
    counts = [min(shard_images, images.count - start) for start in range(0, images.count, shard_images)]
    shards = [
        Shard(
            name=name,
            records=count,
            bytes=shard_images,
            crc32c="",
            blocks=tuple(range(math.ceil(count / BLOCK))),
        )
        for name, count in zip(names, counts, strict=True)
    ]
    try:
        draft = Index(
            count=images.count, shape=images.shape, label_names=images.label_names, shards=tuple(shards)
        )
        draft.model_dump_json()
    except ValueError as error:  # pydantic's errors are
        raise problem(images.name, f"an index of it cannot be written: {error}") from None


def _check_room(target: str, store: Store, images: ImageSource) -> None:
    """Refuse a disk that cannot hold the shards, or a scratch folder that cannot hold one.

    Raises:
        DiskFull: naming what is there and what is needed.
    """
    if not isinstance(store, LocalStore):
        return
    folder = Path(store.url).absolute()
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free
    if free < images.nbytes:
        raise DiskFull(
            f"target {target}: {free / 2**20:.0f} MiB are free, and the set takes {images.nbytes / 2**20:.0f}"
        )


def _open_target(target: str) -> Store:
    folder = target.removeprefix("tfrecord:").rstrip("/")
    if not target.startswith("tfrecord:") or not folder or any(mark in folder for mark in "*?"):
        raise DataError(f"target {target}: expected tfrecord:<folder> or tfrecord:gs://<bucket>/<prefix>")
    store = open_store(folder if folder.startswith("gs://") else str(Path(expanded(folder, "target"))))
    store.check()
    if store.stat(index_json.NAME) is not None:
        raise DataError(f"target {target}: holds a set already ({index_json.NAME}), expected an empty folder")
    return store


def _refuse_leftovers(target: str, store: Store, names: list[str]) -> None:
    """Shards of another set would be taken for part of this one."""
    for found in store.list():
        if "/" not in found.name and ".tfrecord" in found.name and found.name not in names:
            raise DataError(f"target {target}: holds {found.name} of another set, expected an empty folder")


def _names(count: int, shard_images: int) -> list[str]:
    total = math.ceil(count / shard_images)
    return [f"shard-{number:05d}-of-{total:05d}.tfrecord" for number in range(total)]


def _write_shard(source: ImageSource, path: Path, span: range, progress: Callable[[int, int], None]) -> Shard:
    """Write a span of images to a local file."""
    blocks, position = [], 0
    try:
        with path.open("wb") as file:
            for start in span[::BLOCK]:
                blocks.append(position)
                stop = min(start + BLOCK, span.stop)
                for record in _records(source, start, stop):
                    file.write(framed(record))
                    position += len(record) + FRAME_BYTES
                progress(stop, source.count)
    except OSError as error:
        text = f"{path}: {(error.strerror or str(error)).lower()}"
        raise told(error, path) or StorageError(text) from error
    size = path.stat().st_size
    if size != position:
        raise StorageError(f"{path}: has {size} bytes, {position} were written")
    return Shard(name=path.name, records=len(span), bytes=size, crc32c=crc32c(path), blocks=tuple(blocks))


def _records(source: ImageSource, start: int, stop: int) -> list[bytes]:
    """Images [start, stop) as serialised tf.train.Example."""
    from trainer.data.example_proto import Example

    records = []
    for number, image in enumerate(source.read(np.arange(start, stop)), start):
        example = Example()
        feature = example.features.feature
        feature["image"].bytes_list.value.append(image.tobytes())
        feature["shape"].int64_list.value.extend(source.shape)
        if source.labels is not None:
            feature["label"].int64_list.value.append(int(source.labels[number]))
        # The order of a map's entries is otherwise left open, and with it the shard's checksum.
        records.append(example.SerializeToString(deterministic=True))
    return records


def _write_labels(store: Store, source: ImageSource) -> File | None:
    if source.labels is None:
        return None
    content = io.BytesIO()
    np.save(content, source.labels, allow_pickle=False)
    store.write(_LABELS, content.getvalue())
    return File(name=_LABELS, bytes=len(content.getvalue()), crc32c=crc32c(content.getvalue()))
