"""In which forms a generator may leave, checked before TensorFlow loads."""

import importlib.util
import os
from enum import StrEnum
from pathlib import Path

from trainer.environment.paths import require_folder
from trainer.errors import ConfigError


class Kind(StrEnum):
    """Of a file."""

    keras = "keras"
    savedmodel = "savedmodel"
    tflite = "tflite"
    onnx = "onnx"


_ENDINGS = {Kind.keras: ".keras", Kind.tflite: ".tflite", Kind.onnx: ".onnx"}
_OF_ONNX = ("tf2onnx", "onnx")


def check(kind: Kind, out: Path) -> None:
    """Refuse what could not be written.

    Raises:
        ConfigError: the name ends otherwise, something is in its place, its folder is missing or
            may not be written to, or a package is not installed.
    """
    ending = _ENDINGS.get(kind)
    if ending is not None and out.suffix != ending:
        raise ConfigError(f"--out {out}: expected a name ending in {ending} with --format {kind}")
    folder = kind is Kind.savedmodel
    if folder and out.suffix in _ENDINGS.values():
        raise ConfigError(f"--out {out}: expected the name of a folder with --format {kind}")
    if out.is_dir() or (folder and out.exists()):
        raise ConfigError(f"--out {out}: is there already, expected a new name")
    parent = require_folder(f"--out {out}", out)
    if not os.access(parent, os.W_OK):
        raise ConfigError(f"--out {out}: {parent} may not be written to")
    if kind is Kind.onnx:
        for package in _OF_ONNX:
            if importlib.util.find_spec(package) is None:
                raise ConfigError(
                    f"--format onnx: {package} is not installed, expected pip install {' '.join(_OF_ONNX)}"
                )
