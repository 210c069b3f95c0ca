"""A folder on a disk as a store."""

import errno
import fcntl
import os
import shutil
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

from trainer.errors import (
    AccessError,
    ObjectMissing,
    PreconditionFailed,
    StorageError,
)
from trainer.storage.base import (
    CHUNK_BYTES,
    UNFINISHED,
    Dated,
    Stat,
    check_folder,
    check_name,
    check_prefix,
)
from trainer.storage.clock import age
from trainer.storage.limits import naming, told, trouble
from trainer.storage.whole_file import whole_file

_LEFT_SECONDS = 600.0  # without a byte more, after which nobody writes a file any more
_PATH_ERRORS = {errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.EEXIST}
_USER_ERRORS = _PATH_ERRORS | {errno.EACCES, errno.EPERM}


class LocalStore:
    """Objects are files; a write goes to a temporary file, is synced and renamed.

    A file being written is called `.unfinished-…`: no listing shows it. A crash leaves at most one behind,
    which goes at the next write into its folder once nobody has written to it for ten minutes.
    A generation is the file's modification time in nanoseconds together with its inode. The time is set from
    the clock, since a kernel's own stamps stand still for some milliseconds and inodes are used again.
    Unlike a bucket, a folder cannot hold both an object ``a`` and an object ``a/b``.
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
        if os.statvfs(folder).f_flag & os.ST_RDONLY:
            raise AccessError(f"root {self._root}: {folder} is not writable: read-only file system")
        if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
            raise AccessError(f"root {self._root}: {folder} is not writable")
        if found := trouble(self._root):
            raise found

    def read(self, name: str, start: int = 0, length: int | None = None) -> bytes:
        """Content of a file, or a part of it."""
        path = self._path(name)
        with self._reading(name), path.open("rb") as file:
            file.seek(start)
            return file.read() if length is None else file.read(length)

    def dated(self, name: str) -> Dated:
        """Content of a file, and how long ago it was written by this machine's clock."""
        with self._reading(name), self._path(name).open("rb") as file:
            written = datetime.fromtimestamp(os.fstat(file.fileno()).st_mtime, UTC)
            return Dated(file.read(), age(written, self.now()))

    def now(self) -> datetime | None:
        """The time by this machine's clock, which dates what is written here.

        What another machine wrote into a shared folder is dated by that one's clock.
        """
        return datetime.now(UTC)

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
        partial = path.with_name(UNFINISHED + path.name)
        source = self._path(name)
        with self._reading(name):
            file = source.open("rb")
        with file, self._errors(name):
            try:
                with naming(partial.parent), partial.open("wb") as copy:
                    shutil.copyfileobj(file, copy, CHUNK_BYTES)
                partial.replace(path)
            finally:
                partial.unlink(missing_ok=True)

    def parts(self, found: Stat, start: int = 0) -> Iterator[bytes]:
        """A file's content up to the size it was listed with; a log may grow meanwhile."""
        with self._reading(found.name):
            file = self._path(found.name).open("rb")
        with file, self._errors(found.name):
            if _generation(os.fstat(file.fileno())) != found.generation:
                raise ObjectMissing(f"{self.url}/{found.name}: was replaced meanwhile")
            file.seek(start)
            left = found.size - start
            while left > 0 and (part := file.read(min(left, CHUNK_BYTES))):
                left -= len(part)
                yield part

    def stat(self, name: str) -> Stat | None:
        """Size and generation of a file."""
        path = self._path(name)
        with self._errors(name):
            try:
                found = path.stat()
            except (FileNotFoundError, NotADirectoryError):
                return None
        if not stat.S_ISREG(found.st_mode):
            return None
        return Stat(name, found.st_size, _generation(found), datetime.fromtimestamp(found.st_mtime, UTC))

    def list(self, prefix: str = "") -> Iterator[Stat]:
        """Files below the folder, by name; those being written are left out."""
        check_prefix(prefix)
        names = []
        with self._errors(prefix):
            for folder, _, files in os.walk(self._root / prefix.rpartition("/")[0], onerror=_unless_gone):
                below = Path(folder).relative_to(self._root)
                names += [(below / file).as_posix() for file in files if not file.startswith(UNFINISHED)]
        for name in sorted(name for name in names if name.startswith(prefix)):
            if found := self.stat(name):
                yield found

    def folders(self, prefix: str = "") -> Iterator[str]:
        """Folders directly below `prefix`."""
        folder = self._root / check_folder(prefix)
        names = []
        with self._errors(prefix):
            if folder.is_dir():
                names = [entry.name for entry in folder.iterdir() if entry.is_dir()]
        yield from sorted(names)

    def delete(self, name: str, if_generation: int | None = None) -> None:
        """Remove a file and the folders above it that are now empty."""
        path = self._path(name)
        with self._errors(name):
            if self._root.is_dir() and not path.is_dir():
                with self._lock(), suppress(FileNotFoundError, NotADirectoryError):
                    if if_generation is None or _generation(path.stat()) == if_generation:
                        path.unlink()
                self._prune(path)

    def _prune(self, path: Path) -> None:
        """Remove the folders above a file that are now empty."""
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

        def commit(temporary: Path) -> None:
            self._commit(name, temporary, if_generation)

        with self._errors(name):
            try:
                with whole_file(path, commit, make_folder=True) as file:
                    fill(file)
                    file.flush()
                    now = time.time_ns()
                    os.utime(file.fileno(), ns=(now, now))
                    generation = _generation(os.fstat(file.fileno()))
            except BaseException:
                self._prune(path)
                raise
            with suppress(FileNotFoundError):  # a `delete` beside us has removed both, which is its right
                _sync_folder(path.parent)
        return generation

    def _commit(self, name: str, temporary: Path, if_generation: int | None) -> None:
        """Give a finished file its name, if the object is still at the generation the caller expects."""
        with self._lock():
            if if_generation is not None:
                found = self.stat(name)
                if (found.generation if found else 0) != if_generation:
                    raise PreconditionFailed(f"{self.url}/{name}: another writer got there first")
            temporary.replace(self._path(name))
        _sweep(self._path(name))

    @contextmanager
    def _lock(self) -> Iterator[None]:
        """Hold the store's folder against other writers; the kernel lets go when we die."""
        folder = os.open(self._root, os.O_RDONLY)
        try:
            fcntl.flock(folder, fcntl.LOCK_EX)
            yield
        finally:
            os.close(folder)

    @contextmanager
    def _reading(self, name: str) -> Iterator[None]:
        """Like `_errors`, where a path that leads to no file means that there is no such object."""
        with self._errors(name):
            try:
                yield
            except (FileNotFoundError, IsADirectoryError, NotADirectoryError) as error:
                raise ObjectMissing(f"{self.url}/{name}: no such object") from error

    @contextmanager
    def _errors(self, name: str) -> Iterator[None]:
        """Say what the operating system said in the words of `Store`."""
        try:
            yield
        except OSError as error:
            where = f"{self.url}/{name}"
            kind = AccessError if error.errno in _USER_ERRORS else StorageError
            text = f"{where}: {(error.strerror or str(error)).lower()}"
            raise told(error, where) or kind(text) from error


def _sweep(written: Path) -> None:
    """Remove what writers that are gone have left beside a file that was just written."""
    with suppress(OSError):  # somebody else has, or whoever left it was another user
        now = written.stat().st_mtime
        for entry in os.scandir(written.parent):
            if entry.name.startswith(UNFINISHED) and now - entry.stat().st_mtime > _LEFT_SECONDS:
                Path(entry.path).unlink(missing_ok=True)


def _generation(found: os.stat_result) -> int:
    return (found.st_mtime_ns << 24) | (found.st_ino & 0xFFFFFF)


def _unless_gone(error: OSError) -> None:
    """Let a walk go on past a folder that was removed meanwhile."""
    if not isinstance(error, FileNotFoundError | NotADirectoryError):
        raise error


def _sync_folder(folder: Path) -> None:
    """Make a rename last through a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
