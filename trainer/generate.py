"""Images from a run that is finished or still going: the command ``sample``."""

import math
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tensorflow as tf

from trainer import checkpoints, layout, record, streams
from trainer.config import RunConfig
from trainer.errors import ConfigError, UserError
from trainer.grid import encode_png, tile
from trainer.networks import build, named_variables
from trainer.samples import sampler
from trainer.storage import Store
from trainer.storage.limits import told

_BATCH = 256  # images drawn at once, to bound memory


@dataclass(frozen=True)
class Request:
    """What to draw."""

    step: int | None = None
    """Checkpoint to draw from; None for the newest whole one."""
    seed: int | None = None
    """Seed of the latents; None for the run's, whose first images are those of its grids."""
    count: int = 25
    """Number of images."""
    truncation: float | None = None
    """Largest magnitude of a latent's entries (the truncation trick, Brock et al. 2018, arXiv:1809.11096)."""
    interpolate: tuple[int, int] | None = None
    """Two seeds: draw the way from the one's first latent to the other's instead."""


def generate(store: Store, request: Request) -> np.ndarray:
    """Images of a run as uint8 [count, height, width, channels].

    Raises:
        UserError: there is no run, no such checkpoint, or the request is out of range.
    """
    if request.count < 1:
        raise UserError(f"--count {request.count}: expected 1 or more")
    if request.truncation is not None and request.truncation <= 0:
        raise UserError(f"--truncation {request.truncation}: expected more than 0")
    known = record.read(store)
    if known is None:
        raise UserError(f"--run-dir {store.url}: there is no {layout.RUN}, expected the folder of a run")
    generator = _load(store, known.config, request.step)
    latents = _latents(known.config, request)
    draw = sampler(generator)
    return np.concatenate(
        [draw(latents[start : start + _BATCH]) for start in range(0, request.count, _BATCH)]
    )


def check_target(out: Path) -> None:
    """Refuse a target that `write` could not write.

    Raises:
        ConfigError: the ending is neither .png nor .npz and the path is no folder, or its parent is missing
            or may not be written to.
    """
    if out.suffix not in (".png", ".npz", ""):
        raise ConfigError(f"--out {out}: expected a name ending in .png or .npz, or a folder")
    parent = out.absolute().parent
    if not parent.is_dir():
        raise ConfigError(f"--out {out}: there is no folder {parent}")
    if out.suffix and out.is_dir():
        raise ConfigError(f"--out {out}: is a folder, expected a file, or a folder without an ending")
    if not out.suffix and out.exists() and not out.is_dir():
        raise ConfigError(f"--out {out}: is a file, expected a folder")
    if not os.access(out if out.exists() else parent, os.W_OK):
        raise ConfigError(f"--out {out}: may not be written to")


def write(images: np.ndarray, out: Path) -> None:
    """Write images as one grid (.png), one array (.npz, key ``images``), or one PNG each into a folder.

    Raises:
        UserError: the target cannot be written.
    """
    try:
        _write(images, out)
    except OSError as error:
        text = f"--out {out}: cannot be written: {error.strerror or error}"
        raise told(error, f"--out {out}") or UserError(text) from error


def _write(images: np.ndarray, out: Path) -> None:
    if out.suffix == ".png":
        columns = math.ceil(math.sqrt(len(images)))
        out.write_bytes(encode_png(tile(images, math.ceil(len(images) / columns), columns)))
    elif out.suffix == ".npz":
        np.savez_compressed(out, images=images)
    else:
        out.mkdir(exist_ok=True)
        digits = len(str(len(images) - 1))
        for number, image in enumerate(images):
            (out / f"{number:0{digits}d}.png").write_bytes(encode_png(image))


def _load(store: Store, config: RunConfig, step: int | None) -> tf.keras.Model:
    if step is None:
        found = checkpoints.newest(store, lambda text: print(f"warning: {text}", flush=True))
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
    return generator


def _latents(config: RunConfig, request: Request) -> tf.Tensor:
    """Latents [count, latent_size]."""
    size = config.network.latent_size
    if request.interpolate is not None:
        first, last = (streams.sample_latents(seed, 1, size)[0].numpy() for seed in request.interpolate)
        latents = _slerp(first, last, request.count)
    else:
        seed = config.seed if request.seed is None else request.seed
        latents = streams.sample_latents(seed, request.count, size).numpy()
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
