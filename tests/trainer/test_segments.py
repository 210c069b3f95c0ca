"""The pieces of a log: nothing lost, nothing twice, lines whole, memory bounded."""

from hypothesis import given
from hypothesis import strategies as st

from trainer.pod import log_segments
from trainer.pod.log_segments import SEGMENT_BYTES, UNSENT_BYTES, SegmentQueue

chunks = st.lists(
    st.one_of(
        st.binary(max_size=40),
        st.sampled_from([b"\n", b"\r", b"50%\r", b"line\n" * 9]),
        st.builds(lambda size, end: b"x" * size + end, st.integers(0, 3 * 64), st.sampled_from([b"", b"\n"])),
    ),
    max_size=60,
)


class Shelf:
    """A store that may be away: what it holds by segment."""

    def __init__(self):
        self.held = {}

    def drain(self, queue, with_open=True):
        while item := queue.take(with_open):
            self.put(queue, *item)

    def put(self, queue, segment, end):
        self.held[id(segment)] = segment, segment.text(end)
        queue.sent(segment, end)

    @property
    def text(self):
        return b"".join(content for _, content in self.held.values())


@given(chunks, st.data())
def test_segments_joined_are_the_log_whenever_they_are_written(pieces, data):
    before = log_segments.SEGMENT_BYTES
    log_segments.SEGMENT_BYTES = 64  # so that lines longer than a segment are tried too
    try:
        queue, shelf, taken = SegmentQueue(), Shelf(), None
        for piece in pieces:
            queue.append(piece)
            if taken:  # what was taken before the log grew arrives now
                shelf.put(queue, *taken)
                taken = None
            step = data.draw(st.sampled_from(["nothing", "drain", "closed", "take"]))
            if step == "take":
                taken = queue.take(True)
            elif step != "nothing":
                shelf.drain(queue, with_open=step == "drain")
            assert b"".join(pieces).startswith(shelf.text)
        if taken:
            shelf.put(queue, *taken)
        queue.finish()
        shelf.drain(queue)
        assert shelf.text == b"".join(pieces) and queue.unsent == 0
        for _, content in list(shelf.held.values())[:-1]:
            assert len(content) <= 64
            assert content.endswith(b"\n") or b"\n" not in content  # a line longer than a segment
    finally:
        log_segments.SEGMENT_BYTES = before


@given(st.lists(st.sampled_from([b"a", b"bc", b"d\n", b"\n", b"9%\r"]), max_size=30))
def test_an_open_segment_is_written_in_whole_lines_only(pieces):
    queue, shelf = SegmentQueue(), Shelf()
    for piece in pieces:
        queue.append(piece)
        shelf.drain(queue)
        assert not shelf.text or shelf.text.endswith(b"\n")


def test_without_a_store_memory_is_bounded_and_what_is_missing_is_said_where_it_is():
    line = b"%06d " + b"." * 92 + b"\n"
    log = [line % number for number in range(10 * UNSENT_BYTES // 100)]
    queue, shelf = SegmentQueue(), Shelf()
    for entry in log:
        queue.append(entry)
        assert queue.unsent <= UNSENT_BYTES
    queue.finish()
    shelf.drain(queue)
    kept = shelf.text.splitlines(keepends=True)
    notes = [number for number, entry in enumerate(kept) if entry.startswith(b"[")]
    assert len(notes) == 1
    head, note, tail = kept[: notes[0]], kept[notes[0]], kept[notes[0] + 1 :]
    assert head == log[: len(head)] and head  # which pod it was
    assert tail == log[-len(tail) :]  # and how it ended
    missing = len(log) * 100 - 100 * len(head) - 100 * len(tail)
    assert note.startswith(b"[%d bytes of the log are missing here" % missing)
    assert all(len(content) <= SEGMENT_BYTES + 200 for _, content in shelf.held.values())
