"""Everything random in training, as pure functions of (seed, step, purpose) over the global batch.

Nothing here has state, so a resumed run needs no position saved and the number of workers changes nothing:
each replica draws the global batch's noise and takes its own slice, as it does of the images.
"""

from trainer.config import BLOCK
from trainer.randomness.keys import on_branch
from trainer.randomness.noise import latents_of_seeds, noise, pixels, replica_slice, sample_latents, shares
from trainer.randomness.order import Shuffle, batches, indices

__all__ = [
    "BLOCK",
    "Shuffle",
    "batches",
    "indices",
    "latents_of_seeds",
    "noise",
    "on_branch",
    "pixels",
    "replica_slice",
    "sample_latents",
    "shares",
]
