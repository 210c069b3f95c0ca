"""When a schedule fires: as robfig/cron v3 has it, which Kubernetes uses, and by laws of its own."""

import json
from datetime import UTC, datetime, timedelta
from itertools import islice
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from launcher.schedules.cronline import CronLine
from tests.launcher.robfig_cases import TABLE
from trainer.errors import UserError

ROWS = json.loads(TABLE.read_text())
LEAPING = ["Europe/Paris", "America/New_York", "America/St_Johns", "Australia/Lord_Howe", "Asia/Beirut"]


def utc(text):
    return datetime.fromisoformat(text.replace("Z", "+00:00"))


def in_utc(times):
    """As they are: Python compares times of one zone by the wall clock, which shows some of them twice."""
    return [time.astimezone(UTC) for time in times]


def test_lines_fire_when_kubernetes_fires_them():
    for schedule, zone, begin, expected in ROWS:
        if expected:
            found = CronLine(schedule, zone).next(utc(begin), len(expected))
            assert in_utc(found) == [utc(text) for text in expected], (schedule, zone, begin)


@pytest.mark.parametrize("schedule", [row[0] for row in ROWS if not row[3]])
def test_a_line_that_kubernetes_refuses_or_that_never_fires_is_refused(schedule):
    with pytest.raises(UserError, match="schedule is ") as caught:
        CronLine(schedule)
    assert "\n" not in str(caught.value)
    assert "expected" in str(caught.value)


@pytest.mark.parametrize(
    ("schedule", "words"),
    [
        ("", "five fields (minute, hour"),
        ("TZ=Europe/Paris 0 3 * * 1", "--time-zone"),
        ("CRON_TZ=UTC 0 3 * * 1", "--time-zone"),
        ("@every 1h", "one of @yearly"),
        ("0 0 31 4,6,9,11 *", "fires some day"),
        ("0 25 * * *", "its hour '25' to be 0 to 23"),
        ("0 0 * JANUARY *", "its month 'JANUARY' to be 1 to 12 or JAN to DEC"),
        ("0 0 * * MON#2", "its day of week 'MON#2'"),
    ],
)
def test_what_is_wrong_with_a_line_is_said(schedule, words):
    with pytest.raises(UserError) as caught:
        CronLine(schedule)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("zone", "near"),
    [
        ("Europe/Pariss", "Europe/Paris"),
        ("europe/paris", "Europe/Paris"),
        ("Paris", "Europe/Paris"),
        ("New York", "America/New_York"),
        ("UTC+1", None),
        ("../../etc/passwd", None),
        ("", None),
    ],
)
def test_an_unknown_zone_is_refused_and_the_nearest_named(zone, near):
    with pytest.raises(UserError, match="time_zone is ") as caught:
        CronLine("@daily", zone)
    assert near is None or f"did you mean '{near}'" in str(caught.value)


def test_a_time_that_clocks_leap_over_is_left_out_and_one_that_comes_twice_fires_twice():
    line = CronLine("30 2 * * *", "Europe/Paris")
    spring = line.next(utc("2026-03-28T00:00:00Z"), 2)
    assert [f"{time:%m-%d %H:%M%z}" for time in spring] == ["03-28 02:30+0100", "03-30 02:30+0200"]
    autumn = line.next(utc("2026-10-24T12:00:00Z"), 3)
    assert [f"{time:%d %H:%M%z}" for time in autumn] == ["25 02:30+0200", "25 02:30+0100", "26 02:30+0100"]


FIELDS = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 6))


@st.composite
def lines(draw):
    """A line with the values of each field, None for a star."""
    wanted = []
    for low, high in FIELDS:
        values = st.sets(st.integers(low, high), min_size=1, max_size=4)
        wanted.append(draw(st.none() | values))
    # A month that no day of the month is in would never fire.
    days, months = wanted[2], wanted[3]
    if days and months and wanted[4] is None and min(days) > 28:
        days.add(1)
    return wanted


moments = st.datetimes(datetime(2020, 1, 1), datetime(2035, 1, 1)).map(lambda time: time.replace(tzinfo=UTC))
zones = st.sampled_from(LEAPING)


def text(wanted):
    return " ".join("*" if values is None else ",".join(map(str, sorted(values))) for values in wanted)


def matches(wanted, time):
    """Whether a time's wall clock is one of the line's, by the rule for its two day fields."""
    minute, hour, day, month, weekday = wanted
    plain = [(minute, time.minute), (hour, time.hour), (month, time.month)]
    if not all(values is None or value in values for values, value in plain):
        return False
    days = [(day, time.day), (weekday, time.isoweekday() % 7)]
    hits = [values is None or value in values for values, value in days]
    return all(hits) if None in (day, weekday) else any(hits)


@settings(max_examples=40)
@given(lines(), zones, moments)
def test_times_are_later_and_later_and_match_the_line(wanted, zone, moment):
    times = list(islice(CronLine(text(wanted), zone).after(moment), 30))
    real = in_utc(times)
    assert all(before < after for before, after in zip([moment, *real], real, strict=False))
    for time in times:
        assert time.tzinfo == ZoneInfo(zone)
        assert (time.second, time.microsecond) == (0, 0)
        assert matches(wanted, time), time


@settings(max_examples=40)
@given(lines(), zones, moments)
def test_backwards_and_forwards_are_the_same_times(wanted, zone, moment):
    line = CronLine(text(wanted), zone)
    there = list(islice(line.after(moment), 20))
    back = list(islice(line.before(in_utc(there)[-1] + timedelta(seconds=1)), 20))
    assert in_utc(back[::-1]) == in_utc(there)


@settings(max_examples=30)
@given(zones, st.sampled_from(["2026-03-28", "2026-10-24", "2026-10-31", "2026-03-07", "2026-04-04"]))
def test_no_minute_that_matches_is_left_out(zone, day):
    """Every minute of three days around a change of the clocks, one by one."""
    begin = utc(f"{day}T00:00:00Z")
    wanted = [{0, 30, 45}, {0, 1, 2, 3}, None, None, None]
    every = (begin + timedelta(minutes=minute) for minute in range(1, 3 * 1440))
    expected = [time for time in every if matches(wanted, time.astimezone(ZoneInfo(zone)))]
    found = CronLine(text(wanted), zone).next(begin, len(expected))
    assert in_utc(found) == expected
