"""A folder of a store as a store of its own: one connection and one set of credentials for 10,000 runs."""

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from trainer.storage.base import Dated, Stat, Store, check_folder, check_name, check_prefix


class Inside:
    """The objects of a store whose names begin with a folder, by their names within it."""

    def __init__(self, store: Store, folder: str) -> None:
        self._store = store
        self._folder = check_folder(f"{folder.strip('/')}/")

    @property
    def url(self) -> str:
        """Address of the folder."""
        return f"{self._store.url}/{self._folder}".rstrip("/")

    def check(self) -> None:
        """Check the store that it is in."""
        self._store.check()

    def read(self, name: str, start: int = 0, length: int | None = None) -> bytes:
        """Content of an object."""
        return self._store.read(self._outer(name), start, length)

    def dated(self, name: str) -> Dated:
        """Content of an object and its age."""
        return self._store.dated(self._outer(name))

    def now(self) -> datetime | None:
        """The time by the clock of the store that it is in."""
        return self._store.now()

    def write(self, name: str, content: bytes, if_generation: int | None = None) -> int:
        """Create or replace an object."""
        return self._store.write(self._outer(name), content, if_generation)

    def upload(self, name: str, path: Path, if_generation: int | None = None) -> int:
        """Create or replace an object from a file."""
        return self._store.upload(self._outer(name), path, if_generation)

    def download(self, name: str, path: Path) -> None:
        """Copy an object to a file."""
        self._store.download(self._outer(name), path)

    def parts(self, found: Stat, start: int = 0) -> Iterator[bytes]:
        """Parts of an object as a listing of this folder showed it."""
        return self._store.parts(found._replace(name=self._outer(found.name)), start)

    def stat(self, name: str) -> Stat | None:
        """One object as a listing shows it."""
        found = self._store.stat(self._outer(name))
        return None if found is None else self._inner(found)

    def list(self, prefix: str = "") -> Iterator[Stat]:
        """All objects whose names begin so."""
        return map(self._inner, self._store.list(self._folder + check_prefix(prefix)))

    def folders(self, prefix: str = "") -> Iterator[str]:
        """Folders directly below one."""
        return self._store.folders(self._folder + check_folder(prefix))

    def delete(self, name: str, if_generation: int | None = None) -> None:
        """Remove an object."""
        self._store.delete(self._outer(name), if_generation)

    def _outer(self, name: str) -> str:
        return self._folder + check_name(name)

    def _inner(self, found: Stat) -> Stat:
        return found._replace(name=found.name.removeprefix(self._folder))
