"""Images from a run that is finished or still going, or from a generator's file: the command ``sample``."""

import math
import sys
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from trainer import randomness
from trainer.config import RunConfig
from trainer.errors import UserError
from trainer.networks.keras_builder import build, named_variables, portable_generator
from trainer.run import checkpoints
from trainer.sampling import drawing, from_file
from trainer.sampling.drawing import About, Places, Request
from trainer.sampling.origin import Origin
from trainer.sampling.sampler import sampler
from trainer.sampling.shown import Shown
from trainer.storage import Store

_BATCH = 256  # images drawn at once, to bound memory


class Drawn(NamedTuple):
    """Images, and what they are of."""

    images: np.ndarray
    """uint8 [count, height, width, channels]."""
    places: Places
    step: int | None
    """Of the checkpoint; None for a file."""


class Opened(NamedTuple):
    """A generator and what it takes."""

    generator: keras.Model
    about: About
    step: int | None
    """Of its checkpoint; None for a file."""


def generate(origin: Origin, request: Request) -> Drawn:
    """Images of a run, or of a generator's file.

    Raises:
        UserError: there is no such checkpoint, the file is no generator, or the request is out of range.
    """
    if origin.known is not None:  # before a checkpoint is fetched
        drawing.check(drawing.of_run(origin.known), request)
    opened = open_generator(origin, request.average)
    if origin.known is None:
        drawing.check(opened.about, request)
    latents = _latents(opened.about, request)
    crossed = bool(opened.about.classes) and request.of_class is None and request.seeds is not None
    if crossed:
        latents = np.tile(latents, (opened.about.classes, 1))
    places = drawing.places(opened.about, request, len(latents))
    # One by one: the number of images in a batch changes the order of additions, and so their last bits.
    at_once = 1 if request.seeds is not None and request.walk is None else _BATCH
    images = draw(opened.generator, tf.constant(latents), places.labels, at_once)
    return Drawn(images, places, opened.step)


def open_generator(origin: Origin, average: bool = True) -> Opened:
    """The generator with its weights.

    Raises:
        UserError: there is no such checkpoint, or the file is no generator.
    """
    if origin.known is None:
        generator = from_file.load(origin)
        return Opened(generator, from_file.about(generator, origin), None)
    loaded = load(origin.store, origin.known.config, origin.step, average)
    return Opened(loaded.generator, drawing.of_run(origin.known), loaded.step)


def portable(origin: Origin, average: bool = True) -> tuple[keras.Model, int | None]:
    """The generator of Keras' own layers, and the step of its weights; as it is, if it is of a file.

    Raises:
        UserError: as `open_generator`.
    """
    opened = open_generator(origin, average)
    if origin.known is None:
        return opened.generator, None
    return portable_generator(origin.known.config, opened.generator.get_weights()), opened.step


def draw(generator: keras.Model, latents: tf.Tensor, labels: Any = None, at_once: int = _BATCH) -> np.ndarray:
    """Images of latents [n, latent_size], and of labels int32 [n] where there are any, some at a time."""
    sample, found = sampler(generator), []
    for start in range(0, len(latents), at_once):
        part = slice(start, start + at_once)
        of = None if labels is None else tf.constant(labels[part])
        found.append(sample(latents[part], of))
    return np.concatenate(found)


class Loaded(NamedTuple):
    """A generator as a checkpoint has it."""

    generator: keras.Model
    step: int
    is_average: bool
    """Whether its weights are the average that the run keeps."""


def load(store: Store, config: RunConfig, step: int | None, average: bool) -> Loaded:
    """The generator of a run's checkpoint, the newest whole one where `step` is None.

    Raises:
        UserError: there is none.
    """
    if step is None:
        found = checkpoints.newest(store, lambda text: print(f"warning: {text}", file=sys.stderr, flush=True))
        if found is None:
            raise UserError(f"--run-dir {store.url}: there is no whole checkpoint yet")
    else:
        steps = checkpoints.complete_steps(store)
        if step not in steps:
            raise UserError(
                f"--step {step}: there are checkpoints at {', '.join(map(str, sorted(steps))) or 'none'}"
            )
        found = checkpoints.read(store, step)
    generator = build(config).generator
    for name, variable in named_variables(generator).items():
        variable.assign(found.values[name])
    shown = Shown(config, generator, found.values, average)
    shown.refresh()
    return Loaded(shown.generator, found.step, shown.is_average)


def _latents(about: About, request: Request) -> np.ndarray:
    """Latents float32 [count, latent_size]."""
    size = about.latent_size
    if request.seeds is not None:
        each = randomness.latents_of_seeds(request.seeds, size).numpy()
        latents = each if request.walk is None else looped(each, request.walk)
    elif request.interpolate is not None:
        first, last = randomness.latents_of_seeds(request.interpolate, size).numpy()
        latents = _slerp(first, last, request.count)
    else:
        seed = about.seed if request.seed is None else request.seed
        latents = randomness.sample_latents(seed, request.count, size).numpy()
    if request.truncation is not None:
        latents = truncate(latents, request.truncation)
    return latents


def looped(latents: np.ndarray, frames: int) -> np.ndarray:
    """The way through latents [n, size] and back to the first, float32 [n * frames, size].

    Each of them is met once, `frames` after the one before it.
    """
    following = np.roll(latents, -1, axis=0)
    ways = (_slerp(*ends, frames + 1)[:-1] for ends in zip(latents, following, strict=True))
    return np.concatenate([*ways])


def truncate(latents: np.ndarray, limit: float) -> np.ndarray:
    """Latents of N(0, 1) as ones of N(0, 1) cut off at ±limit, entry by entry, keeping their order.

    Each entry goes through the normal distribution function and back through that of the truncated one, so
    a seed's images change smoothly with the limit.
    """
    root2 = math.sqrt(2.0)
    share = tf.math.erf(tf.constant(latents, tf.float64) / root2) * math.erf(limit / root2)
    cut: np.ndarray = np.clip((tf.math.erfinv(share) * root2).numpy(), -limit, limit)
    return cut.astype(np.float32)


def _slerp(first: np.ndarray, last: np.ndarray, count: int) -> np.ndarray:
    """The way between two latents on a great circle (White 2016, arXiv:1609.04468), float32 [count, size].

    A straight line would pass through vectors shorter than any the generator was trained on.
    """
    share = np.linspace(0.0, 1.0, count)[:, np.newaxis]
    cosine = np.dot(first, last) / (np.linalg.norm(first) * np.linalg.norm(last))
    angle = np.arccos(np.clip(cosine, -1.0, 1.0))
    if angle < 1e-6:
        ways: np.ndarray = first + share * (last - first)
    else:
        ways = (np.sin((1 - share) * angle) * first + np.sin(share * angle) * last) / np.sin(angle)
    return ways.astype(np.float32)
