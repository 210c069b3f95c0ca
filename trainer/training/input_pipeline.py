"""Brings real images to the devices: the whole set once and what each step takes of it, or each step's."""

import math
import queue
import threading
from collections.abc import Callable
from functools import partial
from typing import Any, Protocol

import numpy as np
import tensorflow as tf

from trainer import randomness
from trainer.config import RunConfig
from trainer.data import ImageSource
from trainer.randomness import Shuffle
from trainer.run import ownership
from trainer.storage.retrying import ask

MOST_STEPS = 100  # in one call
# Of images read ahead, and of those of one call. A batch of 64 is 0.8 MB of 64x64 RGB, 12.6 MB of 256x256.
_AHEAD_BYTES, _CALL_BYTES = 128 << 20, 64 << 20
_STEPS_AHEAD = 64
# Indices computed at once: 0.2 us each, and 0.1 ms for the Python around them.
_INDICES_AT_ONCE = 4096


class Feed(Protocol):
    """What consecutive steps take, in their order, ready before they ask."""

    most_steps: int
    """That one call may ask for."""

    def take(self, count: int) -> np.ndarray:
        """Of the next `count` steps: int64 [count, global batch], or uint8 [count, local batch, …]."""
        ...

    def close(self) -> None:
        """End its thread; nothing is taken any more."""
        ...


class _Ahead:
    """Rows for consecutive steps, made on a thread of its own."""

    def __init__(self, make: Callable[[int], np.ndarray], step: int, depth: int, name: str) -> None:
        """`make`: rows of some steps from the one given on, [steps, …]; `depth`: steps that may lie ready."""
        self._make = make
        self._ready: queue.Queue[np.ndarray | BaseException] = queue.Queue(depth)
        self._closed = threading.Event()
        threading.Thread(target=self._run, args=(step,), name=name, daemon=True).start()

    def take(self, count: int) -> np.ndarray:
        """Rows of the next `count` steps, [count, …]; raises what making them raised."""
        first = self._next()
        taken = np.empty((count, *first.shape), first.dtype)
        taken[0] = first
        for place in taken[1:]:
            place[...] = self._next()
        return taken

    def close(self) -> None:
        """End the thread."""
        self._closed.set()
        while not self._ready.empty():  # it may wait to put one row, and then looks
            self._ready.get_nowait()

    def _next(self) -> np.ndarray:
        row = self._ready.get()
        if isinstance(row, BaseException):
            raise row
        return row

    def _run(self, step: int) -> None:
        try:
            while True:
                rows = self._make(step)
                for row in rows:
                    self._ready.put(row)
                    if self._closed.is_set():
                        return
                step += len(rows)
        except BaseException as error:
            self._ready.put(error)


class IndexStream(_Ahead):
    """Which images of a set in memory each step takes."""

    most_steps = MOST_STEPS

    def __init__(self, config: RunConfig, count: int, first_step: int) -> None:
        """`count`: images in the set."""
        at_once = max(1, _INDICES_AT_ONCE // config.images_per_step)
        shuffle = Shuffle(config.seed, count, config.data.shuffle_window)
        make = partial(randomness.batches, shuffle, config.images_per_step, steps=at_once)
        super().__init__(make, first_step, max(at_once, MOST_STEPS), "order")


class ImageStream(_Ahead):
    """Images of each step, read ahead of training.

    The order is that of `randomness.indices`, the same as for a set in memory.
    """

    def __init__(
        self, source: ImageSource, config: RunConfig, worker: int, workers: int, first_step: int
    ) -> None:
        self.outage = ownership.outage(config)
        """Of the storage that the images are in."""
        shuffle = Shuffle(config.seed, source.count, config.data.shuffle_window)
        batch = math.prod((config.images_per_step // workers, *config.image.shape))
        self.most_steps = max(1, min(MOST_STEPS, _CALL_BYTES // batch))

        def read(step: int) -> np.ndarray:
            chosen = randomness.batches(shuffle, config.images_per_step, step, 1)
            batches = chosen.reshape(config.d_repeats, workers, -1)
            mine = batches[:, worker].ravel()
            return ask(self.outage, partial(source.read, mine))[np.newaxis]

        super().__init__(read, first_step, min(_STEPS_AHEAD, max(1, _AHEAD_BYTES // batch)), "images")


def on_devices(strategy: tf.distribute.Strategy, images: np.ndarray) -> Any:
    """The whole set on each of this process' devices, so that no step fetches its images from another.

    Not a variable: under several workers that would send the chief's copy over the network.
    """
    devices = iter(strategy.extended.worker_devices)  # asked for in this order, one for each local replica

    def here(_: object) -> tf.Tensor:
        with tf.device(next(devices)):
            return tf.constant(images)

    return strategy.experimental_distribute_values_from_function(here)
