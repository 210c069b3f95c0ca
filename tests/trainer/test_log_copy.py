"""A log's way to stdout and to the run's folder, with stores that fail."""

import os
import threading

import pytest

from trainer.errors import AccessError, PreconditionFailed
from trainer.pod import log_uploader
from trainer.pod.log_segments import SEGMENT_BYTES
from trainer.pod.log_uploader import LogCopy
from trainer.run import layout
from trainer.storage import open_store


@pytest.fixture(autouse=True)
def hasty(monkeypatch):
    """No test waits for a beat, and none hangs on what it measures."""
    monkeypatch.setattr(log_uploader, "_BEAT_SECONDS", 0.01)
    monkeypatch.setattr(log_uploader, "_RETRY_SECONDS", 0.01)


@pytest.fixture
def printed(tmp_path):
    """Where stdout goes, and a function that reads it."""
    path = tmp_path / "stdout"
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    yield descriptor, path.read_bytes
    os.close(descriptor)


def segments(store):
    return {stat.name: store.read(stat.name) for stat in store.list("logs/")}


def copied(store):
    return b"".join(segments(store).values())


def until(condition):
    """Wait for another thread."""
    pause = threading.Event()
    for _ in range(3000):
        if condition():
            return
        pause.wait(0.01)
    raise AssertionError("waited too long")


def test_the_copy_is_what_was_printed(store, printed):
    descriptor, output = printed
    copy = LogCopy(store, 1, 0, descriptor)
    copy.say("pod gan-0: worker 0 of 1, attempt 1")
    copy.write(b"line\n 10%\r 20%\r")
    copy.write(b"\xff\xfe no newline")
    copy.say("a line of our own")
    for number in range(3 * SEGMENT_BYTES // 60):
        copy.write(b"%060d\n" % number)
    copy.write(b"the end")
    copy.close(60)
    assert output() == copied(store)
    assert output().startswith(
        b"pod gan-0: worker 0 of 1, attempt 1\nline\n 10%\r 20%\r\xff\xfe no newline\na line of our own\n0000"
    )
    assert output().endswith(b"\nthe end\n")
    names = list(segments(store))
    assert names == [layout.worker_log_segment(1, 0, number) for number in range(len(names))]
    assert len(names) >= 3


def test_the_open_segment_is_in_the_store_before_it_is_closed(store, printed):
    copy = LogCopy(store, 1, 0, printed[0])
    copy.write(b"one\ntw")
    until(lambda: copied(store) == b"one\n")
    copy.write(b"o\nthree\n")
    until(lambda: copied(store) == b"one\ntwo\nthree\n")
    assert len(segments(store)) == 1
    copy.close(60)


def test_a_pod_that_replaces_another_goes_on_with_the_next_number(store, printed):
    for name in (layout.worker_log(1, 0), layout.worker_log_segment(1, 10, 7), "logs/1/worker-0.notes"):
        store.write(name, b"of somebody else\n")
    for pod in range(3):
        copy = LogCopy(store, 1, 0, printed[0])
        copy.say(f"pod {pod}")
        copy.close(60)
    found = {name: content for name, content in segments(store).items() if content.startswith(b"pod")}
    assert found == {layout.worker_log_segment(1, 0, pod): b"pod %d\n" % pod for pod in range(3)}


def test_a_pod_that_was_replaced_and_still_writes_loses_nothing_and_overwrites_nothing(store, printed):
    old, new = (LogCopy(store, 1, 0, printed[0]) for _ in range(2))
    for copy, name in ((old, "old"), (new, "new")):
        copy.say(f"{name} begins")
        until(lambda name=name: f"{name} begins\n".encode() in copied(store))
    for copy, name in ((old, b"old"), (new, b"new")):
        copy.write((name * 19 + b"\n") * (SEGMENT_BYTES // 40))
        copy.close(60)
    found = list(segments(store).values())
    for name in (b"old", b"new"):
        own = b"".join(content for content in found if name in content)
        assert own == name + b" begins\n" + (name * 19 + b"\n") * (SEGMENT_BYTES // 40)


class Failing:
    """A store that fails so many times, after or before it has done what it was asked."""

    def __init__(self, store, failures, error, *, after=False):
        self.store, self.failures, self.error, self.after = store, failures, error, after
        self.tried = 0

    def write(self, name, content, if_generation=None):
        self.tried += 1
        fails, self.failures = self.failures > 0, self.failures - 1
        if fails and not self.after:
            raise self.error
        generation = self.store.write(name, content, if_generation)
        if fails:
            raise self.error
        return generation

    def __getattr__(self, name):
        return getattr(self.store, name)


@pytest.mark.parametrize(
    "error", [AccessError("bucket 'x' refuses"), ConnectionError("odd"), ValueError("a bug")]
)
@pytest.mark.parametrize("after", [False, True])
def test_a_store_that_fails_is_complained_about_once_and_asked_again(store, printed, error, after):
    failing = Failing(store, 3, error, after=after)
    copy = LogCopy(failing, 1, 0, printed[0])
    copy.write(b"one\nhalf a")
    until(lambda: failing.tried >= 4 and copied(store))
    copy.write(b" line\n")
    copy.close(60)
    assert copied(store) == printed[1]() and len(segments(store)) == 1
    assert printed[1]().splitlines() == [
        b"one",
        b"half a line",
        f"warning: this log cannot be copied, training goes on: {error}".encode(),
    ]


def test_a_store_that_stays_away_holds_up_nothing_and_the_end_says_what_is_missing(tmp_path, printed):
    failing = Failing(open_store(str(tmp_path / "store")), 10**9, PreconditionFailed("no"))
    failing.read = lambda name: b"of somebody else"
    failing.write = lambda *_, **__: (_ for _ in ()).throw(ConnectionError("away"))
    copy = LogCopy(failing, 1, 0, printed[0])
    copy.write(b"line\n" * 1000)
    until(lambda: copy._warned)
    copy.close(0)
    lines = printed[1]().splitlines()
    assert lines[:1000] == [b"line"] * 1000
    assert lines[1000] == b"warning: this log cannot be copied, training goes on: away"
    assert lines[1001].startswith(b"warning: the last 5") and lines[1001].endswith(b"not in the bucket")


def test_a_store_that_comes_back_for_the_end_gets_all_of_it(store, printed):
    failing = Failing(store, 10**9, ConnectionError("away"))
    copy = LogCopy(failing, 1, 0, printed[0])
    copy.write(b"line\n" * 1000)
    until(lambda: copy._warned)
    threading.Timer(0.1, lambda: setattr(failing, "failures", 0)).start()
    copy.close(60)
    assert copied(store) == printed[1]() and b"not in the bucket" not in printed[1]()


def test_nobody_listening_to_stdout_is_no_reason_to_stop(store):
    listening, descriptor = os.pipe()
    os.close(listening)
    copy = LogCopy(store, 1, 0, descriptor)
    copy.write(b"line\n")
    copy.close(60)
    assert copied(store) == b"line\n"


def test_lines_that_two_threads_say_are_whole(store, printed):
    copy = LogCopy(store, 1, 0, printed[0])
    beside = [threading.Thread(target=lambda: [copy.say("y" * 40) for _ in range(300)]) for _ in range(2)]
    for thread in beside:
        thread.start()
    for _ in range(300):
        copy.write(b"half a line, ")
    for thread in beside:
        thread.join()
    copy.close(60)
    lines = printed[1]().splitlines()
    assert lines.count(b"y" * 40) == 600
    assert {line.replace(b"half a line, ", b"") for line in lines} == {b"", b"y" * 40}
