"""Sliced Wasserstein distance: the mean over directions of how far sorted numbers are apart (W1)."""

import numpy as np


def sliced(real: np.ndarray, fake: np.ndarray) -> float:
    """Of as many rows [n, directions] of one set as of the other, in their unit.

    Raises:
        ValueError: there are more of one.
    """
    if len(real) != len(fake):
        raise ValueError(f"{len(real)} rows against {len(fake)}")
    one, other = (np.sort(rows.astype(np.float64), axis=0) for rows in (real, fake))
    return float(np.abs(one - other).mean())
