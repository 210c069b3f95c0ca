"""Brings real images to the device: the whole set once, or each call's images from shards."""

import math
import queue
import threading
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import tensorflow as tf

from trainer import randomness
from trainer.config import RunConfig
from trainer.data import ImageSource
from trainer.run import ownership
from trainer.storage.retrying import ask

# Of images read ahead, and of those of one call. A batch of 64 is 0.8 MB of 64x64 RGB, 12.6 MB of 256x256.
_AHEAD_BYTES, _CALL_BYTES = 128 << 20, 64 << 20
_STEPS_AHEAD = 64


@dataclass(frozen=True)
class Feed:
    """Where a step's real images come from: a table on the device, or images brought for each call."""

    table: Any = None
    """uint8 [count, height, width, channels] on every local replica; None when streaming."""
    count: int = 0
    """Images in the set."""


class ImageStream:
    """Images of consecutive steps, read ahead of training on a thread of its own.

    The order is that of `randomness.indices`, the same as for a set in memory.
    """

    def __init__(
        self, source: ImageSource, config: RunConfig, worker: int, workers: int, first_step: int
    ) -> None:
        self._source = source
        self._config = config
        self._slice = (worker, workers)
        self.outage = ownership.outage(config)
        """Of the storage that the images are in."""
        self._shape = (config.batch_size // workers, *config.image.shape)
        batch = math.prod(self._shape)
        self.most_steps = max(1, _CALL_BYTES // batch)
        """Steps whose images one call may hold."""
        steps = min(_STEPS_AHEAD, max(1, _AHEAD_BYTES // batch))
        self._ready: queue.Queue[np.ndarray | BaseException] = queue.Queue(steps)
        threading.Thread(target=self._read, args=(first_step,), name="images", daemon=True).start()

    def take(self, count: int) -> np.ndarray:
        """Images of the next `count` steps, uint8 [count, local batch, height, width, channels]."""
        taken = np.empty((count, *self._shape), np.uint8)
        for place in taken:
            images = self._ready.get()
            if isinstance(images, BaseException):
                raise images
            place[...] = images
        return taken

    def _read(self, step: int) -> None:
        config = self._config
        try:
            while True:
                ids = randomness.indices(
                    config.seed, tf.constant(step, tf.int64), config.batch_size, self._source.count,
                    config.data.shuffle_window,
                )  # fmt: skip
                mine = randomness.replica_slice(ids, *self._slice).numpy()
                self._ready.put(ask(self.outage, partial(self._source.read, mine)))
                step += 1
        except BaseException as error:
            self._ready.put(error)


def on_devices(strategy: tf.distribute.Strategy, images: np.ndarray) -> Any:
    """The whole set on each of this process' devices, so that no step fetches its images from another.

    Not a variable: under several workers that would send the chief's copy over the network.
    """
    devices = iter(strategy.extended.worker_devices)  # asked for in this order, one for each local replica

    def here(_: object) -> tf.Tensor:
        with tf.device(next(devices)):
            return tf.constant(images)

    return strategy.experimental_distribute_values_from_function(here)
