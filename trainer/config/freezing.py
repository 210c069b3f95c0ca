"""``warm_start.freeze``: which variables its patterns name, by the names that these have in a checkpoint."""

import difflib
from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase
from typing import Protocol

from trainer.networks.builder import Configuration
from trainer.networks.sizes import sizes


def named(patterns: Sequence[str], names: Iterable[str]) -> list[str]:
    """Those of `names` that a pattern names: in full, by the layer or network before a slash, or by a glob.

    ``discriminator`` is all of it, ``generator/up_*`` every layer of such a name, ``*/bias`` every bias.
    """
    return [name for name in names if any(_is_named(name, pattern) for pattern in patterns)]


class Asked(Protocol):
    """A warm start, as far as it matters here."""

    @property
    def run(self) -> str | None:
        """Whose weights."""

    @property
    def freeze(self) -> tuple[str, ...]:
        """Patterns."""


def check(asked: Asked, config: Configuration) -> None:
    """Refuse a pattern that names no layer of the configuration's networks; without TensorFlow.

    Raises:
        ValueError: with the pattern, and the nearest layer there is; or there is no run to begin from.
    """
    if asked.run is None:
        raise ValueError("warm_start.freeze: expected warm_start.run with it, whose weights are to stay")
    found = sizes(config)
    layers = [
        f"{network}/{layer.name}"
        for network in ("generator", "discriminator")
        for layer in getattr(found, network)
        if layer.trainable
    ]
    for pattern in asked.freeze:
        # Of a variable's own name the layer alone is known here; the rest is seen when the run begins.
        layer = pattern.rpartition("/")[0]
        inside = pattern.startswith("*/") or ("/" in layer and named([layer], layers))
        if not inside and not named([pattern], layers):
            [near] = difflib.get_close_matches(pattern, layers, n=1, cutoff=0.0)
            raise ValueError(
                f"warm_start.freeze is '{pattern}': no layer is called so (did you mean '{near}'?)"
            )


def _is_named(name: str, pattern: str) -> bool:
    parts = name.split("/")
    return any(fnmatchcase("/".join(parts[:count]), pattern) for count in range(1, len(parts) + 1))
