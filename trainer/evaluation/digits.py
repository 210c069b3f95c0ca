"""A classifier of 28x28 grey digits: three convolutions, 96 features and ten classes; 358,000 numbers.

`trainer.evaluation.train_digits` trains it on all of MNIST. Batch normalization is folded into its weights,
which are float16 in the file (0.7 MB); the arithmetic is float32. 10,000 images take 2 to 5 s on two cores.
"""

from collections.abc import Callable, Mapping

import numpy as np
import tensorflow as tf

CONVOLUTIONS, FEATURES, CLASSES = (32, 64, 64), 96, 10
POOLED = (0, 2)
"""After which convolutions each 2x2 pixels become their largest."""


def graph(weights: Mapping[str, np.ndarray]) -> Callable[[tf.Tensor], tuple[tf.Tensor, tf.Tensor]]:
    """From images [n, 28, 28, 1] in grey levels to features after ReLU [n, 96] and probabilities [n, 10].

    Args:
        weights: float32 by name: ``conv_0``, ``features``, ``classes``, and each with ``_bias``.
    """
    fixed = {name: tf.constant(value) for name, value in weights.items()}

    @tf.function(autograph=False, reduce_retracing=True)  # type: ignore[untyped-decorator]
    def run(images: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        x = tf.cast(images, tf.float32) / 255.0
        for number in range(len(CONVOLUTIONS)):
            x = tf.nn.conv2d(x, fixed[f"conv_{number}"], 1, "SAME")
            x = tf.nn.relu(x + fixed[f"conv_{number}_bias"])
            if number in POOLED:
                x = tf.nn.max_pool2d(x, 2, 2, "VALID")
        x = tf.reshape(x, (tf.shape(x)[0], -1))
        features = tf.nn.relu(x @ fixed["features"] + fixed["features_bias"])
        return features, tf.nn.softmax(features @ fixed["classes"] + fixed["classes_bias"])

    found: Callable[[tf.Tensor], tuple[tf.Tensor, tf.Tensor]] = run
    return found


def forward(weights: Mapping[str, np.ndarray]) -> Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]:
    """The same from uint8 images to arrays."""
    run = graph(weights)

    def look(images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        features, shares = run(tf.constant(images))
        return features.numpy(), shares.numpy()

    return look
