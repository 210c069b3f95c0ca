"""Frechet distance of two Gaussians fitted to features (Heusel et al. 2017, arXiv:1706.08500, equation 6)."""

from typing import NamedTuple

import numpy as np

from trainer.errors import UserError

PROJECTED = 128
"""Dimensions of features that are more than a set has images."""
_BLOCK = 4096  # rows that are float64 at once
_SEED = 0


class Gaussian(NamedTuple):
    """Mean [d] and covariance [d, d] of rows, float64, the covariance over samples - 1."""

    samples: int
    mean: np.ndarray
    covariance: np.ndarray


def fit(features: np.ndarray) -> Gaussian:
    """The Gaussian of rows [n, d], summed in blocks about their mean.

    Raises:
        UserError: there are no more rows than features, so that the covariance is singular.
    """
    count, size = features.shape
    if count <= size:
        raise UserError(f"{count} images: expected more than the {size} features of a Frechet distance")
    blocks = [features[start : start + _BLOCK] for start in range(0, count, _BLOCK)]
    mean = sum(block.sum(0, dtype=np.float64) for block in blocks) / count
    covariance = np.zeros((size, size))
    for block in blocks:
        centred = block.astype(np.float64) - mean
        covariance += centred.T @ centred
    return Gaussian(count, mean, covariance / (count - 1))


def distance(one: Gaussian, other: Gaussian) -> float:
    """``|m1 - m2|^2 + tr(S1 + S2 - 2 (S1^(1/2) S2 S1^(1/2))^(1/2))``, at least 0 but for rounding.

    The last trace is by the eigenvalues of a symmetric matrix, which are real; no epsilon is added.
    """
    apart = one.mean - other.mean
    root = _root(one.covariance)
    values = np.linalg.eigvalsh(root @ other.covariance @ root)
    both = np.sqrt(np.maximum(values, 0.0)).sum()  # rounding leaves some at -1e-16
    return float(apart @ apart + np.trace(one.covariance) + np.trace(other.covariance) - 2.0 * both)


def projected(features: np.ndarray) -> np.ndarray:
    """Features [n, d] along 128 fixed random directions, float64 [n, 128]; lengths stay in expectation."""
    size = features.shape[1]
    ways = np.random.RandomState(_SEED).standard_normal((size, PROJECTED)) / np.sqrt(PROJECTED)
    found: np.ndarray = features.astype(np.float64) @ ways
    return found


def _root(covariance: np.ndarray) -> np.ndarray:
    values, vectors = np.linalg.eigh(covariance)
    root: np.ndarray = (vectors * np.sqrt(np.maximum(values, 0.0))) @ vectors.T
    return root
