"""What a set holds, in numbers and as a picture."""

from dataclasses import dataclass

import numpy as np

from trainer.data.sources import Images, ImageSource, Shape
from trainer.grid import tile

_CHUNK = 4096  # images looked at together: 48 MiB at 64x64 RGB


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


def show(source: ImageSource) -> Summary:
    """Count and measure a set; every image is read once.

    Raises:
        DataError: an image is damaged.
    """
    low, high = 255, 0
    for start in range(0, source.count, _CHUNK):
        images = source.read(np.arange(start, min(start + _CHUNK, source.count)))
        low, high = min(low, int(images.min())), max(high, int(images.max()))
    return Summary(
        source=source.name,
        count=source.count,
        shape=source.shape,
        value_range=(low, high),
        labels=_count_labels(source),
        nbytes=source.nbytes,
        streamable=source.streamable,
    )


def example_grid(source: ImageSource, rows: int, columns: int) -> Images:
    """Images spread evenly over the set, tiled: sets are often sorted by label.

    Args:
        source: the set.
        rows: images below one another.
        columns: images beside one another.

    Returns:
        uint8 [height, width, C]; see `trainer.grid.tile`. A set of fewer images leaves places empty.
    """
    wanted = min(rows * columns, source.count)
    ids = np.linspace(0, source.count - 1, wanted).astype(np.int64)
    return tile(source.read(ids), rows, columns)


def _count_labels(source: ImageSource) -> dict[str, int] | None:
    if source.labels is None:
        return None
    names = source.label_names or ()
    counts = np.bincount(source.labels, minlength=len(names))
    return {
        names[label] if label < len(names) else str(label): int(count) for label, count in enumerate(counts)
    }
