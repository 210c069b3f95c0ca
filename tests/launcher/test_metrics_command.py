"""`launcher metrics`: a run's lines as a table, as CSV and as data."""

import csv
import io
import json

import pytest

from launcher.cli import main

LINES = [
    {"step": 10, "images": 640, "d_loss": 1.38629436, "g_loss": 0.7},
    {"step": 20, "images": 1280, "d_loss": float("nan"), "g_loss": 0.25, "late": 2},
]


@pytest.fixture
def call(root, desk, capsys):
    """`launcher metrics …` in this process: exit code, stdout, stderr."""

    def run(*words):
        with pytest.raises(SystemExit) as left:
            main(["metrics", *words, "--root", root])
        return (left.value.code, *capsys.readouterr())

    return run


@pytest.fixture
def lines(past_run):
    folder = past_run("one")
    (folder / "metrics").mkdir()
    text = "".join(json.dumps(line) + "\n" for line in LINES)
    (folder / "metrics/1.jsonl").write_text(text + "torn\n")


def test_a_table_for_people(call, lines):
    code, out, told = call("one")
    assert (code, told) == (0, "left out, as it cannot be read: metrics/1.jsonl line 3\n")
    assert out.splitlines() == [
        "step  images  d_loss  g_loss  late",
        "  10     640   1.386     0.7     -",
        "  20   1,280       -    0.25     2",
    ]


def test_csv_has_every_digit_and_an_empty_cell_for_what_is_not_there(call, lines):
    code, out, _ = call("latest", "--csv")
    rows = list(csv.DictReader(io.StringIO(out)))
    assert (code, rows) == (
        0,
        [
            {"step": "10", "images": "640", "d_loss": "1.38629436", "g_loss": "0.7", "late": ""},
            {"step": "20", "images": "1280", "d_loss": "", "g_loss": "0.25", "late": "2"},
        ],
    )
    assert call("one", "-o", "csv")[1] == out


def test_data_and_the_last_lines(call, lines):
    code, out, _ = call("one", "-o", "json", "--tail", "1")
    assert (code, json.loads(out)) == (
        0, [{"step": 20, "images": 1280, "d_loss": None, "g_loss": 0.25, "late": 2}],
    )  # fmt: skip
    assert "step: 20" in call("one", "-o", "yaml", "--tail", "1")[1]


def test_a_run_without_lines_says_so(call, past_run):
    past_run("none")
    assert call("none") == (0, "step  images\n", "run 'none' has no metrics yet\n")
    assert call("absent")[0] == 3
