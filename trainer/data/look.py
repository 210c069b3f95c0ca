"""A look at a source's files: which of them count, what each one holds, and what is to be said of them.

Whoever opens a source hands one `Look` in and reads from it afterwards. With a pin, only the files that a run
began with count, and each is compared with what it was then; see `trainer.data.pin`.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from threading import Lock
from typing import Any, NamedTuple

from numpy.typing import NDArray

from trainer.console.wording import several
from trainer.data.sources import Labels, problem, tidy_labels, unstreamable
from trainer.errors import DataError
from trainer.storage import crc32c
from trainer.survey.files import kind_of
from trainer.survey.telling import left_out_text

NAMED = 10
"""Files that a message names before it says how many more there are."""

# Twice the blocks of the default `data.shuffle_window`: a batch may touch two windows at once.
_CACHE_BLOCKS = 128


class File(NamedTuple):
    """One file of a source."""

    name: str
    """Below the source's folder, with forward slashes."""
    size: int
    crc32c: str
    """Of its content, as GCS writes it."""
    generation: int | None = None
    """Of an object in a bucket."""


class Look:
    """How a source is to be read, and what was found there; may be used from several threads.

    Args:
        name: the source, for messages.
        pinned: the files that the run began with, by name; None takes all.
        skipped: names that were left out, as damaged, when the run began.
        labels: whether labels are wanted; without them sub-folders mean nothing.
        labelled: whether images have to have one.
        skip_damaged: whether damaged images are left out instead of refused.
        telling: whether those of a set that is read as it is opened are left out and told, in `damaged`.
        limit: bytes of 8-bit images that may be taken into memory; None for any.
        cache_blocks: blocks of 256 images that a streamed set keeps in memory,
            ``2 * data.shuffle_window / 256``; other sets ignore it.
    """

    def __init__(
        self,
        name: str = "",
        pinned: Mapping[str, File] | None = None,
        skipped: Collection[str] = (),
        *,
        labels: bool = True,
        labelled: bool = False,
        skip_damaged: bool = False,
        telling: bool = False,
        limit: int | None = None,
        cache_blocks: int = _CACHE_BLOCKS,
    ) -> None:
        self.name, self.pinned, self.labels, self.skip_damaged = name, pinned, labels, skip_damaged
        self.labelled = labelled
        self.limit, self.telling, self.cache_blocks = limit, telling, cache_blocks
        self._skipped = set(skipped)
        self._lock = Lock()
        self.files: dict[str, File] = {}
        """What was read."""
        self.added: list[str] = []
        """What lies there and was not pinned."""
        self.left_out: Counter[str] = Counter()
        """What lies there and is nothing that is read, by kind."""
        self.damaged: dict[str, str] = {}
        """What cannot be read, and why."""
        self.coloured: set[str] = set()
        """Pictures with colours that were read as grey."""
        self.notes: list[str] = []
        """Lines for people about what was found."""
        self.label_problem = ""
        """Why labels that are there cannot be used."""

    def choose(self, found: Iterable[str]) -> list[str]:
        """The files that count, of those found, sorted.

        Raises:
            DataError: a pinned one is gone.
        """
        names = set(found)
        if self.pinned is None:
            return sorted(names)
        gone = sorted(name for name in self.pinned if name not in names and name not in self._skipped)
        if gone:
            raise self._unlike(gone, "gone")
        self.added = sorted(names - self.pinned.keys() - self._skipped)
        return sorted(name for name in self.pinned if name not in self._skipped)

    def saw(self, name: str, content: bytes | Path, generation: int | None = None) -> None:
        """Write down a file as it was read."""
        size = len(content) if isinstance(content, bytes) else content.stat().st_size
        self.know(File(name, size, crc32c(content), generation))

    def know(self, file: File) -> None:
        """Write down a file whose sum is known."""
        with self._lock:
            self.files[file.name] = file

    def check(self) -> None:
        """Compare what was read with what was pinned.

        Raises:
            DataError: a file is another one than the run began with.
        """
        if self.pinned is None:
            return
        changed = [
            name
            for name, file in sorted(self.files.items())
            if name in self.pinned and self.pinned[name][1:3] != file[1:3]
        ]
        if changed:
            raise self._unlike(changed, "not what it was" if len(changed) == 1 else "not what they were")

    def leave_out(self, name: str) -> None:
        """Count a file that is nothing that is read."""
        self.left_out[kind_of(name)] += 1

    def has_colours(self, name: str) -> None:
        """Note a picture whose colours are lost."""
        with self._lock:
            self.coloured.add(name)

    def skips(self, name: str) -> bool:
        """Whether an image was left out, as damaged, when the run began."""
        return name in self._skipped

    def sort_out(self, damaged: Mapping[str, str], count: int, prefix: str = "") -> None:
        """Leave damaged images out for good, if that is wanted.

        Args:
            damaged: by name, and why.
            count: of all images.
            prefix: what comes before their names in a message.

        Raises:
            DataError: it is not wanted, or none is left.
        """
        self.damaged |= damaged
        if self.telling:
            return
        if damaged and not self.skip_damaged:
            raise self.damage(damaged, count, prefix)
        if damaged and len(damaged) == count:
            raise problem(self.name, f"{several(count, 'image')}, of which none can be read")
        for name in damaged:
            self._skipped.add(name)
            self.files.pop(name, None)

    def damage(self, damaged: Mapping[str, str], count: int, prefix: str = "") -> DataError:
        """The error of damaged images: how many, the first ten, and what lists the others."""
        named = "; ".join(f"{printable(prefix + name)} {why}" for name, why in list(damaged.items())[:NAMED])
        rest = len(damaged) - NAMED
        more = f" and {rest} more, which 'python -m trainer data show {self.name}' lists" if rest > 0 else ""
        return problem(
            self.name,
            f"{len(damaged)} of {count} images cannot be read: {named}{more}; mend or remove them, or "
            "leave them out with --set data.skip_damaged=true",
        )

    @property
    def skipped(self) -> tuple[str, ...]:
        """Damaged files that are left out."""
        return tuple(sorted(self._skipped))

    def tidy(self, values: NDArray[Any], count: int) -> tuple[Labels | None, tuple[str, ...] | None]:
        """The labels of `count` images with their names; neither, and a note, where they cannot be used."""
        if not self.labels:
            return None, None
        try:
            labels, names = tidy_labels(self.name, values)
        except DataError as error:
            self.no_labels(str(error).removeprefix(str(problem(self.name, ""))).strip())
            return None, None
        if len(labels) != count:
            self.no_labels(f"{len(labels)} labels for {count} images")
            return None, None
        return labels, names

    def no_labels(self, why: str) -> None:
        """Say that labels are there which cannot be used."""
        self.label_problem = why
        note = f"{why}; the set is used without labels"
        if note not in self.notes:
            self.notes.append(note)

    def admit(self, nbytes: int) -> None:
        """Refuse a set that is too large for memory, before it is read.

        Raises:
            DataError: it is.
        """
        if self.limit is not None and nbytes > self.limit:
            raise too_large(self.name, nbytes, self.limit)

    def lines(self) -> list[str]:
        """What is to be said, a line each."""
        said = []
        if self.left_out:
            said.append(f"left out, as no images that are read: {left_out_text(self.left_out)}")
        if self._skipped:
            said.append(f"left out, as they cannot be read: {some(self.skipped)}")
        if self.added:
            came, wait = several(len(self.added), "file"), "waits" if len(self.added) == 1 else "wait"
            said.append(f"{came} came since the run began and {wait} for the next one: {some(self.added)}")
        return said + self.notes

    def _unlike(self, names: list[str], how: str) -> DataError:
        total = len(self.pinned or ())
        be = "is" if len(names) == 1 else "are"
        return problem(
            self.name,
            f"{len(names)} of {total} files that the run began with {be} {how}: {some(names)}; put them back,"
            " go on with what is there by --accept-changed-data, or begin a new run with --warm-start",
        )


def some(names: Collection[str]) -> str:
    """The first of many names."""
    first = [printable(name) for name in list(names)[:NAMED]]
    rest = len(names) - len(first)
    return ", ".join(first) + (f" and {rest} more" if rest else "")


def too_large(name: str, nbytes: int, limit: int) -> DataError:
    """The error of a set that does not go into memory and is no set of shards."""
    return unstreamable(
        name,
        f"{nbytes / 2**20:.0f} MiB are more than data.memory_limit_mb {limit >> 20}, "
        "and only shards can be streamed",
    )


def unfit(name: str, error: MemoryError) -> DataError:
    """The error of a set for which this machine has no memory."""
    return problem(name, f"does not go into this machine's memory: {error}")


def printable(name: str) -> str:
    """A file's name as text: the system's names are bytes, and not all of them are UTF-8."""
    return name.encode(errors="backslashreplace").decode()
