"""The order in which a run's images are shown, as a pure function of (seed, position).

It is computed on the host, ahead of the steps that want it: TensorFlow has its keyed permutation
(`tf.random.experimental.index_shuffle`) on no accelerator.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import tensorflow as tf

from trainer.config import BLOCK
from trainer.randomness.keys import Purpose, key, mixed

# The smallest domain of the cipher is 2**16, and an index is enciphered until it falls into the set: a set of
# 5,000 images has 19 blocks, which take 3,400 rounds for each image that asks for its block. So the order of
# few blocks is computed once an epoch; that of more takes at most 4 rounds for an image, and no memory.
_MOST_TABLED = 2**14


@dataclass(frozen=True)
class Shuffle:
    """Which images a run shows, and how they are shuffled."""

    seed: int
    """The run's."""
    count: int
    """Images in the set."""
    window: int
    """Images shuffled together, a multiple of `BLOCK`."""


def indices(shuffle: Shuffle, first: int, length: int) -> np.ndarray:
    """Positions ``first … first + length`` of an endless sequence of epochs.

    Each epoch shows every image exactly once. Its order is one that a reader of shards can follow with
    `window` images in memory: the blocks of `BLOCK` neighbouring images are permuted, cut into windows, and
    the images of each window are permuted among themselves. A set of at most `window` images is thereby
    shuffled as a whole. What is left of the set after its last full block comes in the epoch's last window.

    Returns:
        int64 [length], each in [0, count).
    """
    parts = [_of_window(shuffle, *part) for part in _windows(shuffle, first, first + length)]
    return np.concatenate(parts) if parts else np.zeros(0, np.int64)


def batches(shuffle: Shuffle, batch_size: int, step: int, steps: int) -> np.ndarray:
    """Images of consecutive steps, int64 [steps, batch_size], the global batch of each.

    Args:
        batch_size: the global batch.
        step: the first one, from 0.
        steps: how many; many at once cost less than one by one.
    """
    return indices(shuffle, step * batch_size, steps * batch_size).reshape(steps, batch_size)


def _windows(shuffle: Shuffle, first: int, last: int) -> Iterator[tuple[int, int, int]]:
    """Cut positions into pieces of one window each: its epoch, and where it begins and ends in that."""
    while first < last:
        epoch, offset = divmod(first, shuffle.count)
        end = min(offset - offset % shuffle.window + shuffle.window, shuffle.count, offset + last - first)
        yield epoch, offset, end
        first += end - offset


def _of_window(shuffle: Shuffle, epoch: int, offset: int, end: int) -> np.ndarray:
    begins = offset - offset % shuffle.window
    size = min(begins + shuffle.window, shuffle.count) - begins
    word = mixed(key(shuffle.seed, Purpose.WINDOW_ORDER), epoch, begins)
    slot = begins + _permute(np.arange(offset - begins, end - begins), word, size)
    block, within = slot // BLOCK, slot % BLOCK
    full = shuffle.count // BLOCK
    if full:
        word = mixed(key(shuffle.seed, Purpose.BLOCK_ORDER), epoch, 0)
        whole = np.minimum(block, full - 1)
        shuffled = _order(word, full)[whole] if full <= _MOST_TABLED else _permute(whole, word, full)
        block = np.where(block < full, shuffled, block)
    found: np.ndarray = block * BLOCK + within
    return found


@lru_cache(maxsize=4)  # an epoch's and the next, for training and for what reads ahead of it: 0.5 MB
def _order(word: int, full: int) -> np.ndarray:
    """Of all blocks, int64 [full]."""
    return _permute(np.arange(full), word, full)


def _permute(index: np.ndarray, word: int, size: int) -> np.ndarray:
    """Position of each index, int64 [n], in a permutation of [0, size) under a key of 64 bits."""
    if size == 1:
        return index  # zeros, which the cipher would look for in all of its domain
    # The cipher takes few bits of each word (8 for up to 65536 images), hence a hash and not the numbers
    # themselves: seeds 0 and 16, or epochs 0 and 256, would give one order.
    seed = np.array([word >> by & 2**21 - 1 for by in (0, 21, 42)], np.int64)
    permuted: np.ndarray = tf.raw_ops.RandomIndexShuffle(
        index=index, seed=seed, max_index=np.int64(size - 1), rounds=4
    ).numpy()
    return permuted
