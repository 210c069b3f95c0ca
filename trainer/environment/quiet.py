"""Importing TensorFlow, which takes seconds and prints notes on the CPU."""

import importlib
import os
import sys
import tempfile
from importlib.util import find_spec
from typing import BinaryIO

from trainer.console import printing
from trainer.environment import scratch
from trainer.errors import ConfigError


def find_tensorflow() -> None:
    """Refuse to go on without TensorFlow, and without importing it.

    Raises:
        ConfigError: it is not installed; the text says what to install.
        AccessError: there is no folder for temporary files, which Keras asks for as it is imported.
    """
    if find_spec("tensorflow") is None:
        raise ConfigError("TensorFlow is not installed; run: pip install 'gantry[trainer]'")
    scratch.begin()


def load_tensorflow() -> None:
    """Import TensorFlow without the notes on the CPU that its libraries print before logging can be set.

    Raises:
        ConfigError: it is not installed; the text says what to install.
        AccessError: there is no folder for temporary files, which Keras asks for as it is imported.
    """
    if "tensorflow" in sys.modules:
        return
    find_tensorflow()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    with _notes() as notes, printing.stderr_as(notes.fileno()) as stderr:
        try:
            importlib.import_module("tensorflow")
        except BaseException:
            notes.seek(0)
            os.write(stderr, notes.read())
            raise


def _notes() -> BinaryIO:
    """A file of this process alone, in memory where the kernel can: no folder need be writable."""
    if hasattr(os, "memfd_create"):
        return os.fdopen(os.memfd_create("gantry-notes"), "w+b")
    return tempfile.TemporaryFile()
