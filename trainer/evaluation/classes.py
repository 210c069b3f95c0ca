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


class Modes(NamedTuple):
    """Triples of digits in samples of stacked ones (Lin et al. 2018, arXiv:1712.04086, section 4.1)."""

    seen: int
    """Of which there is at least one, of 1,000."""
    divergence: float
    """KL of their shares from equal ones, natural: 0.019 of 26,000 perfect samples, 6.9 of a single mode."""


def modes(shares: np.ndarray) -> Modes:
    """Of the probabilities [n, channels, classes]."""
    _, channels, of = shares.shape
    places = shares.argmax(axis=2) @ of ** np.arange(channels)
    counts = np.bincount(places, minlength=of**channels)
    there = counts[counts > 0] / len(shares)
    return Modes(len(there), float((there * np.log(there * of**channels)).sum()))


def score(shares: np.ndarray) -> float:
    """``exp E KL(p(y|x), p(y))`` of probabilities [n, classes]: 1 to as many as there are classes.

    Salimans et al. 2016 (arXiv:1606.03498), over all samples at once; their ten parts bias it by their size.
    """
    wide = shares.astype(np.float64)
    apart = _entropy(wide.mean(axis=0)) - float(np.mean(_entropy(wide)))
    return float(np.exp(apart))


def _entropy(shares: np.ndarray) -> np.ndarray:
    """Natural, of each row."""
    found: np.ndarray = -(shares * np.log(np.where(shares > 0, shares, 1.0))).sum(axis=-1)
    return found
