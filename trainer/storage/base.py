"""What a store is: objects by name, replaced whole, with generations to compare against."""

import base64
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import NamedTuple, Protocol

import google_crc32c

from trainer.errors import AccessError

CHUNK_BYTES = 1 << 20  # read at once when a file is summed or copied
PART_BYTES = 8 << 20  # at most of one part of an object on its way into a local file
UNFINISHED = ".unfinished-"  # begins the name of a file being written; no object may be called so


class Stat(NamedTuple):
    """One object as a listing shows it."""

    name: str
    """Name within the store, with forward slashes."""
    size: int
    """Bytes."""
    generation: int
    """Changes with every write; compare for equality only."""
    updated: datetime
    """When it was last written; for people, never compared for order."""
    crc32c: str | None = None
    """As GCS writes it (see `crc32c`); None where the store knows it only by reading, as a folder does."""


class Dated(NamedTuple):
    """An object's content, and how old that is."""

    content: bytes
    age: float | None
    """Seconds since it was written, by the clock that dates the objects; None where it is not told."""


class Store(Protocol):
    """A folder on a disk or a prefix in a bucket.

    Objects appear whole or not at all. `if_generation` makes a write conditional: 0 means that there must be
    no object of that name, any other number that the object must still be at that generation; otherwise
    `PreconditionFailed` is raised and nothing changes.

    Every method raises `AccessError` where the user must mend something (no such bucket, no permission) and
    `StorageError` for the rest; reading an absent object raises `ObjectMissing`.
    """

    @property
    def url(self) -> str:
        """The path or ``gs://`` address of the store."""

    def check(self) -> None:
        """Raise `AccessError` unless the store can be read and, once asked to, written.

        Raises:
            Exhausted: its disk takes nothing any more.
        """

    def read(self, name: str, start: int = 0, length: int | None = None) -> bytes:
        """An object's content, or `length` bytes of it from `start`; fewer, or none, past its end."""

    def dated(self, name: str) -> Dated:
        """An object's content and its age, of one version."""

    def now(self) -> datetime | None:
        """The time by the clock that dates the objects; None before the store has answered something.

        Neither the clock of this machine nor that of whoever wrote an object may be compared with `updated`.
        """

    def write(self, name: str, content: bytes, if_generation: int | None = None) -> int:
        """Create or replace an object; returns its new generation."""

    def upload(self, name: str, path: Path, if_generation: int | None = None) -> int:
        """Like `write`, from a local file, checked by crc32c on the way."""

    def download(self, name: str, path: Path) -> None:
        """Copy an object to a local file, which appears only when it is whole."""

    def parts(self, found: Stat, start: int = 0) -> Iterator[bytes]:
        """The object just as a listing showed it, from `start` on, in parts of at most `PART_BYTES`.

        Raises:
            ObjectMissing: it is gone, or was replaced since it was listed.
        """

    def stat(self, name: str) -> Stat | None:
        """One object as a listing shows it, None when there is none."""

    def list(self, prefix: str = "") -> Iterator[Stat]:
        """All objects whose names begin with `prefix`, sorted by name."""

    def folders(self, prefix: str = "") -> Iterator[str]:
        """Folders directly below the folder `prefix` (empty or ending with a slash), sorted."""

    def delete(self, name: str, if_generation: int | None = None) -> None:
        """Remove an object; an absent one is no error, and one of another generation stays without one."""


def check_name(name: str) -> str:
    """The name itself, refused when it could leave the store's folder.

    Raises:
        AccessError: the name is absolute, has an empty or a dot part, a backslash or a NUL, or a part that
            begins like a file being written.
    """
    refused = any(part in ("", ".", "..") or part.startswith(UNFINISHED) for part in name.split("/"))
    if refused or "\\" in name or "\0" in name:
        raise AccessError(f"object name {name!r}: expected relative parts joined by single slashes")
    return name


def check_folder(prefix: str) -> str:
    """The folder itself, refused like a name unless it is empty or a name with a slash at its end.

    Raises:
        AccessError: it could lie outside the store, or does not end with a slash.
    """
    if prefix:
        check_name(prefix.removesuffix("/"))
        if not prefix.endswith("/"):
            raise AccessError(f"folder {prefix!r}: expected a slash at its end")
    return prefix


def check_prefix(prefix: str) -> str:
    """The beginning of names itself, refused when the folder that it names is refused.

    Raises:
        AccessError: its folder could lie outside the store.
    """
    folder, slash, _ = prefix.rpartition("/")
    check_folder(folder + slash)
    return prefix


def crc32c(content: bytes | Path) -> str:
    """crc32c of some bytes or of a file, as GCS writes it: base64 of four big-endian bytes."""
    checksum = google_crc32c.Checksum()
    if isinstance(content, bytes):
        checksum.update(content)
    else:
        with content.open("rb") as file:
            while chunk := file.read(CHUNK_BYTES):
                checksum.update(chunk)
    return base64.b64encode(checksum.digest()).decode()
