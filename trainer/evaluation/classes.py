"""Which classes a classifier sees in samples, how evenly, and how sure it is."""

from typing import NamedTuple

import numpy as np

SURE = 0.9
"""Probability above which the classifier is sure of a sample."""
_FAIR = 0.1


class Classes(NamedTuple):
    """What was seen."""

    seen: int
    """Classes that have at least a tenth of the share that they have in the reference."""
    of: int
    """Classes in the reference."""
    balance: float
    """1 where classes have the shares of the reference; 1 less half the sum of the differences."""
    sure: float
    """Share of samples of which the classifier is sure."""


def classes(real: np.ndarray, fake: np.ndarray) -> Classes:
    """Of the probabilities [n, classes] of the reference and of samples."""
    wanted, found = _shares(real), _shares(fake)
    there = wanted > 0
    seen = int((found[there] >= _FAIR * wanted[there]).sum())
    balance = 1.0 - float(np.abs(wanted - found).sum()) / 2
    return Classes(seen, int(there.sum()), balance, float((fake.max(axis=1) > SURE).mean()))


def _shares(probabilities: np.ndarray) -> np.ndarray:
    counts = np.bincount(probabilities.argmax(1), minlength=probabilities.shape[1])
    return counts / len(probabilities)
