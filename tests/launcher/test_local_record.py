"""``local.json``: what is written is read again, by the launchers before and after this one too."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from launcher.backends.local.record import LocalRecord, Process
from trainer.errors import GantryError

OLD = Path(__file__).with_name("local-format-1.json")
RECORD = LocalRecord(
    attempt=2,
    host="here",
    command=("a", "b"),
    preset="mlp",
    overrides=("steps=3",),
    workers=2,
    threads=1,
    ports=(1, 2),
    started="2026-01-02T03:04:05+00:00",
    supervisor=Process(1, started="25"),
    processes=(Process(3, started="45", exit_code=-9),),
    machine="boot pid:[1]",
    installation="id",
    word_before="2026-01-01T03:04:05+00:00",
)


def test_a_record_survives_its_file():
    assert LocalRecord.from_json(RECORD.to_json(), "here") == RECORD
    alone = replace(RECORD, supervisor=None, processes=())
    assert LocalRecord.from_json(alone.to_json(), "here") == alone


def test_a_record_of_an_older_launcher_is_read():
    old = LocalRecord.from_json(OLD.read_bytes(), "here")
    assert old.supervisor == Process(4193201, 1795252443.27)
    assert old.processes[1] == Process(4193207, 1795252443.38, -9)
    assert (old.machine, old.installation, old.holds_lock) == (None, None, False)
    assert LocalRecord.from_json(old.to_json(), "here") == old
    assert RECORD.holds_lock


def test_what_a_newer_launcher_added_is_left_out():
    values = json.loads(RECORD.to_json()) | {"colour": "green"}
    values["supervisor"]["cgroup"] = "/x"
    values["processes"][0]["cgroup"] = "/y"
    assert LocalRecord.from_json(json.dumps(values).encode(), "here") == RECORD


@pytest.mark.parametrize("text", [b"", b"[]", b"{}", b'{"format": 1}', b'{"format": 2}'])
def test_a_damaged_record_is_refused_in_one_line(text):
    with pytest.raises(GantryError, match=r"^here: not a record of a local run"):
        LocalRecord.from_json(text, "here")


def test_a_record_that_is_too_new_is_refused_in_words():
    with pytest.raises(GantryError, match=r"^here: format 99, this launcher reads up to 2$"):
        LocalRecord.from_json(b'{"format": 99}', "here")


def test_workers_are_added_and_replaced_by_index():
    record = replace(RECORD, processes=())
    record = record.with_process(0, Process(1)).with_process(1, Process(2))
    record = record.with_process(0, Process(1, exit_code=0))
    assert [(process.pid, process.exit_code) for process in record.processes] == [(1, 0), (2, None)]
