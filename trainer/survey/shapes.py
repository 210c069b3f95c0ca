"""Shapes of images, and whether a set's are what a model needs."""

from collections.abc import Iterable

from trainer.survey.files import problem

Shape = tuple[int, int, int]
"""Height, width and channels."""

KNOWN: dict[str, tuple[int, Shape, int]] = {
    "digits": (5_000, (28, 28, 1), 10),
    "keras:mnist": (60_000, (28, 28, 1), 10),
    "keras:fashion_mnist": (60_000, (28, 28, 1), 10),
    "keras:cifar10": (50_000, (32, 32, 3), 10),
    "keras:cifar100": (50_000, (32, 32, 3), 100),
}
"""Images, their shape and how many labels they have, of the sets that everybody has."""


def check_shape(name: str, shape: Shape, wanted: Shape | None) -> None:
    """Raise `DataError` unless the set's images have the shape the model needs (None: any with C 1 or 3)."""
    if shape[2] not in (1, 3):
        raise problem(name, f"images are {by(shape)}, expected 1 channel (grey) or 3 (RGB)")
    if wanted is not None and shape != wanted:
        fields = zip(("height", "width", "channels"), shape, strict=True)
        settings = " ".join(f"image.{field}={value}" for field, value in fields)
        raise problem(name, f"images are {by(shape)}, the model needs {by(wanted)}; set {settings}")


def by(shape: Iterable[int]) -> str:
    """A shape for people: 28x28x1."""
    return "x".join(str(size) for size in shape)
