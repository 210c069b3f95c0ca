"""Images of a run's data that it is judged by and never trains on.

Which these are is a function of each image's own pixels, so that an image that is added moves no other one
across, its copies are on its side, and every worker finds the same ones without a word between them.
"""

import hashlib
from typing import NamedTuple

import numpy as np

from trainer.config import RunConfig
from trainer.data.idx import open_test
from trainer.data.look import Look
from trainer.data.pin import Pin, seen
from trainer.data.registry import open_source
from trainer.data.sources import ArraySource, Images, ImageSource, problem, require_labels
from trainer.survey import resolve

TEST = "test"
"""As `data.holdout_source`: the test files beside those of an ``idx:`` folder."""
_PERSON = b"gantry holdout"  # of the hash: another purpose would have other numbers
_LEAST = 2  # an image for each half


class HeldOut(NamedTuple):
    """Images that the discriminator never sees."""

    source: ArraySource
    second: np.ndarray
    """Which of them are of the second half, bool [count]: by the first the best is chosen, by the second it
    is reported."""
    fingerprint: str
    """crc32c of the files that they are from."""

    @property
    def halves(self) -> tuple[Images, Images]:
        """The images of both halves."""
        first, second = (self.source.read(np.flatnonzero(self.second == which)) for which in (False, True))
        return first, second


def numbers(images: Images) -> np.ndarray:
    """A number of each image's content, uint64 [n], as if drawn evenly."""
    digests = (
        hashlib.blake2b(image.tobytes(), digest_size=8, person=_PERSON).digest()
        for image in np.ascontiguousarray(images)
    )
    return np.frombuffer(b"".join(digests), "<u8")


def split(source: ArraySource, share: float, fingerprint: str) -> tuple[ArraySource, HeldOut]:
    """What is trained on, and what is held out.

    Raises:
        DataError: one of the halves of it, or all else, would have no image.
    """
    found = numbers(source.load())
    held = (found >> np.uint64(1)) < np.uint64(share * 2**63)
    second = (found & np.uint64(1)).astype(bool)
    halves = [int((second[held] == which).sum()) for which in (False, True)]
    if min(halves) == 0 or held.all():
        raise problem(
            source.name,
            f"data.holdout {share:g} of {source.count} images are {held.sum()}, expected {_LEAST} or more "
            "and some to train on",
        )
    return _part(source, ~held), HeldOut(_part(source, held), second[held], fingerprint)


def _part(source: ArraySource, which: np.ndarray) -> ArraySource:
    labels = None if source.labels is None else source.labels[which]
    part = ArraySource(source.name, source.load()[which], None, labels, source.label_names)
    part.label_problem = source.label_problem
    return part


def own(config: RunConfig, pin: Pin) -> HeldOut:
    """The set of its own that `data.holdout_source` names.

    Args:
        config: what the run is.
        pin: the data that it trains on.

    Raises:
        DataError: it is not there, of another shape, or has no labels where the run needs them.
    """
    name = str(config.data.holdout_source)
    look = Look(labels=config.data.labels != "none", labelled=config.labelled)
    if name == TEST:
        look.name = pin.source
        opened: ImageSource = open_test(pin.source.partition(":")[2], look)
        if opened.shape != config.image.shape:
            opened = ArraySource(opened.name, opened.load(), config.image.shape)
    else:
        name = resolve(name)
        opened = open_source(name, config.image.shape, look=look)
    if config.conditioning.on:
        require_labels(opened)
    whole = opened.gather()
    second = (numbers(whole.load()) & np.uint64(1)).astype(bool)
    if second.all() or not second.any():
        raise problem(name, f"{whole.count} images are held out, expected {_LEAST} or more that differ")
    return HeldOut(whole, second, seen(name, whole.count, look).fingerprint)
