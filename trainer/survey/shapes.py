"""Shapes of images, and whether a set's are what a model needs."""

from collections.abc import Iterable
from typing import NamedTuple

from trainer.survey.files import problem

Shape = tuple[int, int, int]
"""Height, width and channels."""


class Known(NamedTuple):
    """A set that everybody has."""

    images: int
    shape: Shape | None
    """None where pictures are fitted to the model's, which has to be square."""
    labels: int
    labelled: int | None = None
    """Images that have a label, where not all have; all are taken, without labels, unless they have to."""

    def taken(self, labelled: bool) -> int:
        """Images of it that count, where all have to have a label or not."""
        return self.labelled if labelled and self.labelled else self.images


KNOWN: dict[str, Known] = {
    "digits": Known(5_000, (28, 28, 1), 10),
    "emoji": Known(4_009, None, 9, labelled=1_898),
    "keras:mnist": Known(60_000, (28, 28, 1), 10),
    "keras:fashion_mnist": Known(60_000, (28, 28, 1), 10),
    "keras:cifar10": Known(50_000, (32, 32, 3), 10),
    "keras:cifar100": Known(50_000, (32, 32, 3), 100),
}
"""By source."""


def check_shape(name: str, shape: Shape, wanted: Shape | None) -> None:
    """Raise `DataError` unless the set's images have the shape the model needs (None: any with C 1 or 3)."""
    if shape[2] not in (1, 3):
        raise problem(name, f"images are {by(shape)}, expected 1 channel (grey) or 3 (RGB)")
    if wanted is not None and shape != wanted:
        fields = zip(("height", "width", "channels"), shape, strict=True)
        settings = " ".join(f"image.{field}={value}" for field, value in fields)
        raise problem(name, f"images are {by(shape)}, the model needs {by(wanted)}; set {settings}")


def check_square(name: str, shape: Shape) -> None:
    """Raise `DataError` unless a shape to which square pictures are fitted is square."""
    if shape[0] != shape[1]:
        raise problem(
            name,
            f"pictures are square, the model needs {by(shape)}; set image.height and image.width to the same",
        )


def by(shape: Iterable[int]) -> str:
    """A shape for people: 28x28x1."""
    return "x".join(str(size) for size in shape)
