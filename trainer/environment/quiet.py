"""Importing TensorFlow, which takes seconds and prints notes on the CPU."""

import gc
import importlib
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import BinaryIO

from trainer.console import printing
from trainer.environment import scratch
from trainer.errors import ConfigError

NOT_WANTED = ("sklearn", "scipy", "pandas", "joblib")
"""What Keras imports, if it is there, for wrappers that nothing here uses: 1.6 of 4.6 s. No image has it."""


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
    with _notes() as notes, printing.stderr_as(notes.fileno()) as stderr, _lightly():
        try:
            importlib.import_module("tensorflow")
        except BaseException:
            notes.seek(0)
            os.write(stderr, notes.read())
            raise


@contextmanager
def _lightly() -> Iterator[None]:
    """Import without what is not wanted, and without looking for garbage among the objects that come.

    Nearly all of these stay, so no later collection looks at them either; it saves 0.5 s of processor time.
    """
    left_out = [name for name in NOT_WANTED if name not in sys.modules]
    sys.modules.update(dict.fromkeys(left_out))  # type: ignore[arg-type]  # None: "import of … halted"
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
        gc.freeze()
    finally:
        if was_on:
            gc.enable()
        for name in left_out:
            sys.modules.pop(name, None)


def _notes() -> BinaryIO:
    """A file of this process alone, in memory where the kernel can: no folder need be writable."""
    if hasattr(os, "memfd_create"):
        return os.fdopen(os.memfd_create("gantry-notes"), "w+b")
    return tempfile.TemporaryFile()
