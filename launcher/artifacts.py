"""The files a run leaves behind: listed, and copied out of its store."""

import base64
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import google_crc32c

from launcher.errors import SpecError
from trainer.errors import AccessError, ObjectMissing
from trainer.storage import Stat, Store, check_name, crc32c
from trainer.storage.base import CHUNK_BYTES


@dataclass(frozen=True)
class Artifact:
    """One file of a run."""

    name: str
    size: int
    """Bytes."""
    updated: str
    """ISO time."""


@dataclass(frozen=True)
class Transfer:
    """One file of a download that is dealt with."""

    name: str
    size: int
    copied: bool
    """False when it was there already."""
    total_bytes: int
    """Size of the whole download."""


@dataclass(frozen=True)
class Download:
    """What a download did."""

    to: str
    copied: list[str]
    unchanged: list[str]
    """Files that were there already with the same size and crc32c."""
    gone: list[str]
    """Files that the run removed while it was being copied, such as an old checkpoint."""
    bytes: int
    """Size of what was copied."""


def list_files(store: Store, only: Iterable[str] = ()) -> list[Artifact]:
    """Files of a run, or those of some kinds: names directly below the run's folder.

    Raises:
        SpecError: the run has nothing of a kind.
    """
    return [Artifact(found.name, found.size, found.updated.isoformat()) for found in _select(store, only)]


def download_files(
    store: Store, to: Path, only: Iterable[str] = (), report: Callable[[Transfer], None] | None = None
) -> Download:
    """Copy a run's files into a folder; each appears under its name only when it is whole.

    Raises:
        UserError: `to` is no folder, the run has nothing of a kind, or a name would leave the folder.
    """
    files = _select(store, only)
    if to.exists() and not to.is_dir():
        raise AccessError(f"--to {to}: is a file, expected a folder")
    total = sum(found.size for found in files)
    groups: dict[str, list[str]] = {"copied": [], "unchanged": [], "gone": []}
    moved = 0
    for found in files:
        outcome = _fetch(store, found, to)
        groups[outcome].append(found.name)
        moved += found.size if outcome == "copied" else 0
        if report:
            report(Transfer(found.name, found.size, outcome == "copied", total))
    return Download(str(to), **groups, bytes=moved)


def _select(store: Store, only: Iterable[str]) -> list[Stat]:
    files = list(store.list())
    kinds = {check_name(found.name).partition("/")[0] for found in files}
    wanted = set(only)
    for kind in sorted(wanted - kinds):
        raise SpecError(
            f"--only {kind}: the run has none; it has {', '.join(sorted(kinds)) or 'nothing yet'}"
        )
    return [found for found in files if not wanted or found.name.partition("/")[0] in wanted]


def _fetch(store: Store, found: Stat, to: Path) -> str:
    target = to / found.name
    try:
        if target.is_file() and target.stat().st_size == found.size and _same(store, found, target):
            return "unchanged"
        target.parent.mkdir(parents=True, exist_ok=True)
        store.download(found.name, target)
    except ObjectMissing:
        return "gone"
    except OSError as error:
        raise AccessError(f"--to {to}: {target} cannot be written ({error.strerror})") from error
    return "copied"


def _same(store: Store, found: Stat, target: Path) -> bool:
    """Whether a file is what the store holds, by crc32c; read in parts, as a checkpoint may be large."""
    checksum = google_crc32c.Checksum()
    for start in range(0, found.size, CHUNK_BYTES):
        checksum.update(store.read(found.name, start, CHUNK_BYTES))
    return crc32c(target) == base64.b64encode(checksum.digest()).decode()
