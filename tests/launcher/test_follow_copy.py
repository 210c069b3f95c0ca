"""The bucket's copy of a worker's log, pod by pod, for what the pods cannot tell any more."""

import pytest

from launcher.backends.kubernetes.logs.stored_copy import Copy
from launcher.records.follow import first_line
from trainer.errors import StorageError
from trainer.run.layout import worker_log_segment


def header(pod):
    return f"pod one-0-{pod}: worker 0 of 1, attempt 1"


@pytest.fixture
def copied(store):
    """Three pods, of which the second died in the middle of a line and of a segment."""
    texts = [f"{header('a')}\n1\n2\n", f"{header('b')}\n3\n", "4", f"{header('c')}\n5\n"]
    for segment, text in enumerate(texts):
        store.write(worker_log_segment(1, 0, segment), text.encode())
    return Copy(store, 1, 0)


def names(sections):
    return [section.pod.removeprefix("one-0-") for section in sections]


def test_a_pod_has_its_lines(copied):
    assert copied.of("one-0-b") == [header("b"), "3", "4"]
    assert copied.of("one-0-x") == []


def test_pods_between_two_others_are_those_that_nobody_saw(copied):
    assert names(copied.between(None, None)) == ["a", "b", "c"]
    assert names(copied.between(None, "one-0-a")) == []
    assert names(copied.between(None, "one-0-c")) == ["a", "b"]
    assert names(copied.between("one-0-a", "one-0-c")) == ["b"]
    assert names(copied.between("one-0-a", None)) == ["b", "c"]
    assert names(copied.between("one-0-b", "one-0-new")) == ["c"]  # the newest has not copied anything yet
    assert names(copied.between("one-0-x", None)) == []  # it left no copy: no telling what came after it


def test_a_copy_ends_with_its_last_lines_however_many_are_known(copied, store):
    assert copied.ends_with([header("c"), "5"])
    assert copied.ends_with(["5"])
    assert copied.ends_with(["4", header("c"), "5"])
    assert not copied.ends_with([])
    assert not copied.ends_with([header("c")])
    assert not copied.ends_with(["4", "5"])
    assert not Copy(store, 1, 1).ends_with(["5"])


def test_a_worker_without_a_copy(store):
    assert Copy(store, 1, 0).of("one-0-a") == []
    assert Copy(store, 1, 0).between(None, "one-0-a") == []
    assert first_line(store, 1, 0) == ""


def test_a_copy_that_cannot_be_read_is_none(copied, monkeypatch, store):
    def fail(*_):
        raise StorageError("it does not answer")

    monkeypatch.setattr(store, "list", fail)
    assert copied.of("one-0-a") == []
    assert copied.between(None, "one-0-c") == []
    assert copied.ends_with(["5"])  # so nobody asks it for more
