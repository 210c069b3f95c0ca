"""Everything random in training, as pure functions of (seed, step, purpose) over the global batch.

Nothing here has state, so a resumed run needs no position saved and the number of workers changes nothing:
each replica computes the global batch's indices and noise and takes its own slice. The generators are
counter-based: Philox for the noise (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3") and a
keyed permutation for the indices (`tf.random.experimental.index_shuffle`).
"""

import tensorflow as tf

from trainer.config import BLOCK

# Purposes: the second half of each seed, so that no two streams ever share a key.
_NOISE, _SAMPLES, _BLOCK_ORDER, _WINDOW_ORDER = range(4)


def noise(seed: int, step: tf.Tensor, batch_size: int, latent_size: int) -> tf.Tensor:
    """Latents of one step.

    Args:
        seed: the run's seed.
        step: int64 scalar, the step that is about to be taken, from 0.
        batch_size: the global batch.
        latent_size: entries of one latent vector.

    Returns:
        float32 [batch_size, latent_size] from N(0, 1).
    """
    key = tf.stack([_mix(seed, _NOISE), tf.cast(step, tf.int64)])
    return tf.random.stateless_normal((batch_size, latent_size), key, alg="philox")


def sample_latents(seed: int, count: int, latent_size: int) -> tf.Tensor:
    """Latents that stay fixed for a whole run, for grids; float32 [count, latent_size] from N(0, 1).

    The first latents are the same whatever `count` is.
    """

    def draw(row: tf.Tensor) -> tf.Tensor:
        key = tf.stack([tf.constant(_mix(seed, _SAMPLES), tf.int64), row])
        return tf.random.stateless_normal((latent_size,), key, alg="philox")

    def rows(numbers: tf.Tensor) -> tf.Tensor:
        return tf.map_fn(draw, numbers, fn_output_signature=tf.TensorSpec((latent_size,), tf.float32))

    # In a graph 2,000 take 0.1 s, and 2.9 s one by one.
    return tf.function(rows, autograph=False)(tf.range(count, dtype=tf.int64))


def indices(
    seed: int, step: tf.Tensor, batch_size: int, count: int, window: int, steps: tf.Tensor | int = 1
) -> tf.Tensor:
    """Images of one step or several: positions ``step * batch_size …`` of an endless sequence of epochs.

    Each epoch shows every image exactly once. Its order is one that a reader of shards can follow with
    `window` images in memory: the blocks of `BLOCK` neighbouring images are permuted, cut into windows, and
    the images of each window are permuted among themselves. A set of at most `window` images is thereby
    shuffled as a whole. What is left of the set after its last full block comes in the epoch's last window.

    Args:
        seed: the run's seed.
        step: int64 scalar, the step that is about to be taken, from 0.
        batch_size: the global batch.
        count: images in the set.
        window: images shuffled together, a multiple of `BLOCK`.
        steps: consecutive steps whose indices are wanted; many at once cost little more than one.

    Returns:
        int64 [steps * batch_size], each in [0, count).
    """
    length = tf.cast(steps, tf.int64) * batch_size
    position = tf.cast(step, tf.int64) * batch_size + tf.range(length, dtype=tf.int64)
    epoch, offset = position // count, position % count
    first = offset // window * window  # where this window of the epoch begins
    size = tf.minimum(first + window, count) - first
    slot = first + _permute(offset - first, _mix(seed, _WINDOW_ORDER), epoch, first, size)
    block, within = slot // BLOCK, slot % BLOCK
    full = count // BLOCK
    if full:
        zero = tf.zeros_like(block)
        shuffled = _permute(tf.minimum(block, full - 1), _mix(seed, _BLOCK_ORDER), epoch, zero, zero + full)
        block = tf.where(block < full, shuffled, block)
    return block * BLOCK + within


def replica_slice(values: tf.Tensor, replica: tf.Tensor | int, replicas: int) -> tf.Tensor:
    """The part of a global batch that one replica takes: consecutive rows, in the order of the replicas."""
    size = values.shape[0] // replicas
    return tf.slice(values, [replica * size] + [0] * (values.shape.rank - 1), [size, *values.shape[1:]])


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
