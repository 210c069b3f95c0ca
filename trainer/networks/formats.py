"""A generator as a file that other programs open: Keras, TensorFlow's servers, TensorFlow Lite, ONNX."""

import contextlib
import io
import shutil
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

import keras
import tensorflow as tf

from trainer.console import printing
from trainer.errors import ConfigError, GantryError
from trainer.networks import export


def save(model: keras.Model, kind: str, path: Path) -> None:
    """Write a model whole, or nothing.

    It takes `latents`, and `label` int32 where there are classes, and gives images in [-1, 1] as one output;
    batch normalization uses its moving statistics.

    Args:
        model: of Keras' own layers for ``keras``; any otherwise.
        kind: keras, savedmodel, tflite or onnx.
        path: the file, or the folder of ``savedmodel``, which must not be there.

    Raises:
        ConfigError: a layer is none of Keras' own.
        GantryError: the library cannot write this model so.
        OSError: the file cannot be written.
    """
    with tempfile.TemporaryDirectory(prefix=".gantry-", dir=path.absolute().parent) as folder:
        made = Path(folder) / path.name
        try:
            with tempfile.TemporaryFile() as notes, printing.stderr_as(notes.fileno()), _no_output():
                _SAVERS[kind](model, made)
        except (ConfigError, OSError):
            raise
        except Exception as error:  # whatever the libraries raise of a model that they do not take
            line = next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)
            raise GantryError(f"--format {kind}: cannot be written: {line[:200]}") from error
        made.replace(path)


def foreign_layers(model: keras.Model) -> list[str]:
    """Names of the layers that are none of Keras' own, without which a file of Keras does not open."""
    return [layer.name for layer in model.layers if not type(layer).__module__.startswith("keras.")]


def for_everybody(model: keras.Model, folder: Path) -> list[Path]:
    """Write what opens without Gantry: generator.keras, or the files of generator/, a SavedModel.

    Returns:
        The files, below `folder`.

    Raises:
        GantryError, OSError: as `save`.
    """
    if not foreign_layers(model):
        export.save(model, folder / "generator.keras")
        return [folder / "generator.keras"]
    save(model, "savedmodel", folder / "generator")
    return sorted(path for path in (folder / "generator").rglob("*") if path.is_file())


def _no_output() -> contextlib.redirect_stdout[io.StringIO]:
    """For what the libraries print of their progress."""
    return contextlib.redirect_stdout(io.StringIO())


def _keras(model: keras.Model, path: Path) -> None:
    if foreign := foreign_layers(model):
        raise ConfigError(
            f"--format keras: layer {foreign[0]} is none of Keras' own, expected savedmodel, which opens "
            "without Gantry"
        )
    export.save(model, path)


def _saved_model(model: keras.Model, path: Path) -> None:
    model.export(path, format="tf_saved_model", verbose=False)


def _tflite(model: keras.Model, path: Path) -> None:
    graph = path.with_name("graph")
    _saved_model(model, graph)
    path.write_bytes(tf.lite.TFLiteConverter.from_saved_model(str(graph)).convert())
    shutil.rmtree(graph)


def _onnx(model: keras.Model, path: Path) -> None:
    nothing = [tf.zeros((1, *each.shape[1:]), each.dtype) for each in model.inputs]
    model(nothing if len(nothing) > 1 else nothing[0])  # one that was never called is refused
    model.export(path, format="onnx", verbose=False)


_SAVERS: Mapping[str, Callable[[keras.Model, Path], None]] = {
    "keras": _keras,
    "savedmodel": _saved_model,
    "tflite": _tflite,
    "onnx": _onnx,
}
