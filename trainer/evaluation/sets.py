"""The sets of real images that samples are compared with, and what a network sees in them."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from trainer.config.sources import parse_source
from trainer.data import ImageSource, Look, open_source, resolve_latest, seen
from trainer.data.dataset import Accept, pinned
from trainer.data.dataset import look as look_at
from trainer.data.sources import ArraySource, by
from trainer.errors import UserError
from trainer.evaluation import features, reference
from trainer.run.record import Record
from trainer.storage import Store

_BLOCK = 4096  # images of a set that are in memory at once, where it is not there as a whole


class Set(NamedTuple):
    """A set of real images."""

    source: ImageSource
    fingerprint: str

    def __str__(self) -> str:
        return f"{self.source.name}, {self.source.count} images, crc32c {self.fingerprint}"


def training(store: Store, known: Record) -> tuple[Set, Set | None]:
    """The set that the run trains on, with the files that it began with, and what it holds out."""
    found = look_at(known.config, pinned(store, known), Accept(), lambda _: None)
    held = found.held_out
    return Set(found.source, found.pin.fingerprint), Set(held.source, held.fingerprint) if held else None


def given(option: str, source: str | None, known: Record) -> Set | None:
    """A set that was asked for, of the shape of the run's images.

    Raises:
        UserError: it cannot be read, or is of another shape.
    """
    if source is None:
        return None
    look, wanted = Look(), known.config.image.shape
    name = resolve_latest(source)
    fitted = parse_source(name)[0] == "images"  # others have a shape
    try:
        opened = open_source(name, wanted if fitted else None, look=look)
    except UserError as error:
        raise UserError(f"{option} {str(error).removeprefix('data.source ')}") from None
    if opened.shape != wanted:
        raise UserError(
            f"{option} {source}: images are {by(opened.shape)}, expected {by(wanted)} as the run's"
        )
    return Set(opened, seen(name, opened.count, look).fingerprint)


def blocks(source: ImageSource, ids: np.ndarray) -> Iterator[np.ndarray]:
    """Some of a set's images, some at a time."""
    return (source.read(ids[start : start + _BLOCK]) for start in range(0, len(ids), _BLOCK))


def chosen(source: ImageSource, most: int) -> np.ndarray:
    """Which of a set's images are looked at, `most` at most, see `reference.chosen`."""
    return reference.chosen(source.count, most, isinstance(source, ArraySource))


def seen_in(look: features.Look, source: ImageSource, ids: np.ndarray) -> features.Seen:
    """What the network sees in some of a set's images."""
    return features.joined([look(block) for block in blocks(source, ids)])
