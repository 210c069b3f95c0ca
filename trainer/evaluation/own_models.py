"""Networks of the user's own as functions: by Keras, by TensorFlow, by ONNX Runtime."""

from collections.abc import Callable
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from trainer.errors import UserError
from trainer.evaluation.features import Network, Own
from trainer.evaluation.own import KERAS, ONNX, RANGES
from trainer.evaluation.resizing import fitted

_AXES = 4  # of images


class _Opened(NamedTuple):
    """A network that is loaded."""

    run: Callable[[np.ndarray], tuple[np.ndarray, np.ndarray | None]]
    """From images as it takes them to what its layer and its last layer give."""
    shape: tuple[Any, ...]
    """Of its input: height, width and channels, each None where it is free."""
    channels_first: bool = False


def load(network: Network) -> Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]:
    """From uint8 images [n, h, w, c] to features [n, size] and probabilities [n, classes].

    Raises:
        UserError: it cannot be loaded, has no such layer, or takes or gives something else.
    """
    own = network.own
    assert own is not None
    what = f"--features {own.place}"
    try:
        opened = _open(own)
    except UserError:
        raise
    except Exception as error:  # whatever these libraries raise of a file that is not theirs
        raise UserError(f"{what}: cannot be loaded: {_line(error)}") from None
    low, high = RANGES[own.preprocess]

    def look(images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        height, width, channels = opened.shape
        if images.shape[3] != 1 and channels not in (None, images.shape[3]):
            raise UserError(f"{what}: takes {channels} channel, and the images have {images.shape[3]}")
        x = fitted(images, height, width, channels or images.shape[3]) / 255.0 * (high - low) + low
        x = x.astype(np.float32)
        try:
            found, last = opened.run(x.transpose(0, 3, 1, 2) if opened.channels_first else x)
        except Exception as error:  # of a shape that it does not take, say
            raise UserError(f"{what}: does not take images {x.shape[1:]}: {_line(error)}") from None
        return _checked(what, own, found, last, len(images))

    return look


def _checked(
    what: str, own: Own, found: np.ndarray, last: np.ndarray | None, count: int
) -> tuple[np.ndarray, np.ndarray]:
    if found.ndim != 2 or len(found) != count:
        layer = f"layer {own.layer}" if own.layer else "its output"
        raise UserError(
            f"{what}: {layer} gives {list(found.shape)} of {count} images, expected [n, features]"
        )
    shares = np.zeros((count, 0), np.float32) if last is None or not own.classes else last
    if own.classes and shares.shape != (count, own.classes):
        raise UserError(
            f"{what}: gives {list(shares.shape)}, expected probabilities of {own.classes} classes"
        )
    return found.astype(np.float32), shares.astype(np.float32)


def _open(own: Own) -> _Opened:
    kind = own.local.suffix.lower()
    if own.local.is_file() and kind in KERAS:
        return _keras(own)
    return _onnx(own) if own.local.is_file() and kind == ONNX else _saved_model(own)


def _keras(own: Own) -> _Opened:
    model = keras.models.load_model(own.local, compile=False)
    if own.layer is not None and own.layer not in [layer.name for layer in model.layers]:
        _no_layer(own, [layer.name for layer in model.layers if layer.weights])
    last = model.outputs[0]
    inside = keras.Model(
        model.inputs, [last if own.layer is None else model.get_layer(own.layer).output, last]
    )
    run = tf.function(lambda x: inside(x, training=False), autograph=False, reduce_retracing=True)

    def numbers(images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        found, end = run(tf.constant(images))
        return found.numpy(), end.numpy()

    return _Opened(numbers, _shape(own, [tuple(each.shape) for each in model.inputs]))


def _saved_model(own: Own) -> _Opened:
    loaded = tf.saved_model.load(str(own.local))
    run = loaded.signatures["serving_default"]
    ((name, _),) = run.structured_input_signature[1].items()
    outputs = sorted(run.structured_outputs)
    layer = outputs[0] if own.layer is None and len(outputs) == 1 else own.layer
    if layer not in outputs:
        _no_layer(own, outputs)
    shape = _shape(own, [tuple(run.structured_input_signature[1][name].shape)])

    def numbers(images: np.ndarray, held: object = loaded) -> tuple[np.ndarray, None]:
        # Whoever holds `run` has to hold the variables that it reads too.
        return run(**{name: tf.constant(images)})[layer].numpy(), None

    return _Opened(numbers, shape)


def _onnx(own: Own) -> _Opened:
    try:
        import onnxruntime
    except ImportError:
        why = "onnxruntime is not installed, expected pip install 'gantry[features-onnx]'"
        raise UserError(f"--features {own.place}: {why}") from None
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(str(own.local), options, providers=["CPUExecutionProvider"])
    outputs = [each.name for each in session.get_outputs()]
    layer = outputs[0] if own.layer is None and len(outputs) == 1 else own.layer
    if layer not in outputs:
        _no_layer(own, outputs)
    given = [
        tuple(size if isinstance(size, int) else None for size in each.shape) for each in session.get_inputs()
    ]
    first = given[0][1] in (1, 3) and given[0][-1] not in (1, 3) if len(given[0]) == _AXES else False
    if first:
        given = [(each[0], *each[2:], each[1]) for each in given]
    name = session.get_inputs()[0].name
    return _Opened(lambda x: (session.run([layer], {name: x})[0], None), _shape(own, given), first)


def _shape(own: Own, inputs: list[tuple[Any, ...]]) -> tuple[Any, ...]:
    if len(inputs) != 1 or len(inputs[0]) != _AXES or inputs[0][3] not in (1, 3, None):
        raise UserError(
            f"--features {own.place}: takes {', '.join(map(str, inputs))}, expected images "
            "[n, height, width, 1 or 3]"
        )
    return inputs[0][1:]


def _no_layer(own: Own, names: list[str]) -> None:
    shown = ", ".join(names[:5]) + (", …" if len(names) > 5 else "")
    asked = (
        f"--layer {own.layer}: {own.place} has none of that name" if own.layer else f"--layer: {own.place}"
    )
    raise UserError(f"{asked}, expected one of {shown}")


def _line(error: Exception) -> str:
    return next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)[:200]
