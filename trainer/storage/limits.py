"""What of a machine comes to an end while a run needs it, said as what it is, with what frees it.

Room on a disk, a quota, the right to write to a disk, files that may be open: waiting mends none of them, and
what was saved before is whole. Stores, the scratch folder, the background writer and the last catch of both
command lines ask `told`, and a run keeps a `Reserve`, so that its last words have room.
"""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from trainer.errors import DiskFull, DiskReadOnly, Exhausted, GantryError, TooManyFiles, UserError
from trainer.storage.base import UNFINISHED

RESERVE_BYTES = 64 << 10  # status, index, lease and the launcher's record take 4 KiB each, a last line less
_LEAST_BYTES = 4 * RESERVE_BYTES  # for what a run writes before its first checkpoint, and what it keeps
_RESERVE = f"{UNFINISHED}reserve"
_SPARE_FILES = 8  # three of a write, and as many of the status' and the index' threads

_LIMITS: dict[int, tuple[type[Exhausted], str]] = {
    errno.ENOSPC: (DiskFull, "no space left on device (make room there)"),
    errno.EDQUOT: (DiskFull, "disk quota exceeded (remove files of this user there, or raise the quota)"),
    errno.EFBIG: (DiskFull, "file too large (a limit of the file system, or ulimit -f)"),
    errno.EROFS: (DiskReadOnly, "read-only file system (check the disk, and mount it for writing)"),
    errno.ENFILE: (TooManyFiles, "too many open files in system (raise fs.file-max)"),
    errno.EMFILE: (TooManyFiles, "too many open files"),  # the limit comes behind it
}  # a message in which the words of two are found, as those of ENFILE and EMFILE, is of the first


class Reserve:
    """Room for the last words of a run: 64 KiB of its disk, and a few files that may be open."""

    def __init__(self, place: str | Path) -> None:
        """`place`: the run's folder, or its address in a bucket, where only files can run out."""
        self._file = None if str(place).startswith("gs://") else Path(place) / _RESERVE
        self._spare: list[int] = []

    def keep(self) -> None:
        """Take it, or find it there, of a process that was killed. No listing of a store shows it.

        Raises:
            Exhausted: there is not even room for it.
        """
        with naming(self._file.parent if self._file else None):
            while len(self._spare) < _SPARE_FILES:
                self._spare.append(os.open(os.devnull, os.O_RDONLY))
            if self._file:
                _fill(self._file)

    def free(self) -> None:
        """Give it back: something has come to an end, or the run has."""
        while self._spare:
            os.close(self._spare.pop())
        if self._file:
            with suppress(OSError):
                self._file.unlink(missing_ok=True)


def told(error: BaseException, where: object = None) -> Exhausted | None:
    """An error of the system, or of a library that met one, as what it is; None for another kind.

    `where`: what was written or opened; the file that the error names where it is None.
    """
    if isinstance(error, GantryError):
        return error if isinstance(error, Exhausted) else None
    for cause in _causes(error):
        if (number := _number(cause)) is not None:
            kind, words = _LIMITS[number]
            if number == errno.EMFILE:
                words += _open_files()
            place = where or getattr(cause, "filename", None)
            return kind(f"{place}: {words}" if place else words)
    return None


def refused(what: str, error: OSError) -> GantryError:
    """Why a file that a person named could not be written; `what` is as in ``--out grid.png``."""
    return told(error, what) or UserError(f"{what}: cannot be written: {error.strerror or error}")


@contextmanager
def naming(where: object = None) -> Iterator[None]:
    """Say of an error that passes what has come to an end, and where, if something has.

    Raises:
        Exhausted: something has.
    """
    try:
        yield
    except GantryError:
        raise
    except Exception as error:
        if found := told(error, where):
            raise found from error
        raise


def trouble(folder: Path) -> Exhausted | None:
    """Why the disk of a folder, which need not be there yet, would take no run now; None if it would.

    Asked by a file without a name, which leaves nothing behind: the flags and counts of a file system know
    nothing of quotas, nor of a disk that failed, which ext4 goes on calling writable (Linux 6.18).
    """
    place = folder.absolute()
    while not place.is_dir() and place != place.parent:
        place = place.parent
    try:
        descriptor = os.open(place, os.O_TMPFILE | os.O_WRONLY)
        try:
            os.posix_fallocate(descriptor, 0, _LEAST_BYTES)
        finally:
            os.close(descriptor)
    except AttributeError:  # not on Linux
        return None
    except OSError as error:  # or a file system without such files, of which nothing can be said
        return told(error, folder)
    return None


def _fill(path: Path) -> None:
    """Make a file that really takes its bytes, of which a file system that compresses would save zeros."""
    try:
        if path.exists() and path.stat().st_size == RESERVE_BYTES:
            return
        path.write_bytes(os.urandom(RESERVE_BYTES))
    except OSError:
        with suppress(OSError):
            path.unlink(missing_ok=True)
        raise


def _causes(error: BaseException) -> Iterator[BaseException]:
    """An error, and those that it was raised from."""
    seen: list[BaseException] = []
    cause: BaseException | None = error
    while cause is not None and all(cause is not each for each in seen):
        yield cause
        seen.append(cause)
        cause = cause.__cause__ or (None if cause.__suppress_context__ else cause.__context__)


def _number(error: BaseException) -> int | None:
    """Which of the limits an error is of; TensorFlow tells it in words alone, and HDF5 and urllib3 may."""
    number = getattr(error, "errno", None)
    if number in _LIMITS:
        return int(number)
    if not (isinstance(error, OSError | RuntimeError) or type(error).__module__.startswith("tensorflow.")):
        return None
    text = str(error).lower()
    return next((each for each in _LIMITS if os.strerror(each).lower() in text), None)


def _open_files() -> str:
    with suppress(ImportError, OSError, ValueError):
        import resource

        return f" (this process may have {resource.getrlimit(resource.RLIMIT_NOFILE)[0]}: raise ulimit -n)"
    return ""
