"""The referee of `bench/gpu.py`: what fails takes no other row with it; no time is no failure."""

import pytest

from bench.on_gpu.peaks import peak_of
from bench.on_gpu.referee import Group, Referee, Row

MODULE = "tests.bench.rows"
GOOD = Row("last", "good", {"value": 7})


def played(*rows: Row, module=MODULE, seconds=600.0, row_seconds=600.0):
    """Each row's answer, by its name."""
    found = []
    Referee(seconds, found.append, row_seconds).play([Group(module, rows)])
    assert [row["row"] for row in found] == [row.name for row in rows]
    return {row["row"]: row for row in found}


@pytest.mark.parametrize(
    ("task", "status", "why"),
    [
        ("raises", "failed", "ValueError: no such thing"),
        ("partly", "failed", "the other half"),
        ("absent", "not there", "nobody has built it"),
        ("dies", "failed", "tests.bench.rows ended with -11"),
    ],
)
def test_rows_around_one_that_ends_otherwise_are_measured(task, status, why):
    found = played(Row("first", "good", {"value": 1}), Row("odd", task, {}), GOOD)
    assert found["first"]["value"] == 1
    assert found["odd"]["status"] == status
    assert found["odd"]["why"].startswith(why)
    assert found["last"]["status"] == "measured"
    assert found["last"]["value"] == 7


def test_a_failed_row_keeps_the_figures_that_it_has():
    assert played(Row("odd", "partly", {}))["odd"]["half"] == 1


def test_a_row_that_hangs_does_not_take_the_time_of_the_others():
    found = played(Row("odd", "hangs", {}), GOOD, row_seconds=10)
    assert found["odd"]["status"] == "failed"
    assert found["odd"]["why"] == "not done after 10 s"
    assert found["last"]["status"] == "measured"


def test_what_does_not_fit_into_the_seconds_is_no_time():
    found = played(Row("first", "good", {"value": 1}), Row("odd", "hangs", {}), GOOD, seconds=10)
    assert [row["status"] for row in found.values()] == ["measured", "no time", "no time"]


def test_where_nothing_can_be_measured_nothing_more_is_tried():
    found = played(Row("odd", "hopeless", {}), GOOD)
    assert [row["status"] for row in found.values()] == ["failed", "not begun"]
    assert found["odd"]["why"] == "Hopeless: there is no device"


def test_a_group_that_cannot_start_fails_whole():
    found = played(GOOD, module="tests.bench.no_such_group")
    assert found["last"]["status"] == "failed"
    assert "No module named tests.bench.no_such_group" in found["last"]["why"]


@pytest.mark.parametrize(
    ("card", "bfloat16"),
    [
        ("NVIDIA H200", 989),
        ("NVIDIA H100 80GB HBM3", 989),
        ("NVIDIA H100 PCIe", 756),
        ("NVIDIA A100-SXM4-40GB", 312),
        ("NVIDIA A10G", 70),
        ("NVIDIA L4", 121),
        ("Tesla T4", 0),
    ],
)
def test_cards_are_known_by_their_driver_s_names(card, bfloat16):
    assert peak_of(card).bfloat16 == bfloat16


def test_an_unknown_card_has_no_peak():
    assert peak_of("Some Card 9000") is None
