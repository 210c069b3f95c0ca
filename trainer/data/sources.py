"""What a source of images is, and what all sources share: their errors, labels and checks of shape."""

from abc import ABC, abstractmethod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trainer.errors import DataError
from trainer.survey.files import local_path, problem, reading
from trainer.survey.shapes import Shape, by, check_shape

Images = NDArray[np.uint8]
"""uint8 [N, H, W, C], 0 black to 255 white."""
Labels = NDArray[np.int64]
"""int64 [N], positions in the source's `label_names`."""

__all__ = [
    "ArraySource", "Damage", "ImageSource", "Images", "Labels", "Shape", "by", "check_shape", "checked_ids",
    "local_path", "problem", "reading", "require_labels", "require_streamable", "tidy_labels",
    "to_unit_range", "unstreamable",
]  # fmt: skip

# Whole numbers below this stay as they are and are named by their digits; others are numbered by rank.
_PLAIN_LABELS = 65536


class ImageSource(ABC):
    """A set of images in a fixed order; `read` and `load` may be called from several threads.

    Args:
        name: the source as the user wrote it, for messages (``npz:faces.npz``).
        count: images in the set, at least 1.
        shape: height, width and channels of every image.
        labels: int64 [count], or None when the set has none.
        label_names: a name for each value of `labels`, or None when the set has none.
    """

    streamable: bool = False
    """Whether `read` fetches a few images at a time from storage: true for indexed TFRecord shards only."""

    def __init__(
        self,
        name: str,
        count: int,
        shape: Shape,
        labels: Labels | None = None,
        label_names: tuple[str, ...] | None = None,
    ) -> None:
        if count < 1:
            raise problem(name, "there are no images, expected at least 1")
        if labels is not None and len(labels) != count:
            raise problem(name, f"{len(labels)} labels for {count} images, expected as many labels as images")
        self.name, self.count, self.shape = name, count, shape
        self.labels, self.label_names = labels, label_names
        self.label_problem = ""
        """Why labels that are there are not used."""

    @property
    def nbytes(self) -> int:
        """Bytes of the whole set in memory, 8 bits for each channel of each pixel."""
        height, width, channels = self.shape
        return self.count * height * width * channels

    @abstractmethod
    def read(self, ids: NDArray[np.integer[Any]]) -> Images:
        """Some images in the order asked for.

        Args:
            ids: positions in the set, integers [n] in [0, count); repeats are allowed.

        Returns:
            uint8 [n, H, W, C].

        Raises:
            IndexError: an id lies outside the set.
            DataError: an image is damaged; the text names its file.
        """

    def attempt(self, ids: NDArray[np.integer[Any]]) -> tuple[Images, dict[str, str]]:
        """Like `read`, but what is damaged is told, by file and why, and its image is black."""
        return self.read(ids), {}

    def gather(self) -> "ArraySource":
        """The whole set in memory.

        Raises:
            DataError: an image is damaged.
        """
        return ArraySource(self.name, self.load(), None, self.labels, self.label_names)

    def load(self) -> Images:
        """The whole set in index order, uint8 [count, H, W, C].

        Raises:
            DataError: an image is damaged; the text names its file.
        """
        return self.read(np.arange(self.count))


class ArraySource(ImageSource):
    """A set that is in memory as one array, uint8 [N, H, W, C].

    Args:
        name: as for `ImageSource`.
        images: the set.
        wanted: the shape that the model needs, None to take the set's own.
        labels: as for `ImageSource`.
        label_names: as for `ImageSource`.

    Raises:
        DataError: the set is empty, has not the wanted shape, or has not as many labels as images.
    """

    def __init__(
        self,
        name: str,
        images: Images,
        wanted: Shape | None = None,
        labels: Labels | None = None,
        label_names: tuple[str, ...] | None = None,
    ) -> None:
        height, width, channels = images.shape[1:]
        super().__init__(name, len(images), (height, width, channels), labels, label_names)
        check_shape(name, self.shape, wanted)
        self._images = images

    def read(self, ids: NDArray[np.integer[Any]]) -> Images:
        """Some images, copied."""
        images: Images = self._images[checked_ids(ids, self.count)]
        return images

    def gather(self) -> "ArraySource":
        """The set itself."""
        return self

    def load(self) -> Images:
        """The set itself, not a copy."""
        return self._images


