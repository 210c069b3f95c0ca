"""A run's lock: whoever starts, trains or destroys a run on this machine holds it.

It is an flock on the run's ``logs`` folder. A supervisor and its workers inherit the descriptor, so the
kernel lets go of it when the last of them is gone, however they went, and no clock, process number or host
name can be mistaken for that. It follows the folder when it is moved, and is not in a copy.

The lock is one machine's: a client of NFS keeps the locks of folders to itself. Writers on other machines are
found by the run's lease (`trainer.run.lease_holder.writer`).
"""

import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from launcher.errors import NoSuchRun, Unsupported
from trainer.errors import AccessError, GantryError
from trainer.storage.base import UNFINISHED
from trainer.storage.limits import Reserve, told

_POLL_SECONDS = 0.05
# Others hold it for a moment: a `status` that asks, a supervisor that is about to be gone.
_PATIENCE_SECONDS = 10.0

Busy = Callable[[bool], GantryError | None]
"""Why a run whose lock is held cannot be had, None to try again; told whether the patience is at its end."""


def is_held(folder: Path) -> bool:
    """Whether somebody holds the lock of the run in a folder; False where there is none."""
    try:
        descriptor = _open(folder)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:  # a file system without locks: nothing could be started on it
        return False
    finally:
        os.close(descriptor)
    return False


@contextmanager
def held(folder: Path, busy: Busy) -> Iterator[int]:
    """Hold the lock of the run in a folder; processes that inherit the descriptor hold it on.

    Raises:
        NoSuchRun: there is no such folder (any more).
        GantryError: what `busy` says.
        AccessError: the folder is not ours to read.
        Unsupported: its file system has no locks.
    """
    descriptor = _take(folder, busy)
    try:
        yield descriptor
    finally:
        os.close(descriptor)  # not LOCK_UN, which would take it from those that inherited it


@contextmanager
def held_while_emptied(folder: Path, busy: Busy) -> Iterator[None]:
    """The same for one who may remove every file of the run; what is then an empty folder is removed.

    The lock's own folder is there until the end: were it removed in between, another launcher could make it
    anew, lock that, and start a run whose files would be removed next.

    Raises:
        The same.
    """
    with _errors(folder):
        if not folder.is_dir():
            raise NoSuchRun(f"{folder}: there is no such folder")
        place = folder / "logs"
        place.mkdir(exist_ok=True)  # a run that no launcher started has none
    with held(folder, busy):
        stay = place / f"{UNFINISHED}held"
        with _errors(folder):
            stay.touch()
        try:
            yield
        finally:
            with suppress(OSError):  # each is left where something else is in it
                stay.unlink()
                Reserve(folder).free()
                place.rmdir()
                folder.rmdir()


def _is_of(descriptor: int, folder: Path) -> bool:
    """Whether a lock is the one of the folder as it is now, which may have been removed and made anew."""
    try:
        found = (folder / "logs").stat()
    except OSError:
        return False
    ours = os.fstat(descriptor)
    return (found.st_dev, found.st_ino) == (ours.st_dev, ours.st_ino)


def identity(folder: Path) -> str | None:
    """What a folder keeps when it is moved and loses when it is copied or made anew; None for none."""
    try:
        found = folder.stat()
    except OSError:
        return None
    return f"{found.st_dev}:{found.st_ino}"


def holders(folder: Path) -> list[int]:
    """Numbers of the processes that have the lock's folder open, as far as they can be seen from here."""
    found: list[int] = []
    try:
        lock = (folder / "logs").stat()
    except OSError:
        return found
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            for link in (entry / "fd").iterdir():
                with suppress(OSError):
                    there = link.stat()
                    if (there.st_dev, there.st_ino) == (lock.st_dev, lock.st_ino):
                        found.append(int(entry.name))
                        break
    return [pid for pid in sorted(found) if pid != os.getpid()]


def _take(folder: Path, busy: Busy) -> int:
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while True:
        with _errors(folder):
            descriptor = _open(folder)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _is_of(descriptor, folder):
                return descriptor
        except BlockingIOError:
            if error := busy(time.monotonic() > deadline):
                os.close(descriptor)
                raise error from None
        except OSError as error:
            os.close(descriptor)
            raise Unsupported(f"{folder}: its file system has no locks ({error.strerror})") from None
        os.close(descriptor)
        time.sleep(_POLL_SECONDS)


def _open(folder: Path) -> int:
    return os.open(folder / "logs", os.O_RDONLY | os.O_DIRECTORY)


@contextmanager
def _errors(folder: Path) -> Iterator[None]:
    try:
        yield
    except (FileNotFoundError, NotADirectoryError):
        raise NoSuchRun(f"{folder}: the run is gone, removed by somebody else meanwhile") from None
    except OSError as error:
        text = f"{folder}: {(error.strerror or str(error)).lower()}"
        raise told(error, folder) or AccessError(text) from None
