"""What the command `evaluate` is asked, checked before TensorFlow loads."""

from dataclasses import dataclass, field

from trainer.config.sources import parse_source
from trainer.errors import UserError
from trainer.evaluation import figures, neighbours
from trainer.evaluation.choosing import choose
from trainer.evaluation.features import Network
from trainer.run import layout, record
from trainer.run.record import Record
from trainer.storage import Store

DRAWS = 3


@dataclass(frozen=True)
class Request:
    """What to judge, and against what."""

    step: int | None = None
    """Checkpoint to draw from; None for the newest whole one."""
    samples: int = 10_000
    """Images to draw."""
    average: bool = True
    """Whether the average of the weights draws, where the run keeps one, or the last weights."""
    reference: str | None = None
    """Source of the images to compare with; None for those that the run trains on."""
    held_out: str | None = None
    """Source of images of the same kind that the run never saw; None for those that it holds out."""
    metrics: list[str] = field(default_factory=list)
    """Names of `figures.METRICS`; none for those that go with the network."""
    features: str | None = None
    """A name or a place of a network, as `choosing.choose` takes it; None for the one that fits."""
    layer: str | None = None
    """Of a network of one's own."""
    preprocess: str | None = None
    """For a network of one's own: ``[0,1]``, ``[-1,1]`` or ``[0,255]``."""
    draws: int = DRAWS
    """How often as many images are drawn, for an interval."""
    neighbours: str | None = None
    """A PNG to be written, of samples beside their nearest training images."""


def check(store: Store, request: Request) -> Record:
    """The record of the run that is to be judged.

    Raises:
        UserError: there is no run, no such network, no such metric, or the request is out of range.
    """
    for option, source in (("--reference", request.reference), ("--held-out", request.held_out)):
        try:
            parse_source("digits" if source is None else source)
        except ValueError as mistake:
            raise UserError(f"{option} {source}: {mistake}") from None
    if request.draws < 1:
        raise UserError(f"--draws {request.draws}: expected 1 or more")
    if request.neighbours is not None:
        neighbours.check(request.neighbours)
    known = record.read(store)
    if known is None:
        raise UserError(f"--run-dir {store.url}: there is no {layout.RUN}, expected the folder of a run")
    network = network_of(request, known)
    metrics = figures.chosen(request.metrics, network, request.samples)
    figures.check_count(f"--samples {request.samples}:", request.samples, metrics, network)
    return known


def network_of(request: Request, known: Record) -> Network:
    """The network that a run's images are judged in, without its weights.

    Raises:
        UserError: there is no such network, or it does not take such images.
    """
    return choose(request.features, known.config.image.shape, request.layer, request.preprocess)
