"""Layers that a distributed GAN needs and Keras does not have, or not fast enough."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import keras
import tensorflow as tf

from trainer.networks import replica_local

# Height times width of a transposed convolution's output up to which its gradient is faster as matrix
# products on a CPU: 8x8 took 265 ms instead of 600 (1024 to 512 channels, batch 64), 16x16 was even.
_SMALL_MAP = 64


_batches: ContextVar[int] = ContextVar("batches", default=1)


@contextmanager
def batches_apart(count: int) -> Iterator[None]:
    """Within it, what a network is given is `count` batches one after another, each normalized by itself.

    They share each layer's all-reduce: a discriminator of real and generated images takes half as many.
    """
    token = _batches.set(count)
    try:
        yield
    finally:
        _batches.reset(token)


class SyncBatchNormalization(keras.layers.BatchNormalization):  # type: ignore[misc]
    """Batch normalization over the global batch (Ioffe and Szegedy 2015, arXiv:1502.03167).

    Sum and sum of squares travel in one all-reduce forward and one backward; Keras'
    ``BatchNormalization(synchronized=True)`` takes three of each. On one replica it is the fused kernel.
    The moving statistics are those of the global batch and equal on every replica.
    """

    def call(self, inputs: tf.Tensor, training: bool | None = None, mask: Any = None) -> tf.Tensor:
        """Normalize [batch, …, channels] by the statistics of the batch in training, the moving ones else."""
        if not training:
            return super().call(inputs, training=False)
        replicas = tf.distribute.get_strategy().num_replicas_in_sync
        if replicas == _batches.get() == 1 and inputs.shape.rank == 4:
            return self._fused(inputs)
        shape, given = tf.shape(inputs), inputs.dtype
        # One after another along an axis of their own; float32, since 128 * 32 * 32 is inf in float16.
        parts = tf.cast(tf.reshape(inputs, tf.concat([[_batches.get(), -1], shape[1:]], 0)), tf.float32)
        axes = list(range(1, inputs.shape.rank))
        count = tf.cast(tf.size(parts[0]) // inputs.shape[-1] * replicas, tf.float32)
        sums = tf.concat([tf.reduce_sum(parts, axes), tf.reduce_sum(tf.square(parts), axes)], axis=1)
        if replicas > 1:
            context = tf.distribute.get_replica_context()
            sums = context.all_reduce(tf.distribute.ReduceOp.SUM, sums)
        mean, square = tf.split(sums / count, 2, axis=1)
        variance = tf.maximum(square - tf.square(mean), 0.0)
        for own in zip(tf.unstack(mean), tf.unstack(variance), strict=True):
            self._move(*own)
        mean, variance = (
            tf.reshape(each, (-1, *(1 for _ in axes), each.shape[1])) for each in (mean, variance)
        )
        beta, gamma = (tf.cast(each, tf.float32) for each in (self.beta, self.gamma))
        outputs = tf.nn.batch_normalization(parts, mean, variance, beta, gamma, self.epsilon)
        return tf.cast(tf.reshape(outputs, shape), given)

    def _fused(self, inputs: tf.Tensor) -> tf.Tensor:
        beta, gamma = (tf.cast(each.value, tf.float32) for each in (self.beta, self.gamma))
        outputs, mean, variance = tf.compat.v1.nn.fused_batch_norm(
            tf.cast(inputs, tf.float32), gamma, beta, epsilon=self.epsilon, is_training=True
        )
        count = tf.cast(tf.size(inputs) // inputs.shape[-1], tf.float32)
        self._move(mean, variance * (count - 1) / count)  # the kernel's variance is the unbiased one
        return tf.cast(outputs, inputs.dtype)

    def _move(self, mean: tf.Tensor, variance: tf.Tensor) -> None:
        for moving, value in ((self.moving_mean, mean), (self.moving_variance, variance)):
            old = replica_local.read(moving.value)
            new = old * self.momentum + tf.stop_gradient(value) * (1 - self.momentum)
            if self.compute_dtype == "float16":  # whose updates are left out where something is not finite
                new = tf.where(tf.math.is_finite(new), new, old)
            replica_local.write(moving.value, new)


class UpConvolution(keras.layers.Conv2DTranspose):  # type: ignore[misc]
    """Transposed convolution of stride 2 whose gradient is two matrix products where the map is small.

    The values are Keras' own; only the order of additions in the gradients differs (2e-6 relative). On a GPU
    it is `keras.layers.Conv2DTranspose` unchanged.
    """

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """[batch, height, width, channels] to [batch, 2 height, 2 width, filters]."""
        area = inputs.shape[1] * inputs.shape[2] * 4
        if self.use_bias or area > _SMALL_MAP or tf.config.list_logical_devices("GPU"):
            return super().call(inputs)
        return _small_map_convolution(inputs, tf.convert_to_tensor(self.kernel.value))


@tf.custom_gradient  # type: ignore[untyped-decorator]
def _small_map_convolution(inputs: tf.Tensor, kernel: tf.Tensor) -> Any:
    """Transposed convolution, stride 2, same padding; kernel [edge, edge, filters, channels]."""
    edge, _, filters, channels = kernel.shape
    shape = tf.shape(inputs)
    output_shape = tf.stack([shape[0], shape[1] * 2, shape[2] * 2, filters])
    outputs = tf.nn.conv2d_transpose(inputs, kernel, output_shape, strides=2, padding="SAME")

    def gradient(upstream: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        window, stride, rate = [1, edge, edge, 1], [1, 2, 2, 1], [1, 1, 1, 1]
        patches = tf.image.extract_patches(upstream, window, stride, rate, "SAME")
        patches = tf.reshape(patches, (-1, edge * edge * filters))
        flat = tf.reshape(kernel, (edge * edge * filters, channels))
        to_inputs = tf.reshape(tf.matmul(patches, flat), shape)
        to_kernel = tf.matmul(patches, tf.reshape(inputs, (-1, channels)), transpose_a=True)
        return to_inputs, tf.reshape(to_kernel, kernel.shape)

    return outputs, gradient


class GroupedConv2D(keras.layers.Conv2D):  # type: ignore[misc]
    """Convolution in groups of channels by TensorFlow's own kernel.

    Keras has XLA compile it, which on a CPU takes 345 ms forward and backward where this takes 7, and 1,005
    with the gradient of a gradient where this takes 9 (3x3, 64 channels in 4 groups, 16x16, batch 32, one
    thread). The values are the same. A CPU has no gradient of it in float16: there it computes in float32.
    """

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """[batch, height, width, channels] to [batch, height / stride, …, filters], rounded up."""
        wide = inputs.dtype == tf.float16 and not tf.config.list_logical_devices("GPU")
        used = tf.float32 if wide else inputs.dtype
        kernel = tf.cast(tf.convert_to_tensor(self.kernel), used)
        outputs = tf.nn.conv2d(tf.cast(inputs, used), kernel, self.strides, self.padding.upper())
        outputs = tf.cast(outputs, inputs.dtype)
        return self.activation(outputs + self.bias if self.use_bias else outputs)
