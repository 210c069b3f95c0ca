"""Where in a local folder an object goes: never outside of it, and under its own name only when it is whole.

Until then its bytes are in ``.unfinished-<generation>-<name>`` beside it. No object may be called so
(`check_name`), and the generation tells a later call whether they are the beginning of what there is now.
"""

import errno
import fcntl
import hashlib
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from trainer.errors import AccessError, StorageError
from trainer.storage import Stat, check_name
from trainer.storage.base import UNFINISHED
from trainer.storage.limits import told

_LONGEST = 180  # bytes of a name that fits a file's name (255) together with a generation
_FOLDERS = 500  # remembered as looked at; one that was forgotten is looked at again


def local_path(folder: Path, name: str) -> Path:
    """Path of an object's copy, inside of `folder` as far as names tell.

    Raises:
        AccessError: the name could leave the folder: it is absolute, has a dot part, a backslash, a NUL or a
            drive, or is no text that a file system could take.
    """
    check_name(name)
    try:
        name.encode()
    except UnicodeEncodeError:
        raise AccessError(f"object name {name!r}: expected Unicode text") from None
    path = folder.joinpath(*name.split("/"))
    if not path.is_relative_to(folder):  # a drive, where there are such
        raise AccessError(f"object name {name!r}: expected relative parts joined by single slashes")
    return path


def part_path(target: Path, generation: int) -> Path:
    """File that holds the beginning of an object of that generation."""
    return target.with_name(f"{UNFINISHED}{generation}-{_part_key(target.name)}")


class Destination:
    """A local folder that objects are copied into; used by several threads at once."""

    def __init__(self, to: Path) -> None:
        """Nothing is made yet.

        Raises:
            AccessError: `to` is a file.
        """
        if to.exists() and not to.is_dir():
            raise AccessError(f"--to {to}: is a file, expected a folder")
        self._to, self._root = to, to.resolve()
        self._lock = threading.Lock()
        self._parts: dict[Path, dict[str, list[Path]]] = {}
        """Unfinished files by folder and by the name they are of, as they were when it was entered."""

    def enter(self, name: str) -> Path:
        """Path of an object's copy; its folder is made.

        Raises:
            AccessError: the name leaves the folder, by itself or through a symbolic link.
        """
        target = local_path(self._to, name)
        with self._lock, self.errors(target):
            if target.parent not in self._parts:
                self._check_inside(name, target.parent)
                target.parent.mkdir(parents=True, exist_ok=True)
                if len(self._parts) >= _FOLDERS:
                    self._parts.clear()
                self._parts[target.parent] = _parts_in(target.parent)
            if target.is_symlink():
                self._check_inside(name, target)
        return target

    def discard_other_parts(self, target: Path, generation: int) -> None:
        """Remove what an earlier call left of other generations of an object."""
        keep = part_path(target, generation)
        with self._lock, self.errors(target):
            for path in self._parts.get(target.parent, {}).pop(_part_key(target.name), []):
                if path != keep:
                    path.unlink(missing_ok=True)

    @contextmanager
    def part(self, found: Stat, target: Path) -> Iterator[BinaryIO]:
        """The unfinished file of an object, made if absent, at its beginning, and for this process alone.

        Raises:
            AccessError: another process has it open.
        """
        path = part_path(target, found.generation)
        with self.errors(target), os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o666), "r+b") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise AccessError(f"--to {self._to}: another download is writing {path}") from None
            yield file

    @contextmanager
    def errors(self, target: Path) -> Iterator[None]:
        """Say what the operating system said in one line."""
        try:
            yield
        except OSError as error:
            kind = StorageError if error.errno == errno.EIO else AccessError  # nobody's mistake
            text = f"--to {self._to}: {target} cannot be written ({error.strerror})"
            raise told(error, f"--to {self._to}: {target}") or kind(text) from error

    def _check_inside(self, name: str, path: Path) -> None:
        if not path.resolve().is_relative_to(self._root):
            raise AccessError(f"object name {name!r}: {path} is a link that leaves {self._to}")


def _part_key(name: str) -> str:
    """What stands for a name in that of its unfinished file."""
    long = len(name.encode()) > _LONGEST
    return hashlib.sha256(name.encode()).hexdigest() if long else name


def _parts_in(folder: Path) -> dict[str, list[Path]]:
    """Unfinished files of a folder by the key of the name they are of."""
    found: dict[str, list[Path]] = {}
    with suppress(FileNotFoundError), os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith(UNFINISHED):
                key = entry.name.removeprefix(UNFINISHED).partition("-")[2]
                found.setdefault(key, []).append(Path(entry.path))
    return found
