"""Spectral normalization: weights divided by their largest singular value.

Miyato et al. 2018, arXiv:1802.05957, algorithm 1: a layer uses W / sigma with sigma = u' W v, where u and v
come of one power iteration an update, v = W'u / |W'u| and u = Wv / |Wv|. Gradients go through sigma with u
and v as constants (equation 12). A convolution's W is its kernel as a matrix [filters, kernel kernel
channels]; such a layer is K-Lipschitz with K at most the kernel's edge over the stride, rounded up, as so
many windows overlap along each axis.

The iteration comes after an update, by `optimizers.hooks`, and so is that of the next one: no score moves u,
be it the generator's, a penalty's or a sample's. A run begins with u after `_FIRST` iterations, as in
PyTorch's `parametrizations.spectral_norm`, since sigma is too small while u is far from its vector.
"""

from typing import Any

import keras
import tensorflow as tf

from trainer.networks import replica_local

_FIRST = 15
_TINY = 1e-24  # under the root: the authors add 1e-12 to the norm


def iterated(matrix: tf.Tensor, u: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """u [outputs] and v [inputs] after a power iteration of the transposed matrix [inputs, outputs]."""
    v = tf.math.l2_normalize(tf.linalg.matvec(matrix, u), epsilon=_TINY)
    return tf.math.l2_normalize(tf.linalg.matvec(matrix, v, transpose_a=True), epsilon=_TINY), v


class Spectral(keras.layers.Layer):  # type: ignore[misc]
    """A layer with a kernel [..., outputs] that is divided by its largest singular value."""

    def __init__(self, *args: Any, first: keras.Initializer, **kwargs: Any) -> None:
        """`first`: draws u before the first iteration."""
        super().__init__(*args, **kwargs)
        self._first_u = first

    def build(self, input_shape: Any) -> None:
        """The kernel, and u and v of it."""
        super().build(input_shape)
        self._whole = self.kernel.value  # in float32, as which a narrower call does not see it any more
        matrix = self._matrix(tf.convert_to_tensor(self._whole))
        u = self._first_u((matrix.shape[1],), "float32")
        for _ in range(_FIRST):
            u, v = iterated(matrix, u)
        self.u, self.v = (self._kept(name, value) for name, value in (("u", u), ("v", v)))

    def iterate(self) -> None:
        """Follow the kernel with one power iteration, in a replica's context."""
        matrix = self._matrix(replica_local.read(self.kernel.value))
        u, v = iterated(matrix, replica_local.read(self.u.value))
        replica_local.write(self.u.value, u)
        replica_local.write(self.v.value, v)

    def normalized(self) -> tf.Tensor:
        """The kernel that is used: W / sigma, computed in float32."""
        kernel = tf.convert_to_tensor(self._whole)
        u, v = (tf.convert_to_tensor(each.value) for each in (self.u, self.v))
        sigma = tf.tensordot(v, tf.linalg.matvec(self._matrix(kernel), u), 1)
        return tf.cast(kernel / sigma, self.compute_dtype)

    def _kept(self, name: str, value: tf.Tensor) -> keras.Variable:
        return self.add_weight(
            shape=value.shape,
            initializer=lambda *_, **__: value,
            trainable=False,
            autocast=False,
            name=name,
        )

    @staticmethod
    def _matrix(kernel: tf.Tensor) -> tf.Tensor:
        return tf.reshape(kernel, (-1, kernel.shape[-1]))


class SpectralDense(Spectral, keras.layers.Dense):  # type: ignore[misc]
    """`keras.layers.Dense`."""

    def call(self, inputs: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        """[batch, n] to [batch, units]."""
        outputs = tf.matmul(inputs, self.normalized())
        return self.activation(outputs + self.bias if self.use_bias else outputs)


class SpectralConv2D(Spectral, keras.layers.Conv2D):  # type: ignore[misc]
    """`keras.layers.Conv2D`."""

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """[batch, height, width, channels] to [batch, height / stride, …, filters], rounded up."""
        outputs = tf.nn.conv2d(inputs, self.normalized(), self.strides, self.padding.upper())
        return self.activation(outputs + self.bias if self.use_bias else outputs)
