"""Brings real images to the devices: the whole set once and what each step takes of it, or each step's."""

import math
import queue
import threading
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple, Protocol

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


class Rows(NamedTuple):
    """What consecutive steps take."""

    inputs: np.ndarray
    """int64 [steps, global batch] of a set in memory, or uint8 [steps, local batch, …] of a streamed one."""
    labels: np.ndarray
    """Of the same images, int32 [steps, global or local batch], or [steps, 0] without labels."""


class Feed(Protocol):
    """What consecutive steps take, in their order, ready before they ask."""

    most_steps: int
    """That one call may ask for."""

    def take(self, count: int) -> Rows:
        """Of the next `count` steps."""
        ...

    def close(self) -> None:
        """End its thread; nothing is taken any more."""
        ...


class _Ahead:
    """Rows for consecutive steps, made on a thread of its own."""

    def __init__(self, make: Callable[[int], Rows], step: int, depth: int, name: str) -> None:
        """`make`: rows of some steps from the one given on; `depth`: steps that may lie ready."""
        self._make = make
        self._ready: queue.Queue[tuple[np.ndarray, np.ndarray] | BaseException] = queue.Queue(depth)
        self._closed = threading.Event()
        threading.Thread(target=self._run, args=(step,), name=name, daemon=True).start()

    def take(self, count: int) -> Rows:
        """Rows of the next `count` steps; raises what making them raised."""
        first = self._next()
        rows = Rows(*(np.empty((count, *part.shape), part.dtype) for part in first))
        for place in range(count):
            rows.inputs[place], rows.labels[place] = self._next() if place else first
        return rows

    def close(self) -> None:
        """End the thread."""
        self._closed.set()
        while not self._ready.empty():  # it may wait to put one row, and then looks
            self._ready.get_nowait()

    def _next(self) -> tuple[np.ndarray, np.ndarray]:
        row = self._ready.get()
        if isinstance(row, BaseException):
            raise row
        return row

    def _run(self, step: int) -> None:
        try:
            while True:
                rows = self._make(step)
                for row in zip(*rows, strict=True):
                    self._ready.put(row)
                    if self._closed.is_set():
                        return
                step += len(rows.inputs)
        except BaseException as error:
            self._ready.put(error)


class IndexStream(_Ahead):
    """Which images of a set in memory each step takes."""

    most_steps = MOST_STEPS

    def __init__(
        self, config: RunConfig, count: int, first_step: int, labels: np.ndarray | None = None
    ) -> None:
        """`count`: images in the set; `labels`: theirs, integers [count], where the run has any."""
        at_once = max(1, _INDICES_AT_ONCE // config.images_per_step)
        shuffle = Shuffle(config.seed, count, config.data.shuffle_window)

        def make(step: int) -> Rows:
            chosen = randomness.batches(shuffle, config.images_per_step, step, at_once)
            return Rows(chosen, _labels_of(labels, chosen))

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

        labels = source.labels if config.conditioning.on else None

        def read(step: int) -> Rows:
            chosen = randomness.batches(shuffle, config.images_per_step, step, 1)
            batches = chosen.reshape(config.d_repeats, workers, -1)
            mine = batches[:, worker].ravel()
            images = ask(self.outage, partial(source.read, mine))
            return Rows(images[np.newaxis], _labels_of(labels, mine[np.newaxis]))

        super().__init__(read, first_step, min(_STEPS_AHEAD, max(1, _AHEAD_BYTES // batch)), "images")


def _labels_of(labels: np.ndarray | None, images: np.ndarray) -> np.ndarray:
    """Labels of images [steps, n], int32; [steps, 0] without labels."""
    if labels is None:
        return np.zeros((len(images), 0), np.int32)
    return np.asarray(labels[images], np.int32)


def on_devices(strategy: tf.distribute.Strategy, images: np.ndarray) -> Any:
    """The whole set on each of this process' devices, so that no step fetches its images from another.

    Not a variable: under several workers that would send the chief's copy over the network.
    """
    devices = iter(strategy.extended.worker_devices)  # asked for in this order, one for each local replica

    def here(_: object) -> tf.Tensor:
        with tf.device(next(devices)):
            return tf.constant(images)

    return strategy.experimental_distribute_values_from_function(here)
