"""Latents, by a counter-based generator.

It is Philox (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3").
"""

import tensorflow as tf

from trainer.randomness.keys import Purpose, key


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
    words = tf.stack([key(seed, Purpose.NOISE), tf.cast(step, tf.int64)])
    return tf.random.stateless_normal((batch_size, latent_size), words, alg="philox")


def sample_latents(seed: int, count: int, latent_size: int) -> tf.Tensor:
    """Latents that stay fixed for a whole run, for grids; float32 [count, latent_size] from N(0, 1).

    The first latents are the same whatever `count` is.
    """

    def draw(row: tf.Tensor) -> tf.Tensor:
        words = tf.stack([tf.constant(key(seed, Purpose.SAMPLES), tf.int64), row])
        return tf.random.stateless_normal((latent_size,), words, alg="philox")

    def rows(numbers: tf.Tensor) -> tf.Tensor:
        return tf.map_fn(draw, numbers, fn_output_signature=tf.TensorSpec((latent_size,), tf.float32))

    # In a graph 2,000 take 0.1 s, and 2.9 s one by one.
    return tf.function(rows, autograph=False)(tf.range(count, dtype=tf.int64))


def replica_slice(values: tf.Tensor, replica: tf.Tensor | int, replicas: int) -> tf.Tensor:
    """The part of a global batch that one replica takes: consecutive rows, in the order of the replicas."""
    size = values.shape[0] // replicas
    return tf.slice(values, [replica * size] + [0] * (values.shape.rank - 1), [size, *values.shape[1:]])
