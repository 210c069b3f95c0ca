"""A run's files copied into a folder: in parallel, resumed where it was cut off, compared by crc32c."""

import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from launcher.artifacts.crew import Crew
from launcher.artifacts.fetching import COPIED, GONE, UNCHANGED, Fetched, Fetcher
from launcher.artifacts.listing import Listing
from launcher.artifacts.paths import Destination
from launcher.artifacts.selecting import Plan, Selection
from trainer.storage import LocalStore, Stat, Store

JOBS = 8  # at most at once from a bucket, whose answers take some 30 ms each to begin
_LOCAL_JOBS = 1  # copying from one disk to another gains nothing from threads

Advance = Callable[[int, int], None]
"""Hears how many bytes more are dealt with, which may be negative, and the size of the whole download."""


@dataclass
class Download:
    """What a download did; the names are all that grows with the number of files."""

    to: str
    copied: list[str] = field(default_factory=list)
    unchanged: list[str] = field(default_factory=list)
    """Files that were there already with the same size and crc32c."""
    gone: list[str] = field(default_factory=list)
    """Files that the run removed while it was being copied, such as an old checkpoint."""
    left_out: list[str] = field(default_factory=list)
    """Folders of checkpoints that have no manifest (yet) and so do not exist."""
    bytes: int = 0
    """Size of what was copied."""
    received: int = 0
    """Bytes that came from the store: fewer when files were resumed, more when some came twice."""


def download_files(
    store: Store,
    to: Path,
    only: Iterable[str] = (),
    *,
    step: int | None = None,
    latest: bool = False,
    jobs: int | None = None,
    advance: Advance | None = None,
) -> Download:
    """Copy a run's files into a folder; each appears under its name only when it is whole.

    What is there already with the same size and crc32c is left alone. What was cut off, by Ctrl-C or a lost
    connection, is resumed by the next call if the object is still the same. Files of the folder that the run
    does not have are left alone too.

    Args:
        store: the run's files.
        to: folder to copy into; made if absent.
        only: kinds of files to take (``samples``, ``run.json``); all when empty.
        step: take the checkpoint and the grid of this step alone.
        latest: take the newest complete checkpoint and grid, export, metrics, run.json and result.json alone.
        jobs: threads at most; None for what suits the store.
        advance: hears of bytes, one call at a time, from any thread.

    Raises:
        SpecError: the run has nothing of a kind or of the step; nothing was written.
        AccessError: `to` is no folder or refuses, the store refuses, or a name would leave the folder.
        StorageError: the store or the disk failed, or an object arrives damaged.
    """
    listing = Listing(store)
    plan = Plan(listing, Selection(frozenset(only), step, latest))
    destination = Destination(to)
    books = _Books(Download(str(to), left_out=plan.left_out), plan.total_bytes, advance)
    stopped = threading.Event()
    fetcher = Fetcher(store, destination, books.advance, stopped)

    def work(found: Stat) -> None:
        books.enter(found, fetcher.fetch(found))

    with Crew[Stat](jobs or (_LOCAL_JOBS if isinstance(store, LocalStore) else JOBS), work, stopped) as crew:
        for stage in (plan.files(), plan.manifests()):
            for found in stage:
                crew.put(found)
            crew.drain()
    return books.download


class _Books:
    """What was done so far, kept by several threads."""

    def __init__(self, download: Download, total: int, advance: Advance | None) -> None:
        self.download = download
        self._total, self._advance = total, advance
        self._lock = threading.Lock()

    def advance(self, count: int) -> None:
        """Some bytes more are dealt with."""
        if self._advance and count:
            with self._lock:
                self._advance(count, self._total)

    def enter(self, found: Stat, fetched: Fetched) -> None:
        """A file is dealt with."""
        done = self.download
        with self._lock:
            {COPIED: done.copied, UNCHANGED: done.unchanged, GONE: done.gone}[fetched.outcome].append(
                found.name
            )
            done.received += fetched.received
            if fetched.outcome == COPIED:
                done.bytes += found.size
