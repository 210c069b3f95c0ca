"""Images from a run that is finished or still going: the command ``sample``."""

import math
import sys
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from trainer import randomness
from trainer.config import RunConfig
from trainer.errors import UserError
from trainer.networks.keras_builder import build, named_variables
from trainer.run import checkpoints
from trainer.sampling import drawing
from trainer.sampling.drawing import Request
from trainer.sampling.sampler import sampler
from trainer.sampling.shown import Shown
from trainer.storage import Store

_BATCH = 256  # images drawn at once, to bound memory


def generate(store: Store, request: Request) -> np.ndarray:
    """Images of a run as uint8 [count, height, width, channels].

    Raises:
        UserError: there is no run, no such checkpoint, or the request is out of range.
    """
    known = drawing.check(store, request)
    generator = load(store, known.config, request.step, request.average).generator
    return draw(generator, _latents(known.config, request), drawing.labels(known, request))


def draw(generator: keras.Model, latents: tf.Tensor, labels: Any = None) -> np.ndarray:
    """Images of latents [n, latent_size], and of labels int32 [n] where there are any, some at a time."""
    sample, found = sampler(generator), []
    for start in range(0, len(latents), _BATCH):
        part = slice(start, start + _BATCH)
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


def _latents(config: RunConfig, request: Request) -> tf.Tensor:
    """Latents [count, latent_size]."""
    size = config.network.latent_size
    if request.interpolate is not None:
        first, last = (randomness.sample_latents(seed, 1, size)[0].numpy() for seed in request.interpolate)
        latents = _slerp(first, last, request.count)
    else:
        seed = config.seed if request.seed is None else request.seed
        latents = randomness.sample_latents(seed, request.count, size).numpy()
    if request.truncation is not None:
        latents = truncate(latents, request.truncation)
    return tf.constant(latents, tf.float32)


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
