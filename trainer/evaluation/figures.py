"""Every figure of one set of samples against one of real images, and their names."""

from collections.abc import Mapping
from typing import NamedTuple

from trainer.evaluation import frechet, manifold
from trainer.evaluation.classes import classes
from trainer.evaluation.features import Network, Seen

OVERLAP_SAMPLES = 5000
"""Images of each set that precision and recall are of, at most: their time goes with the square."""


class Metric(NamedTuple):
    """One kind of figure."""

    title: str
    most: int | None = None
    """Samples that count, at most."""
    setting: str = ""
    """What its name says besides."""
    digits: int = 3


METRICS: Mapping[str, Metric] = {
    "fd": Metric("FD", digits=2),
    "precision": Metric("precision", OVERLAP_SAMPLES, f"k={manifold.NEIGHBOURS}"),
    "recall": Metric("recall", OVERLAP_SAMPLES, f"k={manifold.NEIGHBOURS}"),
    "classes": Metric("classes seen", digits=0),
    "balance": Metric("balance of classes"),
    "sure": Metric("sure of the class", setting="p>0.9"),
}
"""By the names that scripts know them by."""


def measured(real: Seen, fake: Seen) -> dict[str, float]:
    """All of `METRICS`; precision and recall of as many images of one set as of the other.

    Raises:
        UserError: there are no more images than features.
    """
    distance = frechet.distance(frechet.fit(real.features), frechet.fit(fake.features))
    each = compared("precision", len(fake.features), len(real.features))
    precision, recall = manifold.overlap(real.features[:each], fake.features[:each])
    seen = classes(real.shares, fake.shares)
    found = (distance, precision, recall, float(seen.seen), seen.balance, seen.sure)
    return dict(zip(METRICS, found, strict=True))


def compared(metric: str, samples: int, reference: int) -> int:
    """How many samples such a figure is of."""
    most = METRICS[metric].most
    return samples if most is None else min(samples, reference, most)


def name(metric: str, network: Network, samples: int) -> str:
    """What a figure is called: ``FD[digits@1f3a, N=10000]``."""
    about = METRICS[metric]
    words = [network.label, *([about.setting] if about.setting else []), f"N={samples}"]
    return f"{about.title}[{', '.join(words)}]"


def halves(count: int) -> tuple[slice, slice]:
    """The two halves of as many images."""
    return slice(0, count // 2), slice(count // 2, 2 * (count // 2))


def part(seen: Seen, places: slice) -> Seen:
    """Those at some places."""
    return Seen(seen.features[places], seen.shares[places])
