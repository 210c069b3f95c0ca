"""One object: left alone when it is there already, else resumed or copied, compared, and given its name."""

import base64
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import google_crc32c

from launcher.artifacts.paths import Destination, part_path
from trainer.errors import ObjectMissing, StorageError
from trainer.storage import Stat, Store, crc32c
from trainer.storage.base import CHUNK_BYTES

_TRIES = 4  # of an object that changes under us or arrives damaged

COPIED, UNCHANGED, GONE = "copied", "unchanged", "gone"


class Stopped(Exception):
    """The whole download is over, by Ctrl-C or another object's error; what is here stays to be resumed."""


class Fetched(NamedTuple):
    """What became of an object."""

    outcome: str
    """`COPIED`, `UNCHANGED`, or `GONE` when the run removed it meanwhile."""
    received: int
    """Bytes that came from the store."""


class Fetcher:
    """Brings objects of a store into a local folder; used by several threads at once.

    Files are not synced to the disk one by one, which takes longer than their download. After a power cut a
    file may hold less than its name promises; the next call finds that out, since it compares the content.
    """

    def __init__(
        self, store: Store, destination: Destination, advance: Callable[[int], None], stopped: threading.Event
    ) -> None:
        """`advance` hears how many bytes more are dealt with; fewer when a file begins anew."""
        self._store, self._destination, self._stopped = store, destination, stopped
        self._advance = advance

    def fetch(self, listed: Stat) -> Fetched:
        """See to it that the local file is what the store holds.

        Raises:
            AccessError: the name leaves the folder, or the folder or the store refuses.
            StorageError: the object keeps changing, or arrives with another crc32c than it is stored with.
            Stopped: the download was stopped meanwhile.
        """
        target, found, received = self._destination.enter(listed.name), listed, 0
        for _ in range(_TRIES):
            self._destination.discard_other_parts(target, found.generation)
            if self._is_same(found, target):
                self._advance(listed.size)
                return Fetched(UNCHANGED, received)
            progress = _Progress(self._advance)
            try:
                whole = self._copy(found, target, progress)
            except ObjectMissing:
                whole = False
            received += progress.received
            if whole:
                self._advance(listed.size - progress.done)
                return Fetched(COPIED, received)
            self._advance(-progress.done)
            part_path(target, found.generation).unlink(missing_ok=True)
            if (now := self._store.stat(found.name)) is None:
                self._advance(listed.size)
                return Fetched(GONE, received)
            found = now
        raise StorageError(
            f"{self._store.url}/{found.name}: changed or arrived damaged {_TRIES} times; none of it is kept"
        )

    def _copy(self, found: Stat, target: Path, progress: "_Progress") -> bool:
        """Complete the unfinished file and rename it; False when its content is not what was listed."""
        with self._destination.part(found, target) as file:
            checksum = _begin(file, found)
            progress.add(file.tell())
            for content in self._store.parts(found, file.tell()):
                file.write(content)
                checksum.update(content)
                progress.add(len(content), received=True)
                if self._stopped.is_set():
                    raise Stopped
            file.flush()
            sum_ = base64.b64encode(checksum.digest()).decode()
            if file.tell() != found.size or found.crc32c not in (None, sum_):
                return False
            part_path(target, found.generation).replace(target)
        return True

    def _is_same(self, found: Stat, target: Path) -> bool:
        """Whether the local file is what the store holds; a folder keeps no sums, so it is read for that."""
        with self._destination.errors(target):
            if not target.is_file() or target.stat().st_size != found.size:
                return False
            local = crc32c(target)
        if found.crc32c is not None:
            return local == found.crc32c
        checksum = google_crc32c.Checksum()
        try:
            for content in self._store.parts(found):
                checksum.update(content)
        except ObjectMissing:
            return False
        return local == base64.b64encode(checksum.digest()).decode()


class _Progress:
    """Bytes of one attempt at an object."""

    def __init__(self, advance: Callable[[int], None]) -> None:
        self._advance, self.done, self.received = advance, 0, 0

    def add(self, count: int, *, received: bool = False) -> None:
        """Count some bytes."""
        self.done += count
        self.received += count if received else 0
        self._advance(count)


def _begin(file: BinaryIO, found: Stat) -> Any:
    """Sum up what an earlier call left in a file, which is then at its end; or empty it.

    Without a crc32c to compare with in the end, what is there cannot be trusted.
    """
    checksum = google_crc32c.Checksum()
    if found.crc32c is None or os.fstat(file.fileno()).st_size > found.size:
        file.truncate(0)
    while content := file.read(CHUNK_BYTES):
        checksum.update(content)
    return checksum
