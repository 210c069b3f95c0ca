"""One evaluation of a run: its samples, the images to compare with, every figure and its floors."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from trainer.data import ImageSource
from trainer.evaluation import copies, features, figures, neighbours, reference, sets
from trainer.evaluation.drawing import draw
from trainer.evaluation.features import Network, Seen
from trainer.evaluation.judge import Figure, Judge
from trainer.evaluation.reference import Say
from trainer.evaluation.request import Request, check, network_of
from trainer.sampling.generate import load as load_generator
from trainer.storage import Store

_COPIES = 2000  # samples whose nearest training image is looked for

_before: dict[tuple[object, ...], Judge] = {}  # one: of 20 checkpoints each, floors are half of the work


@dataclass(frozen=True)
class Copies:
    """Distances to the nearest training image, in grey levels."""

    median: float
    samples: int
    held_out_median: float | None = None
    """The same of held-out images; without it copying cannot be told."""

    @property
    def ratio(self) -> float | None:
        """1 for samples that are no nearer than held-out images are, 0 for copies."""
        return self.median / self.held_out_median if self.held_out_median else None


@dataclass(frozen=True)
class Evaluation:
    """All that was found of one checkpoint."""

    run: str
    step: int
    average: bool
    samples: int
    features: str
    """The network in whose features it is: ``digits@1f3a``."""
    reference: str
    held_out: str | None
    figures: tuple[Figure, ...]
    copies: Copies
    draws: int = 1

    @property
    def latents(self) -> str:
        """From which latents it was drawn."""
        return f"stream 'evaluation', draws {self.draws}"


def evaluate(store: Store, request: Request, say: Say, kept: Store | None = None) -> Evaluation:
    """Judge a run's checkpoint.

    Args:
        store: the run's folder.
        request: what to judge, and against what.
        say: takes a line for each part of the work, which takes seconds.
        kept: where what is seen of real images is looked up and kept, the experiment's folder.

    Raises:
        UserError: there is no run or no checkpoint, a set cannot be read, is too small or of another shape,
            a network does not load or gives no features, a metric does not go with it.
    """
    known = check(store, request)
    network, look, _ = features.loaded(network_of(request, known), known.config.image.shape)
    training, apart = sets.training(store, known)
    real = sets.given("--reference", request.reference, known) or training
    held_out = sets.given("--held-out", request.held_out, known) or apart
    metrics = _metrics(request, network, [real, held_out], say)
    loaded = load_generator(store, known.config, request.step, request.average)
    say(f"comparing with {real} in {network.label}")

    def see(images: sets.Set, most: int) -> Seen:
        return _seen(look, network, images, most, (training, apart), kept, say)

    judge = _judge(network, see, metrics, request.samples, real, held_out)
    few = None
    for number in range(request.draws):
        say(f"drawing {request.samples} images of step {loaded.step}, {number + 1} of {request.draws}")
        images = draw(known.config, loaded, request.samples, training.source.labels, number)
        fake, some = _drawn(look, images)
        judge.take(fake)
        few = some if few is None else few
    assert few is not None, "a request has a draw"
    say("looking for the nearest training images")
    near = _copies(training.source, few, held_out.source if held_out else None, request.neighbours)
    whose = str(held_out) if held_out else None
    return Evaluation(
        store.url, loaded.step, loaded.is_average, request.samples, network.label, str(real), whose,
        judge.figures(), near, request.draws,
    )  # fmt: skip


def _seen(
    look: features.Look,
    network: Network,
    images: sets.Set,
    most: int,
    own: tuple[sets.Set, sets.Set | None],
    kept: Store | None,
    say: Say,
) -> Seen:
    """What the network sees in `most` images at most, of the run's own sets or of others."""
    training, apart = own
    which = "training" if images is training else "held out" if images is apart else "given"
    held = (apart.fingerprint, apart.source.count) if apart and which != "given" else None
    ids, shape = sets.chosen(images.source, most), images.source.shape
    of = (training if which == "held out" else images).source.count
    about = reference.about(which, images.fingerprint, held, network.label, shape, len(ids), of)
    return reference.seen(kept, about, lambda: sets.seen_in(look, images.source, ids), say)


def _judge(
    network: Network,
    see: Callable[[sets.Set, int], Seen],
    metrics: tuple[str, ...],
    samples: int,
    real: sets.Set,
    held_out: sets.Set | None,
) -> Judge:
    """What samples are compared with; that of the evaluation before where it is the same."""
    key = (network, metrics, samples, str(real), str(held_out))
    if key not in _before:
        held = see(held_out, samples) if held_out else None
        found = Judge(network, metrics, see(real, 2 * samples), held, samples)
        _before.clear()
        _before[key] = found
    return _before[key].anew()


def _metrics(
    request: Request, network: Network, given: Sequence[sets.Set | None], say: Say
) -> tuple[str, ...]:
    """Those to compute, for which all sets have enough images."""
    there = [each.source for each in given if each is not None]
    metrics = figures.chosen(request.metrics, network, min(request.samples, there[0].count // 2))
    figures.check_count(f"--samples {request.samples}:", request.samples, metrics, network)
    for source in there:
        figures.check_count(f"{source.name}: {source.count} images,", source.count, metrics, network)
    if not request.metrics and "fd128" in metrics:
        say(
            f"half of {there[0].name}, or {request.samples} samples, are no more than the {network.size} "
            f"features of {network.label}: FD is after a projection"
        )
    return metrics


def _drawn(look: features.Look, blocks: Iterator[np.ndarray]) -> tuple[Seen, np.ndarray]:
    """What the network sees in samples, and the first samples themselves."""
    parts, few = [], []
    for number, block in enumerate(blocks):
        parts.append(look(block))
        if number * len(block) < _COPIES:
            few.append(block)
    return features.joined(parts), np.concatenate(few)[:_COPIES]


def _copies(
    training: ImageSource, few: np.ndarray, held_out: ImageSource | None, picture: str | None
) -> Copies:
    """How far samples are from training images; where `picture` is a file, the nearest are shown in it."""
    everything = np.arange(training.count)
    near = copies.neighbours(few, sets.blocks(training, everything))
    if picture is not None:
        neighbours.write(picture, few, near, training)
    median = float(np.median(near.distances))
    if held_out is None:
        return Copies(median, len(few))
    others = held_out.read(reference.order(held_out.count)[: len(few)])
    far = copies.nearest(others, sets.blocks(training, everything))
    return Copies(median, len(few), float(np.median(far)))
