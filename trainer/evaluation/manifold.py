"""Improved precision and recall (Kynkaanniemi et al. 2019, arXiv:1904.06991, equations 1 and 2)."""

from typing import NamedTuple

import numpy as np

NEIGHBOURS = 3
"""k: as in the paper (section 3)."""
_BLOCK = 1024  # rows of distances at once: 80 MB for 10,000 images


class Overlap(NamedTuple):
    """How much two sets have of each other."""

    precision: float
    """Share of the generated ones within the manifold of the real ones."""
    recall: float
    """Share of the real ones within the manifold of the generated ones."""


def overlap(real: np.ndarray, fake: np.ndarray, neighbours: int = NEIGHBOURS) -> Overlap:
    """Of features [n, d] and [m, d]; a manifold is the balls that reach to each one's k-th neighbour."""
    real, fake = real.astype(np.float64), fake.astype(np.float64)
    return Overlap(
        _covered(fake, real, _radii(real, neighbours)), _covered(real, fake, _radii(fake, neighbours))
    )


def _radii(points: np.ndarray, neighbours: int) -> np.ndarray:
    """Squared distance of each to its k-th nearest other, [n]; to the farthest where there are fewer."""
    place = min(neighbours, len(points) - 1)  # its own distance, 0, is the first
    parts = [
        np.partition(_squares(points[start : start + _BLOCK], points), place, axis=1)[:, place]
        for start in range(0, len(points), _BLOCK)
    ]
    return np.concatenate(parts)


def _covered(points: np.ndarray, centres: np.ndarray, radii: np.ndarray) -> float:
    """Share of points that lie in one of the balls."""
    inside = 0
    for start in range(0, len(points), _BLOCK):
        inside += int((_squares(points[start : start + _BLOCK], centres) <= radii).any(axis=1).sum())
    return inside / len(points)


def _squares(rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Squared distances [n, m]."""
    found: np.ndarray = (
        (rows**2).sum(1)[:, np.newaxis] + (columns**2).sum(1)[np.newaxis] - 2.0 * rows @ columns.T
    )
    np.maximum(found, 0.0, out=found)
    return found
