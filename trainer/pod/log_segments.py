"""A log cut into pieces for a store whose objects cannot be appended to; pure, and bounded in memory.

The last piece is open: it grows, and is written again and again. A piece is closed at 256 KiB, at the end of
a line if there is one. What is handed out for writing ends with a whole line, so that a reader of the store
never meets half of one; only the last piece of a log, once it is finished, may end otherwise.

While nothing can be written, pieces gather here. Beyond `UNSENT_BYTES` the oldest but one is dropped: the
beginning says which pod it was, the end says why it ended.
"""

from collections import deque
from dataclasses import dataclass, field

SEGMENT_BYTES = 256 << 10
UNSENT_BYTES = 4 << 20


@dataclass(eq=False)
class Segment:
    """One piece of a log."""

    content: bytearray = field(default_factory=bytearray)
    number: int | None = None
    """Its number in the store, once it has one."""
    sent: int = 0
    """How many of its bytes are in the store."""
    dropped: int = 0
    """How many bytes were dropped before its first."""

    def text(self, end: int) -> bytes:
        """What is to be in the store when the first `end` bytes are."""
        return (_dropped(self.dropped) if self.dropped else b"") + bytes(self.content[:end])


class SegmentQueue:
    """The pieces that are not wholly in the store yet, oldest first."""

    def __init__(self) -> None:
        self._segments = deque([Segment()])
        self._finished = False

    @property
    def unsent(self) -> int:
        """Bytes that are here and not in the store."""
        return sum(len(segment.content) - segment.sent for segment in self._segments)

    @property
    def has_closed(self) -> bool:
        """Whether a piece is waiting that will not grow any more."""
        return len(self._segments) > 1

    def append(self, data: bytes) -> None:
        """Add to the end of the log, closing pieces that are full and dropping what is too much."""
        self._segments[-1].content += data
        while len(self._segments[-1].content) >= SEGMENT_BYTES:
            self._close()
        while self.unsent > UNSENT_BYTES and len(self._segments) > 2:
            self._drop()

    def finish(self) -> None:
        """Nothing more will come: what is left may go even if its last line is not whole."""
        self._finished = True

    def take(self, with_open: bool) -> tuple[Segment, int] | None:
        """The piece to write next and how many bytes of it; None when there is none.

        It stays at the head of the queue, and is never dropped, until `sent` says that it was written.
        """
        head = self._segments[0]
        if self.has_closed:
            return head, len(head.content)
        end = len(head.content) if self._finished else head.content.rfind(b"\n") + 1
        return (head, end) if with_open and end > head.sent else None

    def sent(self, segment: Segment, end: int) -> None:
        """The first `end` bytes of the piece that was taken are in the store now."""
        segment.sent = end
        if self.has_closed and end == len(segment.content):
            self._segments.popleft()

    def _close(self) -> None:
        full = self._segments[-1]
        # A line longer than a piece is cut anywhere.
        cut = full.content.rfind(b"\n", 0, SEGMENT_BYTES) + 1 or SEGMENT_BYTES
        self._segments.append(Segment(full.content[cut:]))
        del full.content[cut:]

    def _drop(self) -> None:
        victim, heir = self._segments[1], self._segments[2]
        heir.dropped += victim.dropped + len(victim.content)
        del self._segments[1]


def _dropped(count: int) -> bytes:
    return b"[%d bytes of the log are missing here: the store did not take them in time]\n" % count
