"""Metrics as columns: segments in order, resumed runs, torn lines, only what changed, and thinning."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from launcher.looking.curves import CurveReader, Curves, Points, figures, read_curves, thin
from trainer.run.metrics_log import MetricsLog
from trainer.storage import LocalStore


def lines(steps, **values):
    found = [{"step": step, "images": 64 * step, "d_loss": step / 10, **values} for step in steps]
    return "".join(json.dumps(line) + "\n" for line in found).encode()


def test_segments_are_read_in_order_of_steps_and_not_of_names(store):
    for first in (1, 101, 21):
        store.write(f"metrics/{first}.jsonl", lines(range(first, first + 20, 10)))
    store.write("metrics/notes.txt", b"not a segment")

    curves = read_curves(store)

    assert curves.steps == [1, 11, 21, 31, 101, 111]
    assert curves.images == [64 * step for step in curves.steps]
    assert curves.values == {"d_loss": [step / 10 for step in curves.steps]}
    assert not curves.damaged


def test_a_run_without_metrics_has_empty_curves(store):
    assert read_curves(store) == Curves()
    assert not read_curves(store)


def test_what_the_trainer_writes_is_what_is_read(store):
    log = MetricsLog(50, [])
    for step in range(10, 201, 10):
        log.append({"step": step, "images": step * 8, "d_loss": 0.5, "g_loss": step / 7})
        store.write(*log.current_segment())

    curves = read_curves(store)

    assert curves.steps == [line["step"] for line in log.lines]
    assert curves.values["g_loss"] == [line["g_loss"] for line in log.lines]


@pytest.mark.parametrize("cut", [1, 5, 20])
def test_a_torn_last_line_is_left_out_and_named(tmp_path, cut):
    store = LocalStore(tmp_path)
    store.write("metrics/1.jsonl", lines([1, 2, 3])[:-cut])

    curves = read_curves(store)

    whole = cut == 1  # the line's end alone is missing: nothing of the line is
    assert curves.steps == ([1, 2, 3] if whole else [1, 2])
    assert curves.damaged == ([] if whole else ["metrics/1.jsonl line 3"])


def test_damage_in_the_middle_costs_its_lines_alone(tmp_path):
    store = LocalStore(tmp_path)
    broken = [b'{"step": 3', b"[1, 2]", b'{"step": "four", "images": 1}', b'{"step":5,"images":5},{}']
    store.write("metrics/1.jsonl", lines([1]) + b"\n".join(broken) + b"\n" + lines([9]))

    curves = read_curves(store)

    assert curves.steps == [1, 9]
    assert curves.damaged == [f"metrics/1.jsonl line {number}" for number in (2, 3, 4, 5)]


def test_the_later_segment_wins_where_two_hold_the_same_step(tmp_path):
    store = LocalStore(tmp_path)
    store.write("metrics/1.jsonl", lines([10, 20, 30, 40], g_loss=1.0))
    store.write("metrics/21.jsonl", lines([30, 40, 50], g_loss=2.0))

    curves = read_curves(store)

    assert curves.steps == [10, 20, 30, 40, 50]
    assert curves.values["g_loss"] == [1.0, 1.0, 2.0, 2.0, 2.0]


def test_a_key_that_comes_or_goes_leaves_holes_and_so_does_what_is_no_finite_number(tmp_path):
    store = LocalStore(tmp_path)
    store.write("metrics/1.jsonl", lines([1]) + lines([2], fid=9.5) + lines([3], fid=float("nan")))
    store.write("metrics/4.jsonl", lines([4], fid="high") + lines([5], other=True) + lines([6], fid=7))

    curves = read_curves(store)

    assert curves.values["fid"] == [None, 9.5, None, None, None, 7]
    assert curves.values["other"] == [None] * 6
    assert curves.points("fid") == Points([2, 6], [9.5, 7])
    assert curves.points("fid", "images") == Points([128, 384], [9.5, 7])
    assert (curves.last("fid"), curves.last("other"), curves.last("no-such")) == (7, None, None)


class CountingStore(LocalStore):
    """A folder that notes what is read."""

    def read(self, name, start=0, length=None):
        self.__dict__.setdefault("names", []).append(name)
        return super().read(name, start, length)

    def take(self):
        names, self.names = self.__dict__.get("names", []), []
        return names


def test_only_segments_that_changed_are_read_again(tmp_path):
    store = CountingStore(tmp_path)
    store.write("metrics/1.jsonl", lines([1, 2]))
    store.write("metrics/3.jsonl", lines([3]))
    reader = CurveReader(store)
    reader.read()
    assert sorted(store.take()) == ["metrics/1.jsonl", "metrics/3.jsonl"]

    first = reader.read()
    assert store.take() == []
    assert reader.read() is first

    store.write("metrics/3.jsonl", lines([3, 4]))
    assert reader.read().steps == [1, 2, 3, 4]
    assert store.take() == ["metrics/3.jsonl"]

    store.delete("metrics/3.jsonl")  # a resumed run begins again before it
    assert reader.read().steps == [1, 2]
    assert store.take() == []


def test_a_run_of_100_000_lines_in_400_segments_is_whole(tmp_path):
    store = LocalStore(tmp_path)
    text = '{{"step": {0}, "images": {0}, "d_loss": 0.25, "g_loss": 0.5, "d_accuracy_real": 1.0}}\n'
    (tmp_path / "metrics").mkdir()
    for first in range(1, 100_001, 250):
        segment = "".join(text.format(step) for step in range(first, first + 250))
        (tmp_path / f"metrics/{first}.jsonl").write_text(segment)

    curves = read_curves(store)

    assert curves.steps == list(range(1, 100_001))
    assert all(len(column) == 100_000 for column in curves.values.values())


numbers = st.floats(allow_nan=False, allow_infinity=False)


@given(st.lists(numbers, min_size=1, max_size=400), st.integers(1, 40))
def test_thinning_keeps_ends_extremes_and_order(values, buckets):
    points = Points(list(range(len(values))), values)

    kept = thin(points, buckets)

    assert len(kept.x) == len(kept.y) <= 2 * buckets + 2
    assert (kept.x[0], kept.x[-1]) == (0, len(values) - 1)
    assert (min(kept.y), max(kept.y)) == (min(values), max(values))
    assert kept.x == sorted(set(kept.x))
    assert all(values[x] == y for x, y in zip(*kept, strict=True))


def test_nothing_thinned_out_is_nothing():
    assert thin(Points([], []), 5) == Points([], [])


def test_a_figure_is_the_last_the_lowest_and_the_highest(tmp_path):
    store = LocalStore(tmp_path)
    values = [(0.9, 0.1, 50.0), (0.2, 0.6, 90.0), (0.4, 1.0, 70.0)]
    keys = ("d_loss", "d_accuracy_fake", "images_per_second")
    for step, each in enumerate(values, 1):
        store.write(f"metrics/{step}.jsonl", lines([step], **dict(zip(keys, each, strict=True))))

    found = figures(read_curves(store))

    assert found == {
        "d_loss": (0.4, 0.2, 2, 0.9, 1),
        "d_accuracy_fake": (1.0, 0.1, 1, 1.0, 3),
        "images_per_second": (70.0, 50.0, 1, 90.0, 2),
    }


def test_a_metric_without_any_number_has_no_figures(tmp_path):
    store = LocalStore(tmp_path)
    store.write("metrics/1.jsonl", lines([1], fid=float("inf")))
    assert figures(read_curves(store))["fid"] == (None,) * 5
