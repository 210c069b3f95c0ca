"""How long training takes on a CPU by what it computes: an estimate, for where no run was timed.

Fitted to docs/benchmarks.md (AMD EPYC, two threads). `mlp` at batches 16 to 1,024 takes 7.4 to 159 ms a step,
`dcgan64` at 64 takes 2,125: products at 90 GFLOP/s a core, and 1.6 ns for each weight that is updated
(gradient, Adam, memory), which give 7.4 to 169 and 2,305. A network of few channels is slower than its
products, a processor without AVX2 everywhere.
"""

from trainer.networks.describe import Batched
from trainer.networks.sizes import Sizes, sizes

_FLOP_PER_SECOND = 90e9  # of one core
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
    computing = found.flop_per_image * images / workers / (cores * _FLOP_PER_SECOND)
    updated = _updated(found)
    updating = updated * _SECONDS_PER_WEIGHT
    sending = updated * _FLOAT_BYTES * _SECONDS_PER_BYTE if workers > 1 else 0.0
    return 1000 * (computing + updating + sending) / images


def _updated(found: Sizes) -> int:
    """Weights that are updated in a step, each time counted."""
    of_g, of_d = found.repeats
    g, d = (sum(sum(layer.trainable) for layer in each) for each in (found.generator, found.discriminator))
    return of_g * g + of_d * d
