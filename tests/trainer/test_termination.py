"""The line that Kubernetes shows for a pod that ended."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainer.errors import UserError
from trainer.pod import termination
from trainer.pod.termination import LastLines


def message(log: bytes, code: int) -> str:
    lines = LastLines()
    lines.feed(log)
    return lines.message(code)


@pytest.mark.parametrize(
    ("log", "code", "expected"),
    [
        (b"10/10\nerror: steps is 0\n", 2, "error: steps is 0"),
        (b"error: one\nerror: two\nbye\n", 1, "error: two"),
        (b"error: no newline", 1, "error: no newline"),
        (b"50%\r100%\rerror: after a bar\r\n", 1, "error: after a bar"),
        (b"Traceback:\n  x\nRuntimeError: odd\n\n", 1, "RuntimeError: odd"),
        (b"F0000 check failed\n", 134, "F0000 check failed"),
        (b"stopped after step 5\n", 42, ""),
        (b"error: lost a peer\n", 42, "error: lost a peer"),
        (b"error: mended\ndone\n", 0, ""),
        (b"", 1, ""),
        (b"error: \xff\n", 1, "error: \ufffd"),
    ],
)
def test_the_last_error_is_told(log, code, expected):
    assert message(log, code) == expected


@given(st.lists(st.sampled_from([b"error: a", b"error: b\n", b"x", b"\n", b"\r", b"7%\r", b"word\n"])))
def test_it_does_not_matter_how_the_log_is_cut(pieces):
    lines = LastLines()
    for piece in pieces:
        lines.feed(piece)
    assert lines.message(1) == message(b"".join(pieces), 1)


def test_an_endless_line_takes_no_memory():
    lines = LastLines()
    for _ in range(100):
        lines.feed(b"error: " + b"x" * 100_000)
    assert len(lines._rest) <= 4096
    assert len(lines.message(1).encode()) <= 4096


def test_the_message_is_left_where_it_can_be_and_nothing_else_happens_where_not(tmp_path):
    path = tmp_path / "log"
    with (
        pytest.raises(UserError, match="GANTRY_JOB"),
        termination.explained({"GANTRY_TERMINATION_LOG": str(path)}),
    ):
        raise UserError("GANTRY_JOB is not set")
    assert path.read_text() == "error: GANTRY_JOB is not set"
    termination.write({"GANTRY_TERMINATION_LOG": str(tmp_path / "absent" / "log")}, "error: x")
    assert list(tmp_path.iterdir()) == [path]
