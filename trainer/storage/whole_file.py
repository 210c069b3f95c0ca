"""The one way to write a file: it has its name when it is whole and synced, and its mode by the umask."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from trainer.storage.base import UNFINISHED

_TRIES = 100


@contextmanager
def whole_file(
    path: Path, commit: Callable[[Path], object] | None = None, *, make_folder: bool = False
) -> Iterator[BinaryIO]:
    """A new file to be written beside `path`, which takes its place in the end, or goes where that fails.

    Args:
        path: where to.
        commit: what gives the finished file its name, by a path that it has until then; None renames it.
        make_folder: make the folder, which somebody may remove for as long as it is empty.

    Raises:
        OSError: as the operating system says it.
    """
    temporary = _new_file(path.parent, make_folder)
    try:
        with temporary.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        if commit is None:
            temporary.replace(path)
        else:
            commit(temporary)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _new_file(folder: Path, make_folder: bool) -> Path:
    for attempt in range(_TRIES):
        path = folder / f"{UNFINISHED}{os.urandom(8).hex()}"
        try:
            if make_folder:
                folder.mkdir(parents=True, exist_ok=True)
            path.touch(exist_ok=False)
            return path
        except (FileNotFoundError, FileExistsError):  # the latter: it went while mkdir looked what is there
            if not make_folder or attempt == _TRIES - 1:
                raise
    raise AssertionError("unreachable")
