"""Ages are differences of one clock: that of whoever dated the object, whatever this machine's shows."""

import os
import time
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainer.errors import ObjectMissing
from trainer.storage import Inside, LocalStore, open_store
from trainer.storage.clock import ServerClock, age, parse_date

TIME = datetime(2026, 1, 5, 3, 0, tzinfo=UTC)
DATE = "Mon, 05 Jan 2026 03:00:00 GMT"
seconds = st.floats(0, 1e6)


@given(seconds, seconds)
def test_a_servers_clock_goes_on_between_its_answers_by_seconds_that_only_grow(started, later):
    ticks = [started]
    clock = ServerClock(lambda: ticks[0])
    assert clock.now() is None
    clock.hear(None)  # an answer that states no time changes nothing
    assert clock.now() is None
    clock.hear(DATE)
    assert clock.now() == TIME
    ticks[0] = started + later
    assert abs(clock.now() - TIME - timedelta(seconds=later)) < timedelta(milliseconds=1)
    clock.hear(None)
    assert clock.now() > TIME - timedelta(seconds=1)
    clock.hear("Mon, 05 Jan 2026 02:00:00 GMT")  # it was set back
    assert clock.now() == TIME - timedelta(hours=1)


@pytest.mark.parametrize("text", [None, "", "soon", "Mon, 99 Jan 2026 03:00:00 GMT"])
def test_what_is_no_date_tells_no_time(text):
    assert parse_date(text) is None
    clock = ServerClock()
    clock.hear(text)
    assert clock.now() is None


@given(seconds, st.timedeltas(timedelta(days=-3650), timedelta(days=3650)))
def test_an_age_is_the_same_wherever_the_clock_stands(passed, offset):
    """Of one clock only the difference counts, to what a Date is rounded to."""
    written = TIME + offset
    assert age(written, written + timedelta(seconds=passed)) == pytest.approx(passed, abs=1e-3)


@given(st.floats(11, 1e8))
def test_what_is_yet_to_come_by_a_clock_is_of_another_clock(ahead):
    assert age(TIME + timedelta(seconds=ahead), TIME) is None


def test_without_a_clock_there_is_no_age():
    assert age(None, TIME) is None
    assert age(TIME, None) is None
    assert age(TIME + timedelta(seconds=1), TIME) == 0.0  # a Date is of whole seconds


def test_an_object_is_as_old_as_the_store_says(store):
    store.write("a/b.json", b"{}")
    time.sleep(2.2)
    for each, name in ((store, "a/b.json"), (Inside(store, "a"), "b.json")):
        content, old = each.dated(name)
        assert content == b"{}"
        assert 1.0 <= old < 60.0  # both times are of whole seconds
        assert 1.0 <= age(each.stat(name).updated, each.now()) < 60.0
    with pytest.raises(ObjectMissing):
        store.dated("a/c.json")


def test_a_bucket_has_told_no_time_before_it_was_asked(gcs_root):
    store = open_store(gcs_root)
    assert store.now() is None
    assert list(store.list()) == []
    assert store.now() is not None


def test_a_file_from_a_machine_whose_clock_is_ahead_has_no_age(tmp_path):
    store = LocalStore(tmp_path)
    store.write("a", b"")
    ahead = time.time() + 6 * 3600
    os.utime(tmp_path / "a", (ahead, ahead))
    assert store.dated("a").age is None
