"""Spans of time: what is read wherever one may be written, and what is said of one."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from launcher.cli import main
from launcher.errors import FieldError
from launcher.spec.durations import parse, spoken
from launcher.spec.runspec import make_spec

IMAGE = {"image": "r/gantry:1", "root": "gs://bucket"}


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90", 90), ("90s", 90), ("1.5h", 5400), ("1h30m", 5400), ("2d", 172800), ("1m30", 90), ("0", 0)],
)
def test_spans_of_time(text, seconds):
    assert parse(text) == seconds


@pytest.mark.parametrize("text", ["", "h", "5 m", "-3s", "1w", "m5", "30m1h", "1h1h", "soon", "1e3", "٣s"])
def test_what_is_no_span_of_time(text, desk, capfd):
    assert parse(text) is None
    for words in (("wait", "a", "--timeout"), ("submit", "--grace"), ("doctor", "--timeout")):
        with pytest.raises(SystemExit) as ended:
            main([*words, text])
        said = capfd.readouterr()
        assert (ended.value.code, said.out) == (2, "")
        assert f"'{text}': expected a span of time such as 90s, 30m, 1h30m or 2d" in said.err


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, "-"), (0, "0 s"), (8.4, "8 s"), (59.6, "1 min"), (90, "1 min 30 s"), (300, "5 min"),
        (3599, "59 min"), (3600, "1 h"), (5399, "1 h 29 min"), (36_300, "10 h"), (86_460, "1 d"),
        (200_000, "2 d 7 h"),
    ],
)  # fmt: skip
def test_what_is_said(seconds, text):
    assert spoken(seconds) == text


@given(st.integers(0, 10**8))
def test_what_is_said_is_a_span_that_is_no_longer_and_less_than_a_tenth_shorter(seconds):
    said = re.sub(r" (d|h|m|s)(in)?", r"\1", spoken(seconds)).replace(" ", "")
    read = parse(said)
    assert read is not None
    assert read <= seconds < read + max(1, seconds / 10)


def test_files_and_flags_take_the_same():
    spec = make_spec("mlp", grace_seconds="2m", active_deadline_seconds="1h30m", **IMAGE)
    assert (spec.grace_seconds, spec.active_deadline_seconds) == (120, 5400)
    with pytest.raises(FieldError, match="grace_seconds is 'long': expected a span of time such as 90s"):
        make_spec("mlp", grace_seconds="long", **IMAGE)


def test_a_time_to_wait_for_pods_is_some_time(launcher):
    done = launcher("doctor", "--deep", "--timeout", "0")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "error: --timeout 0: expected at least 1 s\n"
