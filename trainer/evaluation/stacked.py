"""The network of stacked digits, a digit in each channel: `digits` looks at each."""

from collections.abc import Callable, Mapping

import numpy as np

from trainer.evaluation import digits

CHANNELS = 3


def forward(weights: Mapping[str, np.ndarray]) -> Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]:
    """From images [n, 28, 28, 3] to features [n, 3 * 96] and probabilities [n, 3, 10]."""
    single = digits.forward(weights)

    def look(images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        found = [single(images[..., channel : channel + 1]) for channel in range(CHANNELS)]
        features, shares = zip(*found, strict=True)
        return np.concatenate(features, axis=1), np.stack(shares, axis=1)

    return look