class Damage(DataError):
    """One image cannot be had from its file; `why` says it without the source and the file."""

    def __init__(self, name: str, where: str, why: str) -> None:
        super().__init__(str(problem(name, f"{where} {why}")))
        self.where, self.why = where, " ".join(why.split())


def checked_ids(ids: NDArray[np.integer[Any]], count: int) -> NDArray[np.integer[Any]]:
    """The ids themselves, or IndexError when one lies outside [0, count)."""
    ids = np.asarray(ids)
    if ids.size and (ids.min() < 0 or ids.max() >= count):
        raise IndexError(f"image ids {ids.min()} to {ids.max()} in a set of {count} images")
    return ids


def tidy_labels(name: str, values: NDArray[Any]) -> tuple[Labels, tuple[str, ...]]:
    """Labels as positions in a list of names, from whole numbers, booleans or strings.

    They are [N], [N, 1] or one-hot. Whole numbers in [0, 65536) stay as they are and are named by their
    digits; other numbers and strings are numbered in sorted order. In one-hot rows the one counts.

    Raises:
        DataError: the labels have another shape or are of another kind.
    """
    if values.ndim == 2 and values.shape[1] > 1 and _is_one_hot(values):
        return np.argmax(values, axis=1).astype(np.int64), tuple(map(str, range(values.shape[1])))
    if values.ndim == 2 and values.shape[1] == 1:
        values = values[:, 0]
    if values.ndim != 1 or values.dtype.kind not in "biuSU":
        raise problem(
            name,
            f"labels are {values.dtype} of shape {by(values.shape)}, "
            "expected one whole number or string for each image",
        )
    if values.dtype.kind in "iu" and values.size and values.min() >= 0 and values.max() < _PLAIN_LABELS:
        return values.astype(np.int64), tuple(str(label) for label in range(int(values.max()) + 1))
    if values.dtype.kind == "S":
        values = np.char.decode(values, "utf-8", "replace")
    names, labels = np.unique(values, return_inverse=True)
    return labels.astype(np.int64), tuple(str(label) for label in names)


def _is_one_hot(values: NDArray[Any]) -> bool:
    """Whether each row has a single one among zeros."""
    if values.dtype.kind not in "biuf":
        return False
    return bool(np.isin(values, (0, 1)).all() and (values.sum(axis=1) == 1).all())


def require_labels(source: ImageSource) -> Labels:
    """The labels of a set, int64 [count], for a model that cannot do without.

    Raises:
        DataError: the set has none.
    """
    if source.labels is None:
        why = source.label_problem or "the set has no labels"
        raise problem(source.name, f"{why}, expected one for each image")
    return source.labels


def require_streamable(source: ImageSource, wanted: str = "") -> None:
    """Raise `DataError` unless the set can be streamed, naming the command that makes one that can.

    Args:
        source: the set.
        wanted: why it is to be streamed, for the message; what it lacks is said when left out.
    """
    if source.streamable:
        return
    lacks = (
        "there is no index.json beside the shards" if source.name.startswith("tfrecord:") else "not shards"
    )
    raise unstreamable(source.name, wanted or lacks)


def unstreamable(name: str, why: str) -> DataError:
    """The error of a set that cannot be streamed, with the command that makes one that can."""
    return problem(
        name,
        f"cannot be streamed ({why}); run 'python -m trainer data prepare {name} tfrecord:<folder>' "
        "and use its shards, or set data.placement=memory",
    )


def to_unit_range(images: Any) -> Any:
    """Scale 8-bit images to what the networks work on: ``x / 127.5 - 1``.

    Args:
        images: uint8 tensor of any shape.

    Returns:
        float32 tensor of the same shape, 0 becoming -1 and 255 becoming 1. Done on the device, where the
        images arrive four times smaller than as floats.
    """
    import tensorflow as tf

    return tf.cast(images, tf.float32) / 127.5 - 1.0
