"""Logs in segments, as pods leave them in the bucket, read whole and while they grow."""

from itertools import pairwise

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from launcher.records.follow import LogLine, LogReader, last_error, log_workers, pod_of
from trainer.run.layout import worker_log, worker_log_segment

HEADER = "pod one-{}-x: worker {} of 2, attempt 1"


class CountingStore:
    """A store that counts what is asked of it."""

    def __init__(self, store):
        self._store, self.calls = store, []

    def read(self, name, *more):
        self.calls.append(name)
        return self._store.read(name, *more)

    def list(self, prefix):
        self.calls.append("list")
        return self._store.list(prefix)


def write(store, worker, segment, content):
    store.write(worker_log_segment(1, worker, segment), content)


def texts(lines):
    return [line.text for line in lines]


def test_segments_are_joined_by_number_after_the_whole_log(store):
    store.write(worker_log(1, 0), b"whole\n")
    write(store, 0, 10, b"gment 10\n")
    write(store, 0, 2, b"first\nse")
    write(store, 10, 0, b"other\n")
    assert LogReader(store, 1).read() == [
        LogLine(0, "whole"), LogLine(0, "first"), LogLine(0, "segment 10"), LogLine(10, "other"),
    ]  # fmt: skip
    assert LogReader(store, 1, 1).read() == []
    assert texts(LogReader(store, 1, 10).read()) == ["other"]
    assert log_workers(store, 1) == [0, 10]


def test_the_open_segment_grows_and_is_followed_by_the_next(store):
    reader = LogReader(store, 1)
    write(store, 0, 0, b"one\ntw")
    assert texts(reader.read()) == ["one"]
    assert texts(reader.read()) == []
    write(store, 0, 0, b"one\ntwo\n 1%\r 2%")
    assert texts(reader.read()) == ["two"]
    write(store, 0, 0, b"one\ntwo\n 1%\r 2%\r 3%")  # closed
    write(store, 0, 1, b"\nthree")
    assert texts(reader.read()) == [" 3%"]
    assert texts(reader.read(last=True)) == ["three"]
    assert texts(reader.read(last=True)) == []
    assert last_error(store, 1, 0) == "three"


def test_a_line_that_a_pod_did_not_end_is_kept_apart_from_the_next_pod(store):
    first, second = (HEADER.format(pod, 0) for pod in "ab")
    write(store, 0, 0, f"{first}\nstep 1\nste".encode())
    write(store, 0, 1, f"{second}\nstep 1\n".encode())
    assert texts(LogReader(store, 1).read()) == [first, "step 1", "ste", second, "step 1"]
    reader = LogReader(store, 1)
    assert [pod_of(text) for text in texts(reader.read())] == ["one-a-x", None, None, "one-b-x", None]


def test_silent_workers_cost_one_listing(store):
    for worker in range(20):
        write(store, worker, 0, b"closed\n")
        write(store, worker, 1, b"open\n")
    counting = CountingStore(store)
    reader = LogReader(counting, 1)
    assert len(reader.read()) == 40
    counting.calls.clear()
    assert reader.read() == []
    assert counting.calls == ["list"]
    write(store, 7, 1, b"open\nmore\n")
    assert reader.read() == [LogLine(7, "more")]
    assert set(counting.calls) == {"list", worker_log_segment(1, 7, 1)}


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    content=st.lists(st.sampled_from([b"a", b"b\n", b"\n", b"\r", b"\xc3\xa9\n", b"\xff"]), max_size=40),
    cuts=st.lists(st.integers(0, 80), max_size=5),
    reads=st.lists(st.integers(0, 80), max_size=5),
    number=st.integers(0, 10**6),
)
def test_wherever_it_is_cut_and_read_the_lines_are_the_same(tmp_path, content, cuts, reads, number):
    from trainer.storage import open_store

    whole = b"".join(content)
    store = open_store(str(tmp_path / f"{number}"))
    for stale in list(store.list()):
        store.delete(stale.name)
    reader, lines = LogReader(store, 1), []
    bounds = [0, *sorted(min(cut, len(whole)) for cut in cuts), len(whole)]
    for segment, (begin, end) in enumerate(pairwise(bounds)):
        for stop in [*sorted(at for at in reads if begin < at < end), end]:
            write(store, 0, segment, whole[begin:stop])
            lines += texts(reader.read())
    lines += texts(reader.read(last=True))
    write(store, 1, 0, whole)
    assert lines == texts(LogReader(store, 1, 1).read(last=True))
