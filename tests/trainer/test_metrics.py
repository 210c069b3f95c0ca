"""Segments of metrics, the background writer, the status and the printed line."""

import json
import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.metrics import read_lines
from trainer.errors import StorageError
from trainer.run.metrics_log import MetricsLog
from trainer.run.status import StatusWriter
from trainer.storage import LocalStore, open_store
from trainer.training.background_writer import BackgroundWriter
from trainer.training.progress import duration, line


def play(store, segment, every, start, stop):
    """Write the lines of the steps in (start, stop] as the chief does, the segment whole each time."""
    log = MetricsLog.resume(store, segment, start)
    for step in range(start + 1, stop + 1):
        if step % every == 0:
            log.append({"step": step, "d_loss": step / 7})
            store.write(*log.current_segment())


@settings(max_examples=40)
@given(
    segment=st.integers(1, 9),
    every=st.integers(1, 5),
    stops=st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30)), max_size=4),
)
def test_however_often_it_was_cut_off_the_lines_are_those_of_one_go(tmp_path_factory, segment, every, stops):
    whole, cut = (open_store(str(tmp_path_factory.mktemp("metrics"))) for _ in range(2))
    play(whole, segment, every, 0, 30)
    saved = 0  # a checkpoint; steps after it are taken again
    for reached, back in stops:
        reached = max(saved, reached)
        play(cut, segment, every, saved, reached)
        saved = max(saved, min(reached, back))
    play(cut, segment, every, saved, 30)
    assert list(read_lines(cut)) == list(read_lines(whole))
    assert {s.name: cut.read(s.name) for s in cut.list()} == {
        s.name: whole.read(s.name) for s in whole.list()
    }


class Counting(LocalStore):
    """A folder that counts what is asked of it."""

    def __init__(self, root):
        super().__init__(root)
        self.asked = []

    def read(self, name, start=0, length=None):
        self.asked.append(("read", name))
        return super().read(name, start, length)

    def list(self, prefix=""):
        self.asked.append(("list", prefix))
        return super().list(prefix)


@pytest.mark.parametrize("segments", [2, 40])
def test_going_on_reads_one_segment_however_many_there_are(tmp_path, segments):
    store = Counting(tmp_path)
    play(store, 5, 1, 0, 5 * segments - 2)
    store.asked.clear()
    log = MetricsLog.resume(store, 5, 5 * segments - 2)
    assert [kind for kind, _ in store.asked] == ["list", "read"]
    log.append({"step": 5 * segments - 1})
    assert log.current_segment()[1].count(b"\n") == 4
    assert [each["step"] for each in log.all_lines(store)] == list(range(1, 5 * segments))


def test_tasks_run_in_order_and_an_error_comes_back_once_and_stops_the_rest():
    writer, done = BackgroundWriter(), []
    for number in range(20):
        writer.submit(lambda number=number: done.append(number))
    writer.drain()
    assert done == list(range(20))

    def fail():
        raise StorageError("disk full")

    writer.submit(fail)
    with pytest.raises(StorageError, match="disk full"):
        writer.drain()
    with pytest.raises(StorageError, match="disk full"):
        writer.submit(lambda: done.append(99))
    writer.close()
    assert 99 not in done


def test_training_waits_only_when_two_checkpoints_are_in_flight():
    writer, gate, begun = BackgroundWriter(), threading.Event(), threading.Event()
    writer.submit_large(lambda: (begun.set(), gate.wait(60)))
    assert begun.wait(60)
    writer.submit_large(lambda: None)  # the second goes in at once
    third = threading.Thread(target=lambda: writer.submit_large(lambda: None))
    third.start()
    third.join(0.2)
    assert third.is_alive()
    gate.set()
    third.join(60)
    assert not third.is_alive()
    writer.close()


def test_a_status_that_cannot_be_written_stops_nothing_and_is_told_once(tmp_path, capsys):
    (tmp_path / "file").write_bytes(b"")
    status = StatusWriter(LocalStore(tmp_path / "file"), steps=10, step=0, storage=lambda: None)
    status.update(state="running", step=5)
    status.close("finished")
    assert capsys.readouterr().out.count("warning: ") == 1


def test_the_last_status_is_that_of_the_end(tmp_path):
    status = StatusWriter(LocalStore(tmp_path), steps=10, step=3, storage=lambda: None, restarts=2)
    status.update(state="running", step=5, images_per_second=9.5, eta_seconds=4.0)
    status.close("failed", message="why", step=6)
    found = json.loads((tmp_path / "status.json").read_text())
    assert (found["state"], found["step"], found["steps"], found["message"]) == ("failed", 6, 10, "why")
    assert (found["storage"], found["restarts"]) == (None, 2)


def test_a_status_says_that_storage_was_away_when_it_was_written(tmp_path):
    lines = ["away for 61 s: 503"]
    status = StatusWriter(LocalStore(tmp_path), steps=10, step=3, storage=lambda: lines[0])
    status.close("failed")
    assert json.loads((tmp_path / "status.json").read_text())["storage"] == lines[0]


def test_the_printed_line_is_the_pages():
    metrics = {"step": 1000, "images": 64000, "d_loss": 0.65321, "g_loss": 0.8, "images_per_second": 3012.4}
    metrics |= {"d_accuracy_real": 0.625, "d_accuracy_fake": 0.71}
    expected = "1000/4000 [D loss: 0.6532 | D accuracy: 62%/71%] [G loss: 0.8000]  3012 images/s"
    expected += "  64000 images  ETA 1:02:03"
    assert line(metrics, 4000, 3723.0) == expected
    assert duration(59.6) == "0:01:00"
