"""What the command `evaluate` is asked, checked before TensorFlow loads."""

from dataclasses import dataclass

from trainer.config.sources import parse_source
from trainer.errors import UserError
from trainer.evaluation.features import network_for
from trainer.run import layout, record
from trainer.run.record import Record
from trainer.storage import Store


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
    """Source of images of the same kind that the run never saw."""


def check(store: Store, request: Request) -> Record:
    """The record of the run that is to be judged.

    Raises:
        UserError: there is no run, no feature network for its images, or the request is out of range.
    """
    for option, source in (("--reference", request.reference), ("--held-out", request.held_out)):
        try:
            parse_source("digits" if source is None else source)
        except ValueError as mistake:
            raise UserError(f"{option} {source}: {mistake}") from None
    known = record.read(store)
    if known is None:
        raise UserError(f"--run-dir {store.url}: there is no {layout.RUN}, expected the folder of a run")
    network = network_for(known.config.image.shape)
    if request.samples <= network.size:
        raise UserError(
            f"--samples {request.samples}: expected more than the {network.size} features of {network.label}"
        )
    return known
