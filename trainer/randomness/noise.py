"""Latents, by a counter-based generator.

It is Philox (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3").
"""

import math
from collections.abc import Sequence

import tensorflow as tf

from trainer.randomness.keys import Purpose, key, stream

_PHILOX = 1  # as the kernels number it


def noise(
    seed: int, step: tf.Tensor, batch_size: int, latent_size: int, purpose: str = "", repeat: int = 0
) -> tf.Tensor:
    """Latents of one update.

    Args:
        seed: the run's seed.
        step: int64 scalar, the step that is about to be taken, from 0.
        batch_size: the global batch.
        latent_size: entries of one latent vector.
        purpose: whose they are, other than the step's own that both networks share.
        repeat: which draw of that purpose in the step it is.

    Returns:
        float32 [batch_size, latent_size] from N(0, 1).
    """
    word = stream(seed, purpose, repeat) if purpose else key(seed, Purpose.NOISE)
    return tf.random.stateless_normal((batch_size, latent_size), _words(word, step), alg="philox")


def sample_latents(seed: int, count: int, latent_size: int) -> tf.Tensor:
    """Latents that stay fixed for a whole run, for grids; float32 [count, latent_size] from N(0, 1).

    The first latents are the same whatever `count` is.
    """

    def draw(row: tf.Tensor) -> tf.Tensor:
        words = _words(key(seed, Purpose.SAMPLES), row)
        return tf.random.stateless_normal((latent_size,), words, alg="philox")

    def rows(numbers: tf.Tensor) -> tf.Tensor:
        return tf.map_fn(draw, numbers, fn_output_signature=tf.TensorSpec((latent_size,), tf.float32))

    # In a graph 2,000 take 0.1 s, and 2.9 s one by one.
    return tf.function(rows, autograph=False)(tf.range(count, dtype=tf.int64))


def latents_of_seeds(seeds: Sequence[int], latent_size: int) -> tf.Tensor:
    """The first latent of `sample_latents` of each seed, float32 [n, latent_size]."""
    start = tf.constant(0, tf.int64)
    words = (_words(key(seed, Purpose.SAMPLES), start) for seed in seeds)
    return tf.stack([tf.random.stateless_normal((latent_size,), each, alg="philox") for each in words])


def shares(seed: int, step: tf.Tensor, batch_size: int, purpose: str, repeat: int = 0) -> tf.Tensor:
    """A number for each example of the global batch, uniform in [0, 1), float32 [batch_size]."""
    words = _words(stream(seed, purpose, repeat), step)
    return tf.random.stateless_uniform((batch_size,), words, alg="philox")


def pixels(
    seed: int, step: tf.Tensor, first: tf.Tensor | int, shape: tuple[int, ...], purpose: str, repeat: int = 0
) -> tf.Tensor:
    """Normal noise for each pixel of some rows of the global batch, without drawing the others'.

    A row begins at a counter of Philox of its own, each of which gives four numbers.

    Args:
        seed: the run's seed.
        step: int64 scalar, the step that is about to be taken, from 0.
        first: the first row.
        shape: rows, and the shape of each.
        purpose: what the noise is for.
        repeat: which draw of that purpose in the step it is.

    Returns:
        float32 of that shape from N(0, 1).
    """
    count, size = shape[0], math.prod(shape[1:])
    blocks = -(-size // 4)
    start = tf.raw_ops.StatelessRandomGetKeyCounter(seed=_words(stream(seed, purpose, repeat), step))
    low = start.counter[0] + tf.cast(first, tf.uint64) * tf.constant(blocks, tf.uint64)
    carry = tf.cast(low < start.counter[0], tf.uint64)
    drawn = tf.raw_ops.StatelessRandomNormalV2(
        shape=(count, 4 * blocks),
        key=start.key,
        counter=tf.stack([low, start.counter[1] + carry]),
        alg=_PHILOX,
    )
    return tf.reshape(drawn[:, :size], shape)


def replica_slice(values: tf.Tensor, replica: tf.Tensor | int, replicas: int) -> tf.Tensor:
    """The part of a global batch that one replica takes: consecutive rows, in the order of the replicas."""
    size = values.shape[0] // replicas
    return tf.slice(values, [replica * size] + [0] * (values.shape.rank - 1), [size, *values.shape[1:]])


def _words(word: int, number: tf.Tensor) -> tf.Tensor:
    """A generator's seed: the key of a stream, and which draw of it, int64 [2]."""
    return tf.stack([tf.constant(word, tf.int64), tf.cast(number, tf.int64)])
