"""How far two sets lie within each other: balls about each image that reach to its k-th neighbour.

Improved precision and recall (Kynkaanniemi et al. 2019, arXiv:1904.06991, equations 1 and 2), and density
and coverage (Naeem et al. 2020, arXiv:2002.09797, equations 7 and 9), which one outlier moves less.
"""

from typing import NamedTuple

import numpy as np

NEIGHBOURS = 3
"""k of precision and recall: as in the paper (section 3)."""
WIDER = 5
"""k of density and coverage: as in the paper (section 3.2)."""
_BLOCK = 1024  # rows of distances at once: 80 MB for 10,000 images


class Overlap(NamedTuple):
    """How much two sets have of each other."""

    precision: float
    """Share of the generated ones within the manifold of the real ones."""
    recall: float
    """Share of the real ones within the manifold of the generated ones."""
    density: float
    """In how many balls of real ones a generated one lies, over k: 1 for equal sets, more for the common."""
    coverage: float
    """Share of the real ones in whose ball a generated one lies."""


def overlap(real: np.ndarray, fake: np.ndarray, neighbours: int = NEIGHBOURS, wider: int = WIDER) -> Overlap:
    """Of features [n, d] and [m, d]; balls of the first two have their edge, as in their papers."""
    real, fake = real.astype(np.float64), fake.astype(np.float64)
    narrow, wide = _radii(real, neighbours, wider)
    (around,) = _radii(fake, neighbours)
    precise, dense = 0, 0
    recalled, nearest = np.zeros(len(real), bool), np.full(len(real), np.inf)
    for start in range(0, len(fake), _BLOCK):
        squares = _squares(fake[start : start + _BLOCK], real)
        precise += int((squares <= narrow).any(axis=1).sum())
        dense += int((squares < wide).sum())
        recalled |= (squares <= around[start : start + _BLOCK, np.newaxis]).any(axis=0)
        np.minimum(nearest, squares.min(axis=0), out=nearest)
    return Overlap(
        precise / len(fake),
        float(recalled.mean()),
        dense / (wider * len(fake)),
        float((nearest < wide).mean()),
    )


def _radii(points: np.ndarray, *neighbours: int) -> tuple[np.ndarray, ...]:
    """Squared distance of each to its k-th nearest other, [n] for each k; to the farthest of fewer."""
    places = [min(each, len(points) - 1) for each in neighbours]  # its own distance, 0, is the first
    parts = [
        np.partition(_squares(points[start : start + _BLOCK], points), sorted(set(places)), axis=1)[:, places]
        for start in range(0, len(points), _BLOCK)
    ]
    return tuple(np.concatenate(parts).T)


def _squares(rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Squared distances [n, m]."""
    found: np.ndarray = rows @ columns.T
    found *= -2.0
    found += (rows**2).sum(1)[:, np.newaxis]
    found += (columns**2).sum(1)
    np.maximum(found, 0.0, out=found)
    return found
