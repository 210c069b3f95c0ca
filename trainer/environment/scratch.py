"""A folder for this process' temporary files, which goes with it however it ends.

Checkpoints and exports pass through scratch folders, and libraries write files that they remove only at a
normal exit, which a trainer never has (AutoGraph one for each function, were it asked to convert any). All
of it lies in one folder whose lock the kernel lets go of with the process (flock(2)). So what a killed one
left is told from what a living one uses, in whatever container, and the next that begins removes it.
"""

import atexit
import fcntl
import os
import shutil
import stat
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

from trainer.errors import AccessError

PREFIX = "gantry-trainer-"
_TRIES = 20  # whoever sweeps may be quicker than a lock

_mine: Path | None = None


def begin() -> None:
    """Have temporary files of this process, and of what it starts, lie in a folder of its own; sweep others'.

    Raises:
        AccessError: no folder for temporary files can be written to.
    """
    global _mine
    if _mine is not None:
        return
    try:
        around = Path(tempfile.gettempdir())
        sweep(around)
        _mine = _make(around)
    except OSError as error:
        text = f"scratch folder: {error.strerror}; set TMPDIR to one that can be written to"
        raise AccessError(text) from None
    tempfile.tempdir = os.environ["TMPDIR"] = str(_mine)
    atexit.register(remove)


def remove() -> None:
    """Remove the folder; other threads may still write to it."""
    if _mine is not None:
        for _ in range(3):
            shutil.rmtree(_mine, ignore_errors=True)


def leave(code: int) -> NoReturn:
    """Remove the folder and end this process at once, from whatever thread."""
    try:
        remove()
    finally:
        os._exit(code)


def sweep(around: Path) -> None:
    """Remove the folders that processes of this user left in `around` and that none uses."""
    try:
        found = [entry.path for entry in os.scandir(around) if entry.name.startswith(PREFIX)]
    except OSError:  # it may be a folder that can be written to and not listed
        return
    for path in found:
        with suppress(OSError):
            about = os.lstat(path)
            if not stat.S_ISDIR(about.st_mode) or about.st_uid != os.geteuid():
                continue
            if (lock := _lock(path)) is not None:
                shutil.rmtree(path, ignore_errors=True)
                os.close(lock)


def _make(around: Path) -> Path:
    """A new folder with our lock on it, which stays until the process is gone."""
    for _ in range(_TRIES):
        path = tempfile.mkdtemp(prefix=PREFIX, dir=around)
        with suppress(FileNotFoundError):
            if _lock(path) is not None or not _can_lock(path):
                return Path(path)
    raise OSError(0, f"{around} is swept by others all the time")


def _lock(path: str) -> int | None:
    """A descriptor that holds the folder's lock; None when another process has it, or nobody can."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.lstat(path).st_ino == os.fstat(descriptor).st_ino:
            return descriptor
    except OSError:
        pass
    os.close(descriptor)
    return None


def _can_lock(path: str) -> bool:
    """Whether this file system has locks on folders (NFS has none): else nothing is ever swept there."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    finally:
        os.close(descriptor)
    return True
