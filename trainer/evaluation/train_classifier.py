"""A feature network for the user's own labels: a small classifier, judged on a tenth that it never sees.

Convolutions of 3x3 with batch normalization, halved until 7 pixels or fewer are left, 64 features and a
class each. It is no better than its labels: figures in it say how far samples are from a set in what tells
these classes apart.
"""

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np

from trainer.data import ImageSource, Look, open_source, require_labels, resolve_latest, seen
from trainer.errors import DataError, UserError
from trainer.evaluation.own import KERAS, side_file
from trainer.survey.shapes import Shape

FEATURES = 64
_FILTERS = (32, 64, 64, 128, 128, 128, 128)
_BATCH, _RATE, _SMALLEST = 128, 2e-3, 7
_SEED = 0  # of which images are held out
_LAYER = "features"


def train(data: str, out: Path, epochs: int, seed: int, say: Callable[[str], None]) -> dict[str, Any]:
    """Train on a set with labels, and write the network and what is to be known of it beside it.

    Args:
        data: source of images with labels.
        out: a file that ends in .keras; NAME.json beside it says layer, range, classes and accuracy.
        epochs: how often each image is seen.
        seed: of weights and order.
        say: takes a line for each epoch.

    Returns:
        What NAME.json says.

    Raises:
        UserError: the set cannot be read, has no labels, one class or fewer than 20 images, or the file
            cannot be written.
    """
    if out.suffix != KERAS[0] or not out.parent.is_dir():
        raise UserError(f"--out {out}: expected a file that ends in {KERAS[0]}, in a folder that is there")
    if epochs < 1:
        raise UserError(f"--epochs {epochs}: expected 1 or more")
    name, look = resolve_latest(data), Look(labelled=True)
    source = open_source(name, None, look=look)
    labels = require_labels(source)
    names = source.label_names or tuple(map(str, range(int(labels.max()) + 1)))
    if source.count < 20 or len(np.unique(labels)) < 2:
        had = f"{source.count} images of {len(np.unique(labels))} classes"
        raise DataError(f"--data {data}: {had}, expected 20 or more, of two classes or more")
    order = np.random.RandomState(_SEED).permutation(source.count)
    held, rest = np.split(order, [source.count // 10])
    keras.utils.set_random_seed(seed)
    model = _model(source.shape, len(names))
    _fit(model, source, labels, rest, epochs, seed, say)
    about = {
        "layer": _LAYER,
        "preprocess": "[0,1]",
        "classes": list(names),
        "accuracy": accuracy(model, source, labels, held),
        "held_out": len(held),
        "images": len(rest),
        "source": source.name,
        "fingerprint": seen(name, source.count, look).fingerprint,
        "epochs": epochs,
        "seed": seed,
    }
    try:
        model.save(out)
        side_file(out).write_text(json.dumps(about, indent=2) + "\n", encoding="utf-8")
    except OSError as error:
        raise UserError(f"--out {out}: cannot be written: {error.strerror or error}") from None
    return about


def accuracy(model: keras.Model, source: ImageSource, labels: np.ndarray, ids: np.ndarray) -> float:
    """Share of some of a set's images that are classified as they are labelled."""
    right = 0
    for start in range(0, len(ids), _BATCH):
        some = ids[start : start + _BATCH]
        found = model.predict_on_batch(_unit(source.read(some)))
        right += int((found.argmax(axis=1) == labels[some]).sum())
    return right / len(ids)


def _fit(
    model: keras.Model,
    source: ImageSource,
    labels: np.ndarray,
    ids: np.ndarray,
    epochs: int,
    seed: int,
    say: Callable[[str], None],
) -> None:
    draws = np.random.RandomState(seed)
    steps = epochs * math.ceil(len(ids) / _BATCH)
    rate = keras.optimizers.schedules.CosineDecay(_RATE, steps)
    model.compile(keras.optimizers.Adam(rate), keras.losses.SparseCategoricalCrossentropy())
    for epoch in range(epochs):
        losses, shuffled = [], draws.permutation(ids)
        for start in range(0, len(ids), _BATCH):
            some = shuffled[start : start + _BATCH]
            losses.append(float(model.train_on_batch(_unit(source.read(some)), labels[some])))
        say(f"epoch {epoch + 1} of {epochs}: loss {losses[-1]:.3f}")


def _unit(images: np.ndarray) -> np.ndarray:
    found: np.ndarray = images.astype(np.float32) / 255.0
    return found


def _model(shape: Shape, classes: int) -> keras.Model:
    layers: list[Any] = [keras.Input(shape)]
    side, filters = min(shape[:2]), iter(_FILTERS)
    while True:
        layers += [
            keras.layers.Conv2D(next(filters, _FILTERS[-1]), 3, padding="same", use_bias=False),
            keras.layers.BatchNormalization(),
            keras.layers.ReLU(),
        ]
        if side <= _SMALLEST:
            break
        layers.append(keras.layers.MaxPooling2D())
        side //= 2
    layers += [
        keras.layers.Flatten(),
        keras.layers.Dropout(0.3),
        keras.layers.Dense(FEATURES, "relu", name=_LAYER),
        keras.layers.Dense(classes, "softmax", name="classes"),
    ]
    return keras.Sequential(layers)
