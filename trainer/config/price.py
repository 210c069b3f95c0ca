"""What judging a run while it trains costs on a CPU, and how often that is a twentieth of its time.

Fitted to evaluations on one thread of an AMD EPYC: of `mlp` 0.30, 0.69 and 2.4 s for 1,000, 2,000 and 5,000
samples, this says 0.31, 0.70 and 2.4; of `demo` 0.54, 1.06 and 2.9, this says 0.35, 0.77 and 2.6.
lite0 took 1.1 ms for an image of 32x32 at 64 pixels, and 1.3 s for the figures of 1,500.
"""

import math
from typing import NamedTuple

from trainer.config.evaluation import FEATURES, USUAL_SHARE, lite0_side
from trainer.config.schema import RunConfig
from trainer.networks.duration import seconds_of_drawing, seconds_per_1000_images

_CORES = 2
# Seconds of a core for an image: the two for each pixel of a channel that the network is given.
_DIGITS, _NONE, _LITE0 = 3e-7, 2e-8, 9e-8
_OVERLAP = 5000  # images of each set whose neighbours are looked for
# For each pair of images of these, without and by each feature; for each product of FD's matrices; KID.
_PAIR, _PAIR_FEATURE, _PRODUCT, _KID = 3e-8, 1.2e-10, 4e-10, 3.9


class Price(NamedTuple):
    """Of evaluations while a run trains, on a CPU."""

    features: str
    """In which they would be, or are."""
    seconds: float
    """Of each."""
    every_steps: int
    """Steps between two for which they take 5 % of the time, in whole lines of metrics."""
    share: float
    """Of the time, that those take which are configured; 0 without any."""
    evaluations: int
    """How many those are."""

    @property
    def all_seconds(self) -> float:
        """Of these together."""
        return self.evaluations * self.seconds


def price(config: RunConfig, cores: float = _CORES, workers: int = 1) -> Price:
    """What evaluations of a run cost.

    Args:
        config: the run's; where no network goes with its images it is reckoned for lite0.
        cores: of each worker.
        workers: that share drawing and looking.
    """
    try:
        features = config.evaluation.looks_by(config.image)
    except ValueError:
        features = "lite0"
    seconds = _seconds(config, features, cores * workers)
    step = config.images_per_step / 1000 * seconds_per_1000_images(config, cores, workers)
    line = config.metrics.every_steps
    usual = seconds * (1 - USUAL_SHARE) / (USUAL_SHARE * step)
    every = math.ceil(min(usual, config.steps) / line) * line
    count = math.ceil(config.steps / config.evaluation.every_steps) if config.evaluation.on else 0
    share = count * seconds / (count * seconds + config.steps * step)
    return Price(features, seconds, every, share, count)


def _seconds(config: RunConfig, features: str, cores: float) -> float:
    samples, metric = config.evaluation.samples, config.evaluation.metric
    each = seconds_of_drawing(config) + _look(config, features)
    if features == "none":
        return samples * each / cores
    size = FEATURES[features.partition("@")[0]]
    size *= config.image.channels if features == "digits" else 1
    pairs = min(samples, _OVERLAP) ** 2 * (_PAIR + _PAIR_FEATURE * size)
    return samples * each / cores + pairs + _PRODUCT * size**3 + (_KID if metric == "kid" else 0)


def _look(config: RunConfig, features: str) -> float:
    """Seconds of a core in which the network sees one image."""
    height, width, channels = config.image.shape
    if not features.startswith("lite0"):
        return height * width * channels * (_DIGITS if features == "digits" else _NONE)
    return (lite0_side(features, height, width) or 0) ** 2 * 3 * _LITE0
