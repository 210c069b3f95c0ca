"""Brings real images to the device: the whole set once, or each call's images from shards."""

import queue
import threading
from typing import Any

import numpy as np
import tensorflow as tf

from trainer import streams
from trainer.config import RunConfig
from trainer.data import ImageSource

_STEPS_AHEAD = 64  # batches of 64 images of 64x64 RGB: 50 MB


class ImageStream:
    """Images of consecutive steps, read ahead of training on a thread of its own.

    The order is that of `streams.indices`, the same as for a set in memory.
    """

    def __init__(
        self, source: ImageSource, config: RunConfig, worker: int, workers: int, first_step: int
    ) -> None:
        self._source = source
        self._config = config
        self._slice = (worker, workers)
        self._ready: queue.Queue[np.ndarray | BaseException] = queue.Queue(_STEPS_AHEAD)
        threading.Thread(target=self._read, args=(first_step,), name="images", daemon=True).start()

    def take(self, count: int) -> np.ndarray:
        """Images of the next `count` steps, uint8 [count, local batch, height, width, channels]."""
        steps = []
        for _ in range(count):
            images = self._ready.get()
            if isinstance(images, BaseException):
                raise images
            steps.append(images)
        return np.stack(steps)

    def _read(self, step: int) -> None:
        config = self._config
        try:
            while True:
                ids = streams.indices(
                    config.seed, tf.constant(step, tf.int64), config.batch_size, self._source.count,
                    config.data.shuffle_window,
                )  # fmt: skip
                self._ready.put(self._source.read(streams.replica_slice(ids, *self._slice).numpy()))
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
