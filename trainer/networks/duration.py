"""How long training takes on a CPU by what it computes: an estimate, for where no run was timed.

Fitted to docs/benchmarks.md (AMD EPYC, two threads). `mlp` at batches 16 to 1,024 takes 7.4 to 159 ms a step
and `dcgan64` at 64 takes 2,125; this says 7.3 to 171 and 2,101. The presets demo and emoji took 0.73 and 2.1
ms of one core for an image; this says 0.72 and 2.0. A processor without AVX2 is slower.
"""

from trainer.networks.describe import Batched
from trainer.networks.sizes import Sizes, sizes

_FLOP_PER_SECOND = 108e9  # of one core
_SECONDS_PER_OUTPUT = 3e-9  # of one core, for each entry of a layer's output, forward and backward
_SECONDS_PER_WEIGHT = 1.6e-9  # for each update
# TensorFlow's ring over gRPC between two processes of one machine: 22 ms for 11.9 MB, 324 for 92.7.
_SECONDS_PER_BYTE = 3.5e-9
_FLOAT_BYTES = 4


def seconds_per_1000_images(config: Batched, cores: float, workers: int = 1) -> float:
    """Seconds of training for 1,000 real images, without what a run does before its first step.

    Args:
        config: what is trained.
        cores: of each worker; Adam and memory gain by the second one, and no more by others.
        workers: that share the global batch.
    """
    found, images = sizes(config), config.images_per_step
    each = found.flop_per_image / _FLOP_PER_SECOND + _outputs(found) * _SECONDS_PER_OUTPUT
    computing = each * images / workers / cores
    updated = _updated(found)
    updating = updated * _SECONDS_PER_WEIGHT
    sending = updated * _FLOAT_BYTES * _SECONDS_PER_BYTE if workers > 1 else 0.0
    return 1000 * (computing + updating + sending) / images


def seconds_of_drawing(config: Batched) -> float:
    """Seconds of one core in which the generator draws an image: forward alone."""
    layers = sizes(config).generator
    flop, outputs = sum(layer.flop for layer in layers), sum(layer.outputs for layer in layers)
    return flop / _FLOP_PER_SECOND + outputs * _SECONDS_PER_OUTPUT / 3


def _outputs(found: Sizes) -> float:
    """Entries that layers put out in a step, for each real image, as `Sizes.flop_per_image` counts passes."""
    g, d = (sum(layer.outputs for layer in layers) for layers in (found.generator, found.discriminator))
    of_g, of_d = found.repeats
    judged, shared = d / found.packing, 0 if found.microbatch else g
    return (of_d * (2 * judged + g) + of_g * (judged + g) - shared) / of_d


def _updated(found: Sizes) -> int:
    """Weights that are updated in a step, each time counted."""
    of_g, of_d = found.repeats
    g, d = (sum(sum(layer.trainable) for layer in each) for each in (found.generator, found.discriminator))
    return of_g * g + of_d * d
