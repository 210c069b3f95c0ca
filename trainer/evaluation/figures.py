"""The table of figures of one set of samples against one of real images: what each needs, and its name."""

from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from trainer.errors import UserError
from trainer.evaluation import classes, frechet, kernel, manifold, wasserstein
from trainer.evaluation.features import Gives, Network, Seen

OVERLAP_SAMPLES = 5000
"""Images of each set that precision, recall, density and coverage are of, at most: their time goes with the
square."""
_SORTED = 50_000


class Metric(NamedTuple):
    """One kind of figure."""

    title: str
    needs: Gives
    compute: Callable[[Seen, Seen], Mapping[str, float]]
    """It and others, by name, of the reference and samples."""
    most: int | None = None
    """Samples that count, at most, and as many of the reference."""
    setting: str = ""
    """What its name says besides."""
    digits: int = 3
    above: int | None = 1
    """Images that there have to be more of; None: the network's features."""
    default: bool = True
    """Whether it is computed unasked."""


def _distance(real: Seen, fake: Seen) -> dict[str, float]:
    return {"fd": frechet.distance(frechet.fit(real.features), frechet.fit(fake.features))}


def _projected(real: Seen, fake: Seen) -> dict[str, float]:
    one, other = (frechet.fit(frechet.projected(seen.features)) for seen in (real, fake))
    return {"fd128": frechet.distance(one, other)}


def _kernel(real: Seen, fake: Seen) -> dict[str, float]:
    found = kernel.distance(real.features, fake.features)
    return {"kid": found.mean, "kid_deviation": found.deviation}


def _overlap(real: Seen, fake: Seen) -> dict[str, float]:
    each = min(len(real.features), len(fake.features), OVERLAP_SAMPLES)
    found = manifold.overlap(real.features[:each], fake.features[:each])
    return {
        "precision": found.precision,
        "recall": found.recall,
        "density": found.density,
        "coverage": found.coverage,
    }


def _classes(real: Seen, fake: Seen) -> dict[str, float]:
    seen = classes.classes(real.shares, fake.shares)
    return {"classes": float(seen.seen), "balance": seen.balance, "sure": seen.sure}


def _score(real: Seen, fake: Seen) -> dict[str, float]:
    return {"score": classes.score(fake.shares)}


def _modes(real: Seen, fake: Seen) -> dict[str, float]:
    found = classes.modes(fake.shares)
    return {"modes": float(found.seen), "kl": found.divergence}


def _sliced(real: Seen, fake: Seen) -> dict[str, float]:
    each = min(len(real.features), len(fake.features), _SORTED)
    return {"sw": wasserstein.sliced(real.features[:each], fake.features[:each])}


_NARROW, _WIDE = f"k={manifold.NEIGHBOURS}", f"k={manifold.WIDER}"
_SUBSETS = f"{kernel.SUBSETS} subsets of up to {kernel.SIZE}"
METRICS: Mapping[str, Metric] = {
    "fd": Metric("FD", "features", _distance, digits=2, above=None),
    "fd128": Metric(
        "FD", "features", _projected, setting=f"projected to {frechet.PROJECTED}", digits=2,
        above=frechet.PROJECTED, default=False,
    ),
    "kid": Metric("KID", "features", _kernel, setting=_SUBSETS, digits=5, above=3),
    "kid_deviation": Metric("KID's deviation", "features", _kernel, setting=_SUBSETS, digits=5, above=3),
    "precision": Metric("precision", "features", _overlap, OVERLAP_SAMPLES, _NARROW),
    "recall": Metric("recall", "features", _overlap, OVERLAP_SAMPLES, _NARROW),
    "density": Metric("density", "features", _overlap, OVERLAP_SAMPLES, _WIDE),
    "coverage": Metric("coverage", "features", _overlap, OVERLAP_SAMPLES, _WIDE),
    "classes": Metric("classes seen", "classes", _classes, digits=0),
    "balance": Metric("balance of classes", "classes", _classes),
    "sure": Metric("sure of the class", "classes", _classes, setting="p>0.9"),
    "score": Metric("IS-style", "probabilities", _score, digits=2, default=False),
    "modes": Metric("modes", "stacks", _modes, digits=0),
    "kl": Metric("KL from equal modes", "stacks", _modes),
    "sw": Metric("sliced W1", "projections", _sliced, _SORTED, "grey levels", digits=3),
}  # fmt: skip
"""By the names that scripts know them by."""
TRAINING = ("fd", "precision", "recall", "classes", "balance", "sure", "modes", "kl", "sw")
"""Those that a run is judged by while it trains, of what its network gives: without KID, unless the best is
chosen by it, as it takes longer than all of them."""


def measured(real: Seen, fake: Seen, metrics: Iterable[str]) -> dict[str, float]:
    """The values of some `METRICS`; precision and recall of as many images of one set as of the other.

    Raises:
        UserError: there are no more images than features.
    """
    wanted, found = list(metrics), dict[str, float]()
    for metric in wanted:
        if metric not in found:
            found.update(METRICS[metric].compute(real, fake))
    return {metric: found[metric] for metric in wanted}


def chosen(asked: Iterable[str], network: Network, images: int) -> tuple[str, ...]:
    """The metrics that were asked for, or all that go with a network and the images of a set's half.

    In a network of more features than there are images, `fd128` stands for `fd`.

    Raises:
        UserError: one is not known, or needs what the network does not give.
    """
    fitting = [metric for metric, about in METRICS.items() if about.needs in network.gives]
    wanted = list(dict.fromkeys(asked))
    for metric in wanted:
        known = METRICS.get(metric)
        if known is None or metric not in fitting:
            why = f"needs {known.needs}, which {network.label} does not give" if known else "is not known"
            raise UserError(f"--metric {metric}: {why}, expected some of {', '.join(fitting)}")
    if wanted:
        if "kid" in wanted and "kid_deviation" not in wanted:
            wanted.insert(wanted.index("kid") + 1, "kid_deviation")
        return tuple(wanted)
    usual = [metric for metric in fitting if METRICS[metric].default]
    if network.size > frechet.PROJECTED and images <= network.size:
        usual = ["fd128" if metric == "fd" else metric for metric in usual]
    return tuple(usual)


def of_training(metric: str, network: Network, images: int) -> tuple[str, ...]:
    """What a run is judged by while it trains, of sets of as many images, with what its best is chosen by."""
    wanted = dict.fromkeys((*TRAINING, metric))
    return tuple(
        each for each in wanted if METRICS[each].needs in network.gives and enough(each, network, images)
    )


def enough(metric: str, network: Network, images: int) -> bool:
    """Whether a figure can be had of sets of as many images."""
    above = METRICS[metric].above
    return images > (network.size if above is None else above)


def check_count(what: str, images: int, metrics: Iterable[str], network: Network) -> None:
    """Refuse a set that has too few images for one of the metrics.

    Raises:
        UserError: it says how many there are, and how many features.
    """
    for metric in metrics:
        above = METRICS[metric].above
        if above is None and images <= network.size:
            else_ = "" if network.size <= frechet.PROJECTED else "; --metric fd128 or kid takes fewer"
            raise UserError(
                f"{what} expected more than the {network.size} features of {network.label}{else_}"
            )
        if above is not None and images <= above:
            raise UserError(f"{what} expected more than {above} images for --metric {metric}")


def least(metrics: Iterable[str], network: Network) -> int:
    """Images that a set has to have for all of the metrics."""
    return 1 + max(
        network.size if above is None else above for above in (METRICS[metric].above for metric in metrics)
    )


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
