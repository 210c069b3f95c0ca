"""A folder on a disk as a store."""

import errno
import fcntl
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

from trainer.errors import AccessError, ObjectMissing, PreconditionFailed, StorageError
from trainer.storage.base import CHUNK_BYTES, Stat, check_name

# Files being written carry this prefix; no listing shows them and a crash leaves at most one behind.
_UNFINISHED = ".unfinished-"
_USER_ERRORS = {errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.ENOENT, errno.EEXIST}


class LocalStore:
    """Objects are files; a write goes to a temporary file, is synced and renamed.

    A generation is the file's modification time in nanoseconds together with its inode, so that two writes
    within one clock tick differ too.
    """

    def __init__(self, root: str | Path) -> None:
        self._root = Path(root)

    @property
    def url(self) -> str:
        """Path of the folder as the user gave it."""
        return str(self._root)

    def check(self) -> None:
        """Find the nearest folder that exists and ask whether it may be written to; writes nothing."""
        folder = self._root.absolute()
        while not folder.exists():
            folder = folder.parent
        if not folder.is_dir():
            raise AccessError(f"root {self._root}: {folder} is a file, expected a folder")
        read_only = os.statvfs(folder).f_flag & os.ST_RDONLY
        if read_only or not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
            raise AccessError(f"root {self._root}: {folder} is not writable")

    def read(self, name: str, start: int = 0, length: int | None = None) -> bytes:
        """Content of a file, or a part of it."""
        with self._errors(name), self._path(name).open("rb") as file:
            file.seek(start)
            return file.read() if length is None else file.read(length)

    def write(self, name: str, content: bytes, if_generation: int | None = None) -> int:
        """Replace a file by way of a temporary one."""
        return self._replace(name, if_generation, lambda file: file.write(content))

    def upload(self, name: str, path: Path, if_generation: int | None = None) -> int:
        """Copy a local file into the store by way of a temporary one."""
        with path.open("rb") as source:
            return self._replace(
                name, if_generation, lambda file: shutil.copyfileobj(source, file, CHUNK_BYTES)
            )

    def download(self, name: str, path: Path) -> None:
        """Copy a file out of the store."""
        partial = path.with_name(_UNFINISHED + path.name)
        with self._errors(name):
            shutil.copyfile(self._path(name), partial)
            partial.replace(path)

    def stat(self, name: str) -> Stat | None:
        """Size and generation of a file."""
        path = self._path(name)
        try:
            found = path.stat()
        except (FileNotFoundError, NotADirectoryError):
            return None
        return Stat(name, found.st_size, _generation(found), datetime.fromtimestamp(found.st_mtime, UTC))

    def list(self, prefix: str = "") -> Iterator[Stat]:
        """Files below the folder, by name; those being written are left out."""
        start = self._root / prefix.rpartition("/")[0]
        names = (
            path.relative_to(self._root).as_posix()
            for path in start.rglob("*")
            if path.is_file() and not path.name.startswith(_UNFINISHED)
        )
        for name in sorted(name for name in names if name.startswith(prefix)):
            if found := self.stat(name):
                yield found

    def folders(self, prefix: str = "") -> Iterator[str]:
        """Folders directly below `prefix`."""
        folder = self._root / prefix
        if folder.is_dir():
            yield from sorted(entry.name for entry in folder.iterdir() if entry.is_dir())

    def delete(self, name: str) -> None:
        """Remove a file and the folders above it that are now empty."""
        path = self._path(name)
        with self._errors(name):
            path.unlink(missing_ok=True)
        for folder in path.parents:
            if folder == self._root or not folder.is_relative_to(self._root):
                return
            try:
                folder.rmdir()
            except OSError:
                return

    def _path(self, name: str) -> Path:
        return self._root / check_name(name)

    def _replace(self, name: str, if_generation: int | None, fill: Callable[[BinaryIO], object]) -> int:
        path = self._path(name)
        with self._errors(name):
            path.parent.mkdir(parents=True, exist_ok=True)
            descriptor, temporary = tempfile.mkstemp(prefix=_UNFINISHED, dir=path.parent)
            try:
                os.fchmod(descriptor, 0o644)
                with os.fdopen(descriptor, "wb") as file:
                    fill(file)
                    file.flush()
                    os.fsync(descriptor)
                    generation = _generation(os.fstat(descriptor))
                self._commit(name, Path(temporary), if_generation)
            finally:
                Path(temporary).unlink(missing_ok=True)
            _sync_folder(path.parent)
        return generation

    def _commit(self, name: str, temporary: Path, if_generation: int | None) -> None:
        """Give a finished file its name, if the object is still at the generation the caller expects."""
        path = self._path(name)
        if if_generation is None:
            temporary.replace(path)
            return
        with self._lock():
            found = self.stat(name)
            if (found.generation if found else 0) != if_generation:
                raise PreconditionFailed(f"{self.url}/{name}: another writer got there first")
            temporary.replace(path)

    @contextmanager
    def _lock(self) -> Iterator[None]:
        """Hold the store's folder against other conditional writers; the kernel lets go when we die."""
        folder = os.open(self._root, os.O_RDONLY)
        try:
            fcntl.flock(folder, fcntl.LOCK_EX)
            yield
        finally:
            os.close(folder)

    @contextmanager
    def _errors(self, name: str) -> Iterator[None]:
        """Say what the operating system said in the words of `Store`."""
        try:
            yield
        except FileNotFoundError as error:
            raise ObjectMissing(f"{self.url}/{name}: no such object") from error
        except OSError as error:
            text = f"{self.url}/{name}: {(error.strerror or str(error)).lower()}"
            raise (AccessError if error.errno in _USER_ERRORS else StorageError)(text) from error


def _generation(found: os.stat_result) -> int:
    return (found.st_mtime_ns << 24) | (found.st_ino & 0xFFFFFF)


def _sync_folder(folder: Path) -> None:
    """Make a rename last through a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
