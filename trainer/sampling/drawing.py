"""What the command `sample` is asked to draw, checked against what the generator takes."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from trainer.config import MOST_ROWS
from trainer.errors import UserError
from trainer.run.record import Record
from trainer.sampling.numbers import MOST


@dataclass(frozen=True)
class Request:
    """What to draw."""

    seed: int | None = None
    """Seed of the latents; None for the run's, whose first images are those of its grids."""
    count: int = 25
    """Number of images; of a way, from its one end to the other."""
    truncation: float | None = None
    """Largest magnitude of a latent's entries (the truncation trick, Brock et al. 2018, arXiv:1809.11096)."""
    interpolate: tuple[int, int] | None = None
    """Two seeds: draw the way from the one's first latent to the other's instead."""
    average: bool = True
    """Whether the average of the weights draws, where the run keeps one, or the last weights."""
    of_class: str | None = None
    """Number or name of the class to draw; None for every class in turn, where the run has labels."""
    seeds: tuple[int, ...] | None = None
    """One image of each of these, whatever the others are; of each class where labels are taken and none was
    named."""
    walk: int | None = None
    """Frames from each seed's image to the next one's, and from the last back to the first."""


class About(NamedTuple):
    """What has to be known of a generator to ask it for images."""

    latent_size: int
    classes: int = 0
    """That it takes; 0 for one without labels."""
    names: tuple[str, ...] = ()
    """What the set calls them; none where that was not written down."""
    seed: int = 0
    """Of its latents, where none is asked for."""


def of_run(known: Record) -> About:
    """What a run's record says of its generator."""
    config = known.config
    classes = config.conditioning.classes if config.conditioning.on else 0
    return About(config.network.latent_size, classes, class_names(known), config.seed)


def check(about: About, request: Request) -> None:
    """Refuse what cannot be drawn.

    Raises:
        UserError: the request is out of range, or asks for a class that is not there.
    """
    if request.count < 1:
        raise UserError(f"--count {request.count}: expected 1 or more")
    if request.truncation is not None and request.truncation <= 0:
        raise UserError(f"--truncation {request.truncation}: expected more than 0")
    class_number(about, request.of_class)
    _check_ways(about, request)
    _check_number(about, request)


def _check_ways(about: About, request: Request) -> None:
    """Of images between seeds."""
    if request.walk is not None:
        if request.walk < 1:
            raise UserError(f"--walk {request.walk}: expected 1 or more frames between two seeds")
        if len(request.seeds or ()) < 2:
            raise UserError(f"--walk {request.walk}: expected two seeds or more, --seeds 0-3 say")
    for option, given in (("--walk", request.walk), ("--interpolate", request.interpolate)):
        if given and about.classes and request.of_class is None:
            raise UserError(
                f"{option}: expected --class with it, as the generator takes labels: a way lies in one class"
            )


def _check_number(about: About, request: Request) -> None:
    """Of what is drawn of seeds, and of the rows of its sheet."""
    if request.seeds is None:
        return
    each = request.walk or (about.classes if about.classes and request.of_class is None else 1)
    if len(request.seeds) * each > MOST:
        what = f"--walk {request.walk}" if request.walk else f"{each} classes"
        raise UserError(f"--seeds: {len(request.seeds)} with {what}, expected at most {MOST} images together")


def class_number(about: About, wanted: str | None) -> int | None:
    """The number of a class by its number or its name; None where none is wanted.

    Raises:
        UserError: the generator takes no labels, or there is no such class.
    """
    if wanted is None:
        return None
    if not about.classes:
        raise UserError(f"--class {wanted}: the generator takes no labels (conditioning.kind is none)")
    if wanted in about.names:
        return about.names.index(wanted)
    if wanted.isdecimal() and int(wanted) < about.classes:
        return int(wanted)
    named = f", or one of {', '.join(about.names)}" if about.names else ""
    raise UserError(f"--class {wanted}: expected a number from 0 to {about.classes - 1}{named}")


def class_names(known: Record) -> tuple[str, ...]:
    """What the set calls its classes, in the order of their numbers; none where that was not written down."""
    data = known.values.get("data")
    found = data.get("classes") if isinstance(data, Mapping) else None
    return tuple(map(str, found)) if isinstance(found, list) else ()


class Places(NamedTuple):
    """Which image is drawn where."""

    labels: np.ndarray | None
    """Class of each, int32 [n]; None without labels."""
    columns: int | None
    """Of a grid; None where they are chosen by the number of images."""
    names: tuple[str, ...]
    """Of a file for each; empty for their numbers."""


def places(about: About, request: Request, count: int) -> Places:
    """Of `count` images in the order in which they are drawn: of seeds, class by class."""
    wanted, seeds = class_number(about, request.of_class), request.seeds
    labels: np.ndarray | None = None
    if about.classes and wanted is not None:
        labels = np.full(count, wanted, np.int32)
    elif about.classes and seeds is not None:
        labels = np.repeat(np.arange(about.classes, dtype=np.int32), len(seeds))
    elif about.classes:
        labels = np.arange(count, dtype=np.int32) % about.classes
    if seeds is None or request.walk is not None:
        return Places(labels, _columns(about, request), ())
    crossed = labels is not None and wanted is None
    names = tuple(
        f"seed{seed}" if labels is None else f"seed{seed}-class{label}"
        for label, seed in zip(
            [0] * count if labels is None else labels.tolist(), seeds * (count // len(seeds)), strict=True
        )
    )
    return Places(labels, len(seeds) if crossed else None, names)


def _columns(about: About, request: Request) -> int | None:
    """One for each class, where every class is drawn in turn."""
    in_turn = about.classes and request.of_class is None
    return about.classes if in_turn and request.count >= about.classes <= MOST_ROWS else None


def told(request: Request, labels: np.ndarray | None) -> dict[str, Any]:
    """What was asked for, as ``-o json`` prints it."""
    return {
        "seeds": None if request.seeds is None else [*request.seeds],
        "classes": None if labels is None else [*dict.fromkeys(labels.tolist())],
        "truncation": request.truncation,
        "walk": request.walk,
    }
