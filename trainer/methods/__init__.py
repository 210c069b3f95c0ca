"""A method: the updates that a step is made of, one player after another.

The loop stays one loop (`training.step`): it asks a method for one update after another, sums each over
all replicas in one all-reduce, clips and applies it, and the next one is computed with the weights that this
left.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple, Protocol


class Batch(NamedTuple):
    """What one replica has for one update."""

    real: Any
    """uint8 [n, height, width, channels]."""
    labels: Any
    """int32 [n], of real images; generated ones are of the same classes. None without labels."""
    latents: Any
    """float32 [n, latent size]."""
    noise: Mapping[str, Any]
    """Random numbers of the regularizers that draw some, by name: [n], or [n, height, width, channels]; noise
    to be added to images before the discriminator sees them, as `real` and `fake`; and what is done to these
    before, as `augmented_real` and `augmented_fake` (`augment.parameters`)."""


class Turn(NamedTuple):
    """What one replica has for one step."""

    step: Any
    """Steps taken before, int64 scalar."""
    batches: Sequence[Batch]
    """One for each update of the discriminator."""
    latents: Sequence[Any]
    """One for each update of the generator after its first, float32 [n, latent size]."""
    noise: Sequence[Mapping[str, Any]]
    """One for each update of the generator, as a batch has it."""
    scale: Any = None
    """What losses are multiplied by before gradients are taken, float32 scalar; None for float32's 1."""


class Update(NamedTuple):
    """What a method has computed for one update of one player, on one replica."""

    player: str
    gradients: Sequence[Any]
    """Of the loss's sum over the replica's examples, divided by the global batch and times the turn's scale;
    one for each weight."""
    sums: Any
    """float32 [m]: what is summed over the global batch for a line of metrics."""


class Method(Protocol):
    """Who plays, in which order, and what is measured."""

    sums: tuple[str, ...]
    """Names of what a step sums over the global batch, those of all its updates one after another."""

    def updates(self, turn: Turn) -> Iterator[Update]:
        """The updates of one step; each is applied before the next is asked for."""

    def metrics(self, means: Mapping[str, float]) -> dict[str, float]:
        """A line's values, from means of `sums` over images."""
