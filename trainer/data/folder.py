"""``images:<folder>``: files with a picture each, with sub-folders for labels."""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trainer.data.look import Look, printable
from trainer.data.pixels import ENDINGS, decode
from trainer.data.sources import (
    ArraySource,
    Damage,
    Images,
    ImageSource,
    Labels,
    Shape,
    checked_ids,
    reading,
)
from trainer.survey.files import no_pictures, picture_folder, pictures
from trainer.survey.telling import left_out_text

_THREADS = min(16, os.cpu_count() or 1)  # Pillow lets go of the interpreter lock while it decodes
_CHUNK = 1024  # images of a check at once: 12 MiB at 64x64 RGB


class FolderSource(ImageSource):
    """Files that are decoded when they are read, in the order of their paths.

    Args:
        folder: where the files lie.
        files: their paths below `folder`, with forward slashes.
        shape: what every image is fitted to.
        look: notes what is read.
        labels: as for `ImageSource`.
        label_names: as for `ImageSource`.
    """

    def __init__(
        self,
        folder: Path,
        files: Sequence[str],
        shape: Shape,
        look: Look,
        labels: Labels | None = None,
        label_names: tuple[str, ...] | None = None,
    ) -> None:
        super().__init__(look.name, len(files), shape, labels, label_names)
        self._folder, self._files, self._look = folder, tuple(files), look
        self._prefix = f"{folder}/"

    def read(self, ids: NDArray[np.integer[Any]]) -> Images:
        """Decode some images, several at once."""
        images, damaged = self.attempt(ids)
        if damaged:
            raise self._look.damage(damaged, self.count, self._prefix)
        return images

    def attempt(self, ids: NDArray[np.integer[Any]]) -> tuple[Images, dict[str, str]]:
        """Decode some images; those that cannot be are black, and told."""
        ids = checked_ids(ids, self.count)
        images = np.zeros((len(ids), *self.shape), np.uint8)
        damaged: dict[str, str] = {}

        def place(row: int) -> None:
            file = self._files[ids[row]]
            try:
                images[row] = _decode(self._look, self._folder, file, self.shape)
            except Damage as error:
                damaged[file] = error.why

        with ThreadPoolExecutor(_THREADS) as pool:
            for _ in pool.map(place, range(len(ids))):
                pass  # asking for each result raises the first error, in the order of the ids
        return images, dict(sorted(damaged.items()))

    def gather(self) -> ArraySource:
        """The whole set in memory; damaged images are left out if that is wanted.

        Raises:
            DataError: some are damaged, or not what was pinned.
        """
        images, damaged = self.attempt(np.arange(self.count))
        self._look.check()
        keep = self._without(damaged)
        labels = None if self.labels is None else self.labels[keep]
        if damaged:  # and no copy of a large set otherwise
            images = images[keep]
        return ArraySource(self.name, images, None, labels, self.label_names)

    def sound(self) -> "FolderSource":
        """The set without its damaged images, if they may be left out; every file is read once.

        Raises:
            DataError: some are damaged.
        """
        damaged: dict[str, str] = {}
        for start in range(0, self.count, _CHUNK):
            damaged |= self.attempt(np.arange(start, min(start + _CHUNK, self.count)))[1]
        keep = self._without(damaged)
        if not damaged:
            return self
        files = [file for file, kept in zip(self._files, keep, strict=True) if kept]
        labels = None if self.labels is None else self.labels[keep]
        return FolderSource(self._folder, files, self.shape, self._look, labels, self.label_names)

    def _without(self, damaged: dict[str, str]) -> NDArray[np.bool_]:
        """Which images are left, as a mask."""
        self._look.sort_out(damaged, self.count, self._prefix)
        return np.array([file not in damaged for file in self._files])


def open_images(folder: str, shape: Shape | None, look: Look) -> FolderSource:
    """The pictures below a folder, hidden ones left out. Example: ``images:data/flowers``.

    Every image is converted to grey or RGB, scaled to cover the shape and cropped around its centre (see
    `trainer.data.pixels.decode`). If the files lie in sub-folders, the first one on the way to a file is its
    label. Without a shape, that of the first image that can be read is taken.

    Raises:
        DataError: no folder, or no images in it.
        AccessError: the folder or a file may not be read.
    """
    name = look.name
    path = picture_folder(name, folder)
    with reading(name, path):
        files = look.choose(pictures(path, look.leave_out, ENDINGS))
    if not files:
        raise no_pictures(name, path, left_out_text(look.left_out), ENDINGS)
    shape = shape or _first_shape(look, path, files)
    look.admit(len(files) * int(np.prod(shape)))
    return FolderSource(path, files, shape, look, *_labels(files, look))


def _decode(look: Look, folder: Path, file: str, shape: Shape | None) -> Images:
    path = folder / file
    with reading(look.name, path):
        content = path.read_bytes()
    look.saw(file, content)
    return decode(look.name, str(path), content, shape, lambda: look.has_colours(file))


def _first_shape(look: Look, folder: Path, files: Sequence[str]) -> Shape:
    for place, file in enumerate(files):
        try:
            height, width, channels = _decode(look, folder, file, None).shape
            return height, width, channels
        except Damage:
            if place == len(files) - 1:
                raise
    raise AssertionError("no files")


def _labels(files: Sequence[str], look: Look) -> tuple[Labels | None, tuple[str, ...] | None]:
    loose = [file for file in files if "/" not in file]
    if len(loose) == len(files) or not look.labels:
        return None, None
    if loose:
        look.no_labels(
            f"{len(loose)} of {len(files)} images, the first {loose[0]}, lie beside the sub-folders that "
            "would be the labels (data.labels=none says that they are none)"
        )
        return None, None
    names, labels = np.unique([file.partition("/")[0] for file in files], return_inverse=True)
    return labels.astype(np.int64), tuple(printable(str(label)) for label in names)
