"""A picture, the latent that comes nearest to it, and what is written of both."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from trainer.errors import ConfigError
from trainer.evaluation.choosing import choose
from trainer.evaluation.features import Network
from trainer.inversion.descent import Found, descend
from trainer.inversion.request import Request, fitted
from trainer.pictures.grid import encode_png, tile
from trainer.sampling import drawing
from trainer.sampling.generate import Opened, open_generator
from trainer.sampling.origin import Origin
from trainer.storage.limits import refused
from trainer.storage.whole_file import whole_file

LATENT, PICTURE, DISTANCES = "latent.npy", "projection.png", "distances.json"


def network_for(request: Request, shape: tuple[int, int, int]) -> Network:
    """The feature network that was asked for, or that fits.

    Raises:
        UserError: there is none of that name, or none whose gradients are known.
    """
    if request.features is not None and request.features.partition("@")[0] not in ("digits", "lite0", "none"):
        raise ConfigError(f"--features {request.features}: expected digits, lite0, lite0@SIDE or none")
    return choose(request.features, shape)


def project(
    origin: Origin, where: str, content: bytes, request: Request, average: bool = True
) -> tuple[dict[str, Any], Found, np.ndarray]:
    """Look for a picture among those that a generator draws.

    Returns:
        What distances.json says, what was found, and the picture as the generator would have it.

    Raises:
        UserError: the picture, the generator or the request is wrong.
    """
    opened = open_generator(origin, average)
    height, width, channels = opened.generator.output_shape[1:]
    target = fitted(where, content, (height, width, channels))
    labels = _labels(opened, request)
    network = network_for(request, (height, width, channels))
    found = descend(opened.generator, target, opened.about.latent_size, labels, network, request)
    return _told(origin, opened, where, request, labels, network, found), found, target


def write(out: Path, told: dict[str, Any], found: Found, target: np.ndarray) -> None:
    """Write latent.npy, projection.png (the picture, and beside it the nearest image) and distances.json.

    Raises:
        UserError: the folder cannot be written to.
    """
    best = found.best
    pair = encode_png(tile(np.stack([target, found.images[best]]), 1, 2))
    try:
        out.mkdir(exist_ok=True)
        with whole_file(out / LATENT) as file:
            np.save(file, found.latents[best : best + 1])
        for name, text in ((PICTURE, pair), (DISTANCES, json.dumps(told, indent=2).encode())):
            with whole_file(out / name) as file:
                file.write(text)
    except OSError as error:
        raise refused(f"--out {out}", error) from error


def _labels(opened: Opened, request: Request) -> np.ndarray | None:
    about = opened.about
    wanted = drawing.class_number(about, request.of_class)
    if not about.classes:
        return None
    if wanted is None:
        return np.arange(request.starts, dtype=np.int32) % about.classes
    return np.full(request.starts, wanted, np.int32)


def _told(
    origin: Origin,
    opened: Opened,
    where: str,
    request: Request,
    labels: np.ndarray | None,
    network: Network,
    found: Found,
) -> dict[str, Any]:
    best = found.best
    return {
        "picture": where,
        "generator": origin.url,
        "step": opened.step,
        "seed": request.seed,
        "updates": request.updates,
        "rate": request.rate,
        "features": network.label if network.weights else None,
        "feature_weight": request.feature_weight if network.weights else 0.0,
        "best": best,
        "class": None if labels is None else int(labels[best]),
        "pixels": float(found.pixels[-1, best]),
        "feature_distance": float(found.features[-1, best]) if network.weights else None,
        "starts": [
            {
                "class": None if labels is None else int(labels[start]),
                "distances": found.distances[:, start].astype(float).tolist(),
                "pixels": found.pixels[:, start].astype(float).tolist(),
            }
            for start in range(request.starts)
        ],
    }
