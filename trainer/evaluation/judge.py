"""Real images that samples are judged against, and the floors that they have in the place of samples."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from trainer.evaluation import figures
from trainer.evaluation.features import Network, Seen


@dataclass(frozen=True)
class Figure:
    """A figure with its floors: what real images have in the place of samples, by the same code."""

    metric: str
    name: str
    value: float
    """The mean over draws."""
    samples: int
    """Of each draw."""
    floor: float | None = None
    """Half of the reference against its other half; None where a half has too few images."""
    floor_samples: int = 0
    """Of each half."""
    at_floor: float | None = None
    """The figure of as many samples, of the first draw where it is not all, against the floor's half."""
    held_out: float | None = None
    """Held-out images against the reference."""
    held_out_samples: int = 0
    interval: tuple[float, float] | None = None
    """The smallest and the largest of the draws; None of a single one."""
    draws: int = 1


class Judge:
    """Compares one draw after the other with the same images.

    Args:
        network: in whose features.
        metrics: which figures, names of `figures.METRICS`.
        real: what it sees in the reference, twice as many images as samples where there are so many.
        held: in held-out images; None without any.
        samples: of a draw.
    """

    def __init__(
        self, network: Network, metrics: Sequence[str], real: Seen, held: Seen | None, samples: int
    ) -> None:
        self._network, self._metrics, self._held, self._samples = network, metrics, held, samples
        self._reference = figures.part(real, slice(0, samples))
        half, other = figures.halves(len(real.features))
        self._half, self._other = figures.part(real, half), figures.part(real, other)
        enough = len(self._half.features) >= figures.least(metrics, network)
        self._floor = self._measured(self._half, self._other) if enough else {}
        self._draws: list[dict[str, float]] = []
        self._at_floor: dict[str, float] = {}

    def take(self, fake: Seen) -> None:
        """Judge a draw; of the first, also as many as a half of the reference has."""
        self._draws.append(self._measured(self._reference, fake))
        there = len(self._half.features)
        if self._floor and there < self._samples and not self._at_floor:
            self._at_floor = self._measured(self._half, figures.part(fake, slice(0, there)))

    def figures(self) -> tuple[Figure, ...]:
        """Of all draws that were taken."""
        held = self._measured(self._reference, self._held) if self._held else {}
        return tuple(self._figure(metric, held) for metric in self._metrics)

    def _measured(self, real: Seen, fake: Seen) -> dict[str, float]:
        return figures.measured(real, fake, self._metrics)

    def _figure(self, metric: str, held: dict[str, float]) -> Figure:
        values = [draw[metric] for draw in self._draws]
        size, half = len(self._reference.features), len(self._half.features)
        samples = figures.compared(metric, self._samples, size)
        of_all = fmean(values) if self._floor and half >= self._samples else None
        apart = len(self._held.features) if self._held else 0
        return Figure(
            metric,
            figures.name(metric, self._network, samples),
            fmean(values),
            samples,
            self._floor.get(metric),
            figures.compared(metric, half, half) if self._floor else 0,
            self._at_floor.get(metric, of_all),
            held.get(metric),
            figures.compared(metric, apart, size),
            (min(values), max(values)) if len(values) > 1 else None,
            len(values),
        )
