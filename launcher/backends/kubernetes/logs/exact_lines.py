"""Lines out of a pod's log stream, each exactly once, however often the stream is opened again. Pure.

A stream can be asked to begin at a time, but only to the second, so one that is opened again repeats lines
that were taken already. The node's runtime stamps every line in nanoseconds, and stamps can be equal: what
was taken is therefore remembered as a number of lines for each stamp, of the last second or two.

The run's folder holds a copy of what each pod wrote, without times. `rest_of_copy` and `meeting` say which of
its lines a stream that ended early did not give.
"""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import NamedTuple

from launcher.records.follow import pod_of

SECOND = 10**9  # stamps are nanoseconds since 1970
_STAMP = re.compile(rb"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(Z|[+-]\d\d:\d\d)(?: |$)")


class StampedLine(NamedTuple):
    """One line and when the node's runtime got it."""

    stamp: int
    content: bytes


def stamped(line: bytes) -> StampedLine | None:
    """A line of a stream with timestamps, None for what is none.

    That is the rest of a line whose beginning was left out, or the node's word that it has no log.
    """
    found = _STAMP.match(line)
    if not found:
        return None
    whole, fraction, zone = found.groups(default=b"")
    return StampedLine(_seconds(whole, zone) * SECOND + int(fraction.ljust(9, b"0")), line[found.end() :])


@lru_cache(maxsize=64)
def _seconds(whole: bytes, zone: bytes) -> int:
    return int(datetime.fromisoformat((whole + zone).decode()).timestamp())


class Joiner:
    """Lines out of chunks that are cut anywhere."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def feed(self, chunk: bytes) -> list[bytes]:
        """The lines that end in this chunk, without their ends."""
        if b"\n" not in chunk:  # a part of a long line: joined once, at its end
            self._parts.append(chunk)
            return []
        first, *more = chunk.split(b"\n")
        lines = [b"".join([*self._parts, first]), *more]
        self._parts = [lines.pop()]
        return lines

    def end(self) -> bytes:
        """What came after the last line's end."""
        rest, self._parts = b"".join(self._parts), []
        return rest


class Taken:
    """Which lines of a log were taken, to tell them when a stream is opened again.

    A node's two writers (stdout, stderr) may swap stamps, and its clock may be set back by up to a second
    at no loss. Once it was set back by more, a stream that is cut may repeat lines, and cut again lose some.
    """

    def __init__(self, *, whole: bool = True) -> None:
        self._begin: int | None = None  # of the lines that are wanted, unless all are
        self._whole = whole
        self._last: int | None = None
        self._floor = 0  # stamps from here on are remembered
        self._taken: Counter[int] = Counter()
        self._again: Counter[int] = Counter()  # lines that the open stream repeats
        self.number = 0
        """How many lines were taken."""
        self.gap = False
        """Whether the open stream came without the last line taken: the log was rotated away meanwhile."""

    @property
    def since(self) -> str | None:
        """The ``sinceTime`` to open the stream again with, None when nothing was taken."""
        if self._last is None:
            return None
        return datetime.fromtimestamp(self._floor // SECOND, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

    def opened(self) -> None:
        """A stream was opened (again), from `since` on."""
        self._again = self._taken.copy()
        self.gap = False

    def take(self, line: StampedLine) -> bool:
        """Whether this is a line of the stream that was not taken before; it is now."""
        if self._again[line.stamp] > 0:
            self._again[line.stamp] -= 1
            return False
        if self._last is not None and line.stamp < self._floor:
            self._floor = _floor(line.stamp)  # the clock was set back
        if self._begin is not None and line.stamp < self._begin:
            return False
        if self._last is not None and self._again[self._last] > 0:
            self.gap = True
        self._remember(line.stamp)
        return True

    def _remember(self, stamp: int) -> None:
        if self._last is None and not self._whole:
            self._begin = stamp
        self._last = stamp
        self.number += 1
        self._taken[stamp] += 1
        if _floor(stamp) > self._floor:
            self._floor = _floor(stamp)
            self._taken = Counter({at: count for at, count in self._taken.items() if at >= self._floor})


def _floor(stamp: int) -> int:
    """A full second, one or two before the stamp."""
    return (stamp // SECOND - 1) * SECOND


class Section(NamedTuple):
    """What one pod left in the copy of its worker's log."""

    pod: str
    """Empty for lines before the first that names a pod."""
    lines: list[str]


def sections(copy: Iterable[str]) -> list[Section]:
    """A worker's log pod by pod."""
    found: list[Section] = []
    for line in copy:
        pod = pod_of(line)
        if pod is not None or not found:
            found.append(Section(pod or "", []))
        found[-1].lines.append(line)
    return found


def rest_of_copy(copy: Sequence[str], count: int | None, recent: Sequence[str]) -> list[str]:
    """The lines of a pod's copy that come after those that its stream gave.

    Args:
        copy: The pod's section; it may end earlier than the stream did.
        count: How many lines the stream gave from the section's first on, None when it began later.
        recent: The last lines that the stream gave.
    """
    if not recent:
        return list(copy)
    if count is not None and len(copy) >= count > 0 and copy[count - 1] == recent[-1]:
        return list(copy[count:])
    for end in range(len(copy), 0, -1):  # lines repeat themselves, so as many as there are must agree
        length = min(end, len(recent))
        if copy[end - 1] == recent[-1] and list(copy[end - length : end]) == list(recent)[-length:]:
            return list(copy[end:])
    return []


def meeting(copy: Sequence[str], fresh: Sequence[str]) -> int:
    """The first place in `copy` from which on it and `fresh` agree as far as both go; its end if none."""
    for place in range(len(copy)):
        common = min(len(copy) - place, len(fresh))
        if fresh and list(copy[place : place + common]) == list(fresh[:common]):
            return place
    return len(copy)
