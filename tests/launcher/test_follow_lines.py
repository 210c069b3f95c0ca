"""The pure part of following pods: for any cuts, any second and any copy, each line comes exactly once."""

import string
from collections import Counter, deque
from datetime import UTC, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from launcher.backends.kubernetes.logs.exact_lines import (
    SECOND,
    Joiner,
    StampedLine,
    Taken,
    meeting,
    rest_of_copy,
    sections,
    stamped,
)

BEGIN = int(datetime(2026, 11, 23, 8, 59, 58, tzinfo=UTC).timestamp()) * SECOND
STEPS = st.sampled_from([0, 0, 1, 1000, SECOND // 3, SECOND, 5 * SECOND])

always = settings(max_examples=300)


@st.composite
def logs(draw, steps=STEPS):
    """A pod's log: stamps that may be equal and texts that may repeat."""
    stamp, lines = BEGIN, []
    for step in draw(st.lists(steps, max_size=30)):
        stamp += step
        lines.append(StampedLine(stamp, draw(st.sampled_from([b"", b"a", b"b \r", b"\xff"]))))
    return lines


def sent(log, since):
    """What the API server sends of a log: nothing before a time in whole seconds."""
    if since is None:
        return list(log)
    begin = int(datetime.fromisoformat(since).timestamp()) * SECOND
    return [line for line in log if line.stamp >= begin]


def render(lines):
    times = [
        datetime.fromtimestamp(line.stamp // SECOND, UTC).strftime("%Y-%m-%dT%H:%M:%S") for line in lines
    ]
    return b"".join(
        b"%s.%09dZ %s\n" % (time.encode(), line.stamp % SECOND, line.content)
        for time, line in zip(times, lines, strict=True)
    )


def followed(log, cuts, taken, out):
    """Follow a log over connections of which each is cut after some bytes, the last one after none."""
    for cut in [*cuts, None]:
        joiner = Joiner()
        taken.opened()
        for chunk in chunks(render(sent(log, taken.since))[:cut]):
            out += [line for line in map(stamped, joiner.feed(chunk)) if line and taken.take(line)]


def chunks(data, size=7):
    return [data[at : at + size] for at in range(0, len(data), size)]


@always
@given(log=logs(), cuts=st.lists(st.integers(0, 400), max_size=6))
def test_a_stream_that_is_cut_anywhere_gives_each_line_once(log, cuts):
    out, taken = [], Taken()
    followed(log, cuts, taken, out)
    assert out == log
    assert not taken.gap


@always
@given(log=logs(), known=st.integers(0, 30), cuts=st.lists(st.integers(0, 400), max_size=6))
def test_a_log_grows_while_it_is_read(log, known, cuts):
    out, taken = [], Taken()
    followed(log[:known], cuts, taken, out)
    followed(log, cuts, taken, out)
    assert out == log


@always
@given(
    log=logs(st.sampled_from([1, 1000, SECOND // 3, 3 * SECOND])),
    first=st.integers(0, 30),
    cuts=st.lists(st.integers(0, 400), max_size=6),
)
def test_lines_before_a_tail_stay_away(log, first, cuts):
    out, taken = [], Taken(whole=False)
    taken.opened()
    out += [line for line in log[first:] if taken.take(line)]
    if out:  # with nothing taken there is no place to go on from
        followed(log, cuts, taken, out)
    assert out == log[first:]


@always
@given(
    log=logs(st.sampled_from([0, 1000, SECOND, -SECOND // 2, 2 * SECOND, -5000])),
    cuts=st.lists(st.integers(0, 400), max_size=6),
)
def test_a_clock_that_goes_back_a_little_loses_and_repeats_nothing(log, cuts):
    highest = BEGIN
    for line in log:  # sums of steps back are another matter, see the next test
        highest = max(highest, line.stamp)
        if line.stamp < highest - SECOND:
            return
    out, taken = [], Taken()
    followed(log, cuts, taken, out)
    assert out == log


@always
@given(
    before=logs(st.sampled_from([0, 1000, SECOND, -30 * SECOND, 60 * SECOND])),
    after=logs(),
)
def test_after_a_clock_went_back_far_a_stream_goes_on_without_loss(before, after):
    last = before[-1].stamp if before else BEGIN
    log = [*before, *(line._replace(stamp=line.stamp - BEGIN + last) for line in after)]
    out, taken = [], Taken()
    followed(before, [], taken, out)
    followed(log, [], taken, out)
    assert not Counter(log) - Counter(out)


def test_a_rotated_log_is_noticed():
    log = [StampedLine(BEGIN + at * SECOND // 2, b"%d" % at) for at in range(8)]
    taken = Taken()
    taken.opened()
    assert all(taken.take(line) for line in log[:4])
    taken.opened()
    assert [line for line in log[3:6] if taken.take(line)] == log[4:6]
    assert not taken.gap
    taken.opened()
    assert taken.take(log[7])
    assert taken.gap


@always
@given(
    when=st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1)),
    nanoseconds=st.integers(0, SECOND - 1),
    digits=st.integers(0, 9),
    hours=st.integers(-12, 14),
    content=st.binary(max_size=20).filter(lambda content: b"\n" not in content),
)
def test_stamps_are_exact_in_any_zone(when, nanoseconds, digits, hours, content):
    when = when.replace(microsecond=0, tzinfo=UTC)
    nanoseconds -= nanoseconds % 10 ** (9 - digits)
    fraction = f".{nanoseconds:09d}"[: digits + 1] if digits else ""
    local = (when + timedelta(hours=hours)).strftime("%Y-%m-%dT%H:%M:%S") + fraction
    expected = StampedLine(int(when.timestamp()) * SECOND + nanoseconds, content)
    assert stamped(f"{local}{'+' if hours >= 0 else '-'}{abs(hours):02d}:00 ".encode() + content) == expected
    utc = when.strftime("%Y-%m-%dT%H:%M:%S") + fraction
    assert stamped(f"{utc}Z ".encode() + content) == expected


def test_what_has_no_stamp_is_no_line():
    for line in (
        b"",
        b"rest of a line",
        b"failed to open log file",
        b"2026-11-23 08:00:00 x",
        b"2026-11-23T",
    ):
        assert stamped(line) is None
    assert stamped(b"2026-11-23T08:59:58.5Z") == StampedLine(BEGIN + SECOND // 2, b"")


@always
@given(data=st.binary(max_size=200).map(lambda data: data.replace(b"\x01", b"\n")), sizes=st.integers(1, 50))
def test_chunks_are_joined_to_the_same_lines(data, sizes):
    joiner = Joiner()
    lines = [line for chunk in chunks(data, sizes) for line in joiner.feed(chunk)]
    assert [*lines, joiner.end()] == data.split(b"\n")
    assert joiner.end() == b""


HEADER = "pod one-0-x: worker 0 of 1, attempt 1"
WORDS = st.lists(st.sampled_from(["a", "b"]), max_size=30)


@always
@given(words=WORDS, given_count=st.integers(0, 31), copied=st.integers(0, 31), kept=st.integers(1, 8))
def test_the_copy_goes_on_where_the_stream_ended(words, given_count, copied, kept):
    log = [HEADER, *words]
    recent, copy = log[:given_count][-kept:], log[:copied]
    rest = rest_of_copy(copy, len(log[:given_count]), recent)
    if len(copy) >= given_count:
        assert rest == log[given_count:copied]
    elif kept > given_count:  # all was kept: its first line is there once, so nothing is taken for another
        assert rest == []


@always
@given(length=st.integers(0, 30), begin=st.integers(0, 30), end=st.integers(0, 30), copied=st.integers(0, 31))
def test_the_copy_goes_on_after_a_stream_that_began_late(length, begin, end, copied):
    log = [f"step {number}" for number in range(length)]
    rest = rest_of_copy(log[:copied], None, deque(log[begin:end], maxlen=200))
    if log[begin:end]:
        assert rest == log[min(end, length) : copied]


@always
@given(
    length=st.integers(1, 30), copied=st.integers(0, 30), begin=st.integers(0, 29), more=st.integers(1, 30)
)
def test_a_copy_and_a_stream_that_begins_later_meet(length, copied, begin, more):
    log = list(string.ascii_letters[:length])
    copy, fresh = log[:copied], log[begin : begin + more]
    if fresh:
        assert copy[: meeting(copy, fresh)] + fresh == log[: min(begin, copied)] + fresh
    else:
        assert meeting(copy, fresh) == len(copy)


def test_a_copy_and_a_stream_meet_as_early_as_they_agree():
    assert meeting(list("aabaab"), list("aab")) == 0
    assert meeting(list("aabaab"), list("aabb")) == 3
    assert meeting(list("aaba"), list("c")) == 4


def test_a_worker_has_a_section_for_each_pod():
    assert sections([]) == []
    assert sections(["x", HEADER, "y", HEADER.replace("-x", "-z")]) == [
        ("", ["x"]),
        ("one-0-x", [HEADER, "y"]),
        ("one-0-z", [HEADER.replace("-x", "-z")]),
    ]
