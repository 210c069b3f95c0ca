"""What a set holds, in numbers and as a picture."""

from collections.abc import Collection
from dataclasses import dataclass, field

import numpy as np

from trainer.data.look import Look
from trainer.data.sources import Images, ImageSource, Shape
from trainer.pictures.grid import tile

_CHUNK = 1024  # images looked at together: 12 MiB at 64x64 RGB, 100 MiB while they are counted
_SAMPLE = 256  # images of a set whose values are looked at before a run
_DARK = 32  # a range below this, or as near to white, is a quarter of the way to grey


@dataclass(frozen=True)
class Summary:
    """A set in numbers."""

    source: str
    """The source as the user wrote it."""
    count: int
    """Images."""
    shape: Shape
    """Height, width and channels."""
    value_range: tuple[int, int]
    """Darkest and brightest value of any channel, of 0 to 255."""
    labels: dict[str, int] | None
    """Images with each label, in the order of the labels; None when the set has none."""
    nbytes: int
    """Bytes in memory."""
    streamable: bool
    """Whether the set can be streamed from its shards."""
    notes: list[str] = field(default_factory=list)
    """What is surely not meant."""
    damaged: dict[str, str] = field(default_factory=dict)
    """Files that cannot be read, and why; they are counted, and nothing else of them is."""


def show(source: ImageSource, look: Look | None = None) -> Summary:
    """Count and measure a set; every image is read once, and the damaged ones are told, with those of `look`.

    Raises:
        DataError: a set of one file or of prepared shards is damaged.
    """
    levels: set[int] = set()
    lost = dict(look.damaged) if look else {}
    damaged: dict[str, str] = {}
    for start in range(0, source.count, _CHUNK):
        images, broken = source.attempt(np.arange(start, min(start + _CHUNK, source.count)))
        damaged |= broken
        if len(broken) < len(images):
            levels |= _levels(images)
    levels = levels or {0}
    return Summary(
        source=source.name,
        count=source.count + len(lost),
        shape=source.shape,
        value_range=(min(levels), max(levels)),
        labels=_count_labels(source),
        nbytes=source.nbytes,
        streamable=source.streamable,
        notes=_oddities(levels) if not damaged else [],
        damaged=lost | damaged,
    )


def oddities(source: ImageSource) -> list[str]:
    """What is legal and surely not meant about a set's values, a line each; it is sampled."""
    ids = np.linspace(0, source.count - 1, min(source.count, _SAMPLE)).astype(np.int64)
    return _oddities(_levels(source.read(ids)))


def _levels(images: Images) -> set[int]:
    """The values that occur."""
    return set(np.flatnonzero(np.bincount(images.reshape(-1), minlength=256)).tolist())


def _oddities(levels: Collection[int]) -> list[str]:
    low, high = min(levels), max(levels)
    if low == high:
        return [f"every value is {low}: there is nothing to learn but one shade"]
    if low == 0 and high == 1:
        return ["values are 0 and 1 of 0 to 255, which is black: 1-bit data is stored as 0 and 255"]
    if high < _DARK:
        return [f"values are {low} to {high} of 0 to 255, which is nearly black"]
    if low > 255 - _DARK:
        return [f"values are {low} to {high} of 0 to 255, which is nearly white"]
    return []


def example_grid(source: ImageSource, rows: int, columns: int) -> Images:
    """Images spread evenly over the set, tiled: sets are often sorted by label.

    Args:
        source: the set.
        rows: images below one another.
        columns: images beside one another.

    Returns:
        uint8 [height, width, C]; see `trainer.pictures.grid.tile`. A set of fewer images leaves places empty.
    """
    wanted = min(rows * columns, source.count)
    ids = np.linspace(0, source.count - 1, wanted).astype(np.int64)
    return tile(source.attempt(ids)[0], rows, columns)


def _count_labels(source: ImageSource) -> dict[str, int] | None:
    if source.labels is None:
        return None
    names = source.label_names or ()
    counts = np.bincount(source.labels, minlength=len(names))
    return {
        names[label] if label < len(names) else str(label): int(count) for label, count in enumerate(counts)
    }
