"""A store for the holder of a run's lease, in which a process that lost the lease can replace nothing.

Every write is conditional on the generation that this process wrote last, or on there being no object. When
that fails, somebody else has written: what is there now is looked at first, then the lease is confirmed, and
only then the write is tried again on the condition of what was seen. A process that was paused anywhere on
the way therefore meets a generation of its successor's and is refused; one that still holds the lease writes
over whatever a predecessor left.

The lease is confirmed after a write as well, so that one that lost it gets at most the one request under way
through: an object that was not there, which its successor will write over. A bucket could otherwise take a
refused write for a success of ours, when the successor's bytes are the same.
"""

from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path

from trainer.errors import PreconditionFailed, StorageError
from trainer.run import layout
from trainer.run.lease import Lease
from trainer.storage import Dated, Stat, Store

_TRIES = 5


class FencedStore:
    """A `Store` whose changes need the lease."""

    def __init__(self, store: Store, lease: Lease) -> None:
        self._store, self._lease = store, lease
        self._known: dict[str, int] = {}

    @property
    def url(self) -> str:
        """Address of the store."""
        return self._store.url

    def check(self) -> None:
        """As the store does."""
        self._store.check()

    def read(self, name: str, start: int = 0, length: int | None = None) -> bytes:
        """As the store does."""
        return self._store.read(name, start, length)

    def dated(self, name: str) -> Dated:
        """As the store does."""
        return self._store.dated(name)

    def now(self) -> datetime | None:
        """As the store does."""
        return self._store.now()

    def write(self, name: str, content: bytes, if_generation: int | None = None) -> int:
        """Create or replace an object.

        Raises:
            LeaseLost: another process has taken the run over.
        """
        return self._put(name, if_generation, lambda generation: self._store.write(name, content, generation))

    def upload(self, name: str, path: Path, if_generation: int | None = None) -> int:
        """Like `write`, from a local file."""
        return self._put(name, if_generation, lambda generation: self._store.upload(name, path, generation))

    def download(self, name: str, path: Path) -> None:
        """As the store does."""
        self._store.download(name, path)

    def parts(self, found: Stat, start: int = 0) -> Iterator[bytes]:
        """As the store does."""
        return self._store.parts(found, start)

    def stat(self, name: str) -> Stat | None:
        """As the store does."""
        return self._store.stat(name)

    def list(self, prefix: str = "") -> Iterator[Stat]:
        """As the store does."""
        return self._store.list(prefix)

    def folders(self, prefix: str = "") -> Iterator[str]:
        """As the store does."""
        return self._store.folders(prefix)

    def delete(self, name: str, if_generation: int | None = None) -> None:
        """Remove an object as it is now, or as it was when the caller looked.

        Raises:
            LeaseLost: another process has taken the run over.
        """
        if if_generation is None:
            found = self._store.stat(name)
            if found is None:
                return
            if_generation = found.generation
        self._confirm()
        self._known.pop(name, None)
        self._store.delete(name, if_generation)

    def _put(self, name: str, if_generation: int | None, send: Callable[[int], int]) -> int:
        generation = self._known.get(name, 0) if if_generation is None else if_generation
        for _ in range(_TRIES):
            try:
                written = send(generation)
            except PreconditionFailed as failure:
                found = self._store.stat(name)  # before the lease is confirmed, never after
                self._confirm()
                if if_generation is not None:
                    raise
                generation, refused = found.generation if found else 0, failure
            else:
                self._confirm()
                self._known[name] = written
                return written
        raise refused

    def _confirm(self) -> None:
        """Confirm the lease; while nobody can say whether it is ours, wait as long as the store does."""
        while True:
            try:
                return self._lease.confirm()
            except StorageError:
                self._store.stat(layout.LEASE)
