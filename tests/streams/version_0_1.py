"""The order of images as it was computed up to version 0.1, in the step itself; its runs resume with it."""

import tensorflow as tf

from trainer.config import BLOCK


def indices(
    seed: int, step: tf.Tensor, batch_size: int, count: int, window: int, steps: tf.Tensor | int = 1
) -> tf.Tensor:
    """int64 [steps * batch_size]."""
    length = tf.cast(steps, tf.int64) * batch_size
    position = tf.cast(step, tf.int64) * batch_size + tf.range(length, dtype=tf.int64)
    epoch, offset = position // count, position % count
    first = offset // window * window  # where this window of the epoch begins
    size = tf.minimum(first + window, count) - first
    slot = first + _permute(offset - first, _mix(seed, 3), epoch, first, size)
    block, within = slot // BLOCK, slot % BLOCK
    full = count // BLOCK
    if full:
        zero = tf.zeros_like(block)
        shuffled = _permute(tf.minimum(block, full - 1), _mix(seed, 2), epoch, zero, zero + full)
        block = tf.where(block < full, shuffled, block)
    return block * BLOCK + within


def _permute(index: tf.Tensor, key: int, epoch: tf.Tensor, window: tf.Tensor, size: tf.Tensor) -> tf.Tensor:
    """Position of each index in a keyed permutation of [0, size); all arguments but `key` are int64 [n]."""
    mixed = _hash(key, epoch, window)
    # The cipher takes few bits of each word (8 for up to 65536 images), hence a hash and not the numbers
    # themselves: seeds 0 and 16, or epochs 0 and 256, would give one order.
    seeds = tf.stack(
        [tf.bitwise.right_shift(mixed, tf.constant(by, tf.uint64)) for by in (0, 21, 42)], axis=1
    )
    seeds = tf.cast(tf.bitwise.bitwise_and(seeds, tf.constant(2**21 - 1, tf.uint64)), tf.int64)
    return tf.raw_ops.RandomIndexShuffle(index=index, seed=seeds, max_index=size - 1, rounds=4)


def _hash(key: int, epoch: tf.Tensor, window: tf.Tensor) -> tf.Tensor:
    """64 even bits for each triple: the mixing function of SplitMix64.

    It is the one of Steele, Lea and Flood 2014, "Fast splittable pseudorandom number generators"; the factors
    before it are odd numbers without structure (the golden ratio's and two of xxHash's).
    """
    state = tf.constant(key * 0x9E3779B97F4A7C15 % 2**64, tf.uint64)
    for value, factor in ((epoch, 0xC2B2AE3D27D4EB4F), (window, 0x165667B19E3779F9)):
        state += tf.cast(value, tf.uint64) * tf.constant(factor, tf.uint64)
    for by, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        state = _shift_xor(state, by) * tf.constant(factor, tf.uint64)
    return _shift_xor(state, 31)


def _shift_xor(state: tf.Tensor, by: int) -> tf.Tensor:
    return tf.bitwise.bitwise_xor(state, tf.bitwise.right_shift(state, tf.constant(by, tf.uint64)))


def _mix(seed: int, purpose: int) -> int:
    """One key for a seed and a purpose; seeds are below 2**31, so keys never meet."""
    return seed * 16 + purpose
