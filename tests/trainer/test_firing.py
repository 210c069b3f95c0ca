"""Firings of a schedule: each its own run, and the same one for a pod that replaces another."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from launcher.backends.kubernetes.jobs.record import ClusterRecord
from trainer.errors import UserError
from trainer.pod import scheduled_run
from trainer.pod.scheduled_run import Firing
from trainer.run import layout
from trainer.storage import open_store

MINUTES = st.integers(26_297_280, 99_999_999)  # from 2020 to the year 2160


def template(**changes):
    record = ClusterRecord(
        attempt=1, job="", namespace="ml", context="kind", server="https://1.2.3.4", workers=2, submitted="",
        spec={"preset": "mlp", "name": "nightly", "workers": 2},
    )  # fmt: skip
    return json.dumps(json.loads(record.to_json()) | changes)


def test_a_firing_is_called_after_the_minute_it_was_due():
    found = scheduled_run.identify(None, "nightly", {"GANTRY_JOB": "nightly-29366100"})
    assert found == Firing("nightly-20251101-0300", "nightly", "2025-11-01T03:00:00+00:00")
    assert found.arguments() == [
        "--run", "nightly-20251101-0300", "--schedule", "nightly", "--scheduled", "2025-11-01T03:00:00+00:00",
    ]  # fmt: skip


@given(minutes=MINUTES, other=MINUTES)
def test_every_minute_has_a_run_of_its_own_and_says_its_time(minutes, other):
    runs = [scheduled_run.identify(None, "a", {"GANTRY_JOB": f"a-{minute}"}) for minute in (minutes, other)]
    assert (runs[0].run == runs[1].run) == (minutes == other)
    assert layout.LABEL.fullmatch(runs[0].run)
    due = datetime.fromisoformat(runs[0].scheduled)
    assert due - datetime(1970, 1, 1, tzinfo=UTC) == timedelta(minutes=minutes)
    assert f"{due:a-%Y%m%d-%H%M}" == runs[0].run


def test_a_run_that_is_told_is_that_run():
    assert scheduled_run.identify("first", None, {}) == Firing("first", None, None)
    assert scheduled_run.identify("first", None, {}).arguments() == ["--run", "first"]
    triggered = scheduled_run.identify(
        "nightly-20251101-120000", "nightly", {"GANTRY_JOB": "nightly-tt51abc"}
    )
    assert triggered == Firing("nightly-20251101-120000", "nightly", None)


@pytest.mark.parametrize(
    ("run", "schedule", "job", "words"),
    [
        (None, None, "nightly-29366100", ["--run is not given"]),
        (None, "nightly", None, ["GANTRY_JOB is ''", "the name of the Job"]),
        (None, "nightly", "Nightly", ["GANTRY_JOB is 'Nightly'"]),
        (None, "nightly", "mytest", ["GANTRY_JOB_UID", "'mytest'", "`launcher cron update nightly`"]),
        (None, "nightly", "nightly-20261130", ["GANTRY_JOB_UID", "'nightly-20261130'"]),
        (None, "n.ghtly", "nightly-29366100", ["--schedule 'n.ghtly'"]),
        ("mine", "nightly", "nightly-29366100", ["--run 'mine'", "'nightly-29366100'"]),
    ],
)
def test_what_does_not_name_one_run_is_refused_with_its_value(run, schedule, job, words):
    with pytest.raises(UserError) as refusal:
        scheduled_run.identify(run, schedule, {"GANTRY_JOB": job} if job else {})
    assert all(word in str(refusal.value) for word in words) and "\n" not in str(refusal.value)


def test_the_first_pod_writes_where_the_run_is_and_the_next_leaves_it(store):
    environ = {"GANTRY_JOB": "nightly-29366100", "GANTRY_RECORD": template()}
    scheduled_run.write_record(store, "nightly-20251101-0300", environ)
    written = store.read("cluster.json")
    record = ClusterRecord.from_json(written, "here")
    assert (record.job, record.namespace, record.workers) == ("nightly-29366100", "ml", 2)
    assert record.spec == {"preset": "mlp", "name": "nightly-20251101-0300", "workers": 2}
    assert datetime.fromisoformat(record.submitted).tzinfo is not None
    scheduled_run.write_record(
        store, "nightly-20251101-0300", environ | {"GANTRY_RECORD": template(context="x")}
    )
    assert store.read("cluster.json") == written


@pytest.mark.parametrize("other", [{"job": "x"}, {"namespace": "y"}])
def test_a_folder_of_another_job_is_refused_and_left_as_it_is(tmp_path, other):
    """A run that somebody gave the name, or a schedule of the same name in another namespace."""
    store = open_store(str(tmp_path))
    written = template(**{"job": "nightly-29366100", **other}).encode()
    store.write("cluster.json", written)
    environ = {"GANTRY_JOB": "nightly-29366100", "GANTRY_RECORD": template()}
    with pytest.raises(UserError, match="'nightly-29366100' in namespace 'ml': expected a folder"):
        scheduled_run.write_record(store, "nightly-20251101-0300", environ)
    assert store.read("cluster.json") == written


@pytest.mark.parametrize("damaged", [b"of the launcher", b"[]", b"{}"])
def test_a_damaged_record_is_left_to_those_who_need_it(tmp_path, damaged):
    store = open_store(str(tmp_path))
    store.write("cluster.json", damaged)
    scheduled_run.write_record(store, "run", {"GANTRY_RECORD": template(), "GANTRY_JOB": "nightly-t1"})
    assert store.read("cluster.json") == damaged


def test_without_a_template_there_is_no_record(tmp_path):
    store = open_store(str(tmp_path))
    scheduled_run.write_record(store, "run", {"GANTRY_JOB": "nightly-29366100"})
    assert store.stat("cluster.json") is None


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"spec": null}', "7"])
def test_a_template_that_is_none_is_refused_by_name(tmp_path, text):
    with pytest.raises(UserError, match="GANTRY_RECORD is "):
        scheduled_run.write_record(open_store(str(tmp_path)), "run", {"GANTRY_RECORD": text})
