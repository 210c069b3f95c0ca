"""What this process says, in whole lines whichever of its threads says them."""

import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TextIO

_NOBODY = (OSError, ValueError, AttributeError)
_LINES = threading.RLock()
_aside: int | None = None


def say(text: str) -> None:
    """Print a line on stdout at once, if anybody is left who reads it: no line is worth a run."""
    with _LINES:
        _write(sys.stdout, text)


def complain(text: str) -> None:
    """Print a line on stderr at once in the same way, also while what libraries print there is held back."""
    with _LINES, suppress(*_NOBODY):
        if _aside is None:
            _write(sys.stderr, text)
        else:
            os.write(_aside, f"{text}\n".encode())


@contextmanager
def stderr_as(descriptor: int) -> Iterator[int]:
    """Let `descriptor` take what is written to stderr, but for `complain`; yields the old stderr's own."""
    global _aside
    sys.stderr.flush()
    kept = os.dup(2)
    with _LINES:
        os.dup2(descriptor, 2)
        _aside = kept
    try:
        yield kept
    finally:
        with _LINES:
            os.dup2(kept, 2)
            _aside = None
        os.close(kept)


def _write(stream: TextIO, text: str) -> None:
    with suppress(*_NOBODY):  # a full disk, or a reader that is gone
        stream.write(f"{text}\n")  # print() writes the end of a line by itself, and others come in between
        stream.flush()
