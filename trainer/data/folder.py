"""``images:<folder>``: PNG and JPEG files, with sub-folders for labels."""

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trainer.data.pixels import decode
from trainer.data.sources import Images, ImageSource, Labels, Shape, checked_ids, local_path, problem, reading

_ENDINGS = (".png", ".jpg", ".jpeg")
_THREADS = min(16, os.cpu_count() or 1)  # Pillow lets go of the interpreter lock while it decodes


class FolderSource(ImageSource):
    """Files that are decoded when they are read, in the order of their paths.

    Args:
        name: as for `ImageSource`.
        folder: where the files lie.
        files: their paths below `folder`, with forward slashes.
        shape: what every image is fitted to.
        labels: as for `ImageSource`.
        label_names: as for `ImageSource`.
    """

    def __init__(
        self,
        name: str,
        folder: Path,
        files: list[str],
        shape: Shape,
        labels: Labels | None,
        label_names: tuple[str, ...] | None,
    ) -> None:
        super().__init__(name, len(files), shape, labels, label_names)
        self._folder, self._files = folder, files

    def read(self, ids: NDArray[np.integer[Any]]) -> Images:
        """Decode some images, several at once."""
        ids = checked_ids(ids, self.count)
        images = np.empty((len(ids), *self.shape), np.uint8)

        def place(row: int) -> None:
            path = self._folder / self._files[ids[row]]
            images[row] = decode(self.name, str(path), path, self.shape)

        with ThreadPoolExecutor(_THREADS) as pool:
            for _ in pool.map(place, range(len(ids))):
                pass  # asking for each result raises the first error, in the order of the ids
        return images


def open_folder(name: str, folder: str, shape: Shape | None) -> FolderSource:
    """The PNG and JPEG files below a folder, hidden ones left out. Example: ``images:data/flowers``.

    Every image is converted to grey or RGB, scaled to cover the shape and cropped around its centre (see
    `trainer.data.pixels.decode`). If the files lie in sub-folders, the first one on the way to a file is its
    label. Without a shape, that of the first image is taken.

    Raises:
        DataError: no folder, no images in it, some images beside the labels' folders, or (with `read`) one
            that is damaged.
        AccessError: the folder or a file may not be read.
    """
    path = local_path(name, folder)
    if not path.is_dir():
        raise problem(name, f"{path} is a file, expected a folder")
    with reading(name, path):
        files = _files(path)
    if not files:
        raise problem(name, f"no images in {path}, expected files ending in {', '.join(_ENDINGS)}")
    labels, label_names = _labels(name, files)
    if shape is None:
        first = path / files[0]
        height, width, channels = decode(name, str(first), first, None).shape
        shape = height, width, channels
    return FolderSource(name, path, files, shape, labels, label_names)


def _files(folder: Path) -> list[str]:
    found = []

    def refuse(error: OSError) -> None:
        raise error

    for parent, folders, names in os.walk(folder, followlinks=True, onerror=refuse):
        folders[:] = [child for child in folders if not child.startswith(".")]
        for name in names:
            if name.lower().endswith(_ENDINGS) and not name.startswith("."):
                found.append((Path(parent) / name).relative_to(folder).as_posix())
    return sorted(found)


def _labels(name: str, files: list[str]) -> tuple[Labels | None, tuple[str, ...] | None]:
    loose = [file for file in files if "/" not in file]
    if len(loose) == len(files):
        return None, None
    if loose:
        raise problem(
            name,
            f"{len(loose)} of {len(files)} images, the first {loose[0]}, lie beside the sub-folders that are "
            "the labels, expected all or none in sub-folders",
        )
    names, labels = np.unique([file.partition("/")[0] for file in files], return_inverse=True)
    return labels.astype(np.int64), tuple(str(label) for label in names)
