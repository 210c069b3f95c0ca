"""Kernel distance, KID: the squared maximum mean discrepancy of features.

Binkowski et al. 2018, arXiv:1801.01401: of a cubic polynomial kernel, unbiased, the mean over random subsets
with its deviation. Unlike a Frechet distance it needs no more images than features, and it is about 0 of
equal sets at any count, below 0 too.
"""

from typing import NamedTuple

import numpy as np

SUBSETS, SIZE = 100, 1000
"""Subsets, and images of each set in one, or half of a smaller set, so that subsets differ."""
_SEED = 2020  # of which images are in which subset; torch-fidelity draws with the same, in the same order


class Kernel(NamedTuple):
    """What the subsets say."""

    mean: float
    deviation: float
    """Standard deviation over the subsets."""


def distance(real: np.ndarray, fake: np.ndarray, subsets: int = SUBSETS, size: int = SIZE) -> Kernel:
    """Of features [n, d] and [m, d], in float64, in the memory of one subset."""
    size = max(2, min(size, len(real) // 2, len(fake) // 2))
    draws = np.random.RandomState(_SEED)  # whose numbers are the same in every NumPy
    found = [
        discrepancy(
            real[draws.choice(len(real), size, replace=False)],
            fake[draws.choice(len(fake), size, replace=False)],
        )
        for _ in range(subsets)
    ]
    return Kernel(float(np.mean(found)), float(np.std(found)))


def discrepancy(one: np.ndarray, other: np.ndarray) -> float:
    """``E k(x, x') + E k(y, y') - 2 E k(x, y)`` without the pairs of one with itself (their lemma 6)."""
    wide = [_wide(rows) for rows in (one, other)]
    within = [
        (_total(rows, rows) - float((np.einsum("ij,ij->i", rows, rows) ** 3).sum()))
        / (len(rows) * (len(rows) - 1))
        for rows in wide
    ]
    return sum(within) - 2.0 * _total(*wide) / (len(one) * len(other))


def _wide(rows: np.ndarray) -> np.ndarray:
    """Float64, so that a product of two rows is ``x y / d + 1``, whose cube is the kernel."""
    count, size = rows.shape
    return np.concatenate([rows.astype(np.float64) / np.sqrt(size), np.ones((count, 1))], axis=1)


def _total(rows: np.ndarray, columns: np.ndarray) -> float:
    """The kernel's sum over all pairs; NumPy's sum of products takes 1 ms of a million, a power 30."""
    products = rows @ columns.T
    return float(np.einsum("ij,ij,ij->", products, products, products))
