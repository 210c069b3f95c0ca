"""What memory a worker needs, from the configuration alone: for ``--estimate`` and for `explain`'s advice.

It goes by what was measured: TensorFlow's import alone takes 600 MiB, and a trainer's peak on a CPU was 1,007
MiB for `mlp` at batch 64, 863 for `dcgan` at 128 and 1,604 for `dcgan64` at 16, where this said 1,020, 1,077
and 1,850; a copy of the state, from which the last steps can be played again, came on top of both.
"""

import math
from typing import NamedTuple

from trainer.config import RunConfig
from trainer.networks.sizes import sizes
from trainer.survey.shapes import KNOWN

_MIB = 2**20
_TENSORFLOW_BYTES = 600 * _MIB  # imported
_WORKING_BYTES = 300 * _MIB  # graphs, the compiler, threads, the picture of the losses at the end
_FIRST_PROCESS_BYTES = 70 * _MIB  # of a pod
_IN_FLIGHT = 2  # checkpoints that wait for the bucket before training does
_CACHES_BYTES, _ON_THE_WAY = 2048 * _MIB, 4
_STEP_MIB = 256  # to which what to ask for is rounded


class Footprint(NamedTuple):
    """Bytes of memory that a worker needs."""

    host: dict[str, int]
    """By what they are for, without a GPU's own."""
    gpu: int | None
    """What one replica needs of its GPU, None without GPUs."""

    @property
    def total(self) -> int:
        """Of the machine, all together."""
        return sum(self.host.values())

    @property
    def to_ask_for(self) -> str:
        """The same as a quantity for ``--memory``, rounded up: ``1280Mi``."""
        return f"{math.ceil(self.total / _MIB / _STEP_MIB) * _STEP_MIB}Mi"


def footprint(config: RunConfig, workers: int, gpus: int = 0, *, pods: bool) -> Footprint:
    """What each of some workers needs; `pods` have a first process beside the trainer.

    Raises:
        ValueError: the workers cannot share the batch evenly.
    """
    found = sizes(config)
    replica = found.memory_bytes(config.per_replica_batch(workers * max(1, gpus)))
    data = data_bytes(config) or 0
    needs = {"tensorflow": _TENSORFLOW_BYTES, "working": _WORKING_BYTES}
    if pods:
        needs["first_process"] = _FIRST_PROCESS_BYTES
    if not gpus:
        needs |= replica
    needs["checkpoints_in_flight"] = _IN_FLIGHT * found.checkpoint_bytes
    needs["copy_of_the_state"] = found.checkpoint_bytes
    needs["data"] = data
    return Footprint(needs, sum(replica.values()) + data if gpus else None)


def scratch_mib(config: RunConfig) -> int:
    """What a worker's folder for temporary files may take, in MiB, rounded up: its bound and its request.

    A checkpoint on its way there or back, the export and what is being removed, each at most a checkpoint's
    size; and 2 GiB for what libraries keep in a pod's home folder, which is the same: Keras' sets (340 MB)
    and CUDA's cache of kernels (1 GiB). A pod beyond its bound is evicted.
    """
    needed = _CACHES_BYTES + _ON_THE_WAY * sizes(config).checkpoint_bytes
    return math.ceil(needed / _MIB / _STEP_MIB) * _STEP_MIB


def data_bytes(config: RunConfig) -> int | None:
    """The data set as 8-bit images where it is one whose size is known, else None."""
    known = KNOWN.get(config.data.source)
    return None if known is None else known.taken(config.labelled) * math.prod(config.image.shape)
