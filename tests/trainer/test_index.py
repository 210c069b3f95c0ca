"""The index of an experiment: whole under contention, and nothing that the runs' folders do not say."""

import json
import tempfile
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trainer.errors import UserError
from trainer.run import index
from trainer.run.index import Entry, Source
from trainer.storage import open_store

MEMORY = (
    "/dev/shm" if Path("/dev/shm").is_dir() else None
)  # thousands of synced writes to a disk take a minute
RECORD = {
    "format": 1, "created": "2026-11-02T03:00:00+00:00", "preset": "mlp",
    "world_size": 2, "image": "gantry:0.1.0",
    "schedule": "nightly", "scheduled": "2026-11-02T03:00:00+00:00", "config": {"steps": 60},
    "warm_start": {"run": "older", "step": 40, "optimizer": "fresh"},
}  # fmt: skip
STATUS = {
    "state": "stopped", "step": 20, "metrics": {"d_loss": 0.5, "g_loss": 1.0},
    "updated": "2026-11-02T03:09:00+00:00",
}  # fmt: skip
RESULT = {
    "state": "finished", "steps": 60, "finished": "2026-11-02T03:10:00+00:00",
    "metrics": {"step": 60, "images": 480, "d_loss": 0.25, "images_per_second": 90.5},
}  # fmt: skip


def put(store, run, record=RECORD, status=None, result=None) -> Entry:
    """A run's folder, and the entry that its chief would write."""
    files = {"run.json": record, "status.json": status, "result.json": result}
    for name, values in files.items():
        if values is not None:
            store.write(f"{run}/{name}", json.dumps(values).encode())
    return index.describe(run, record, status or {}, result or {})


def test_an_entry_says_what_the_three_files_say():
    assert index.describe("n-1", RECORD, STATUS, RESULT) == Entry(
        run="n-1", created=RECORD["created"], ended=RESULT["finished"], state="finished", step=60, steps=60,
        metrics={"d_loss": 0.25, "images_per_second": 90.5}, preset="mlp", world_size=2, schedule="nightly",
        scheduled=RECORD["scheduled"], warm_start=Source(run="older", step=40), backend="kubernetes",
    )  # fmt: skip
    stopped = index.describe("n-1", RECORD, STATUS, {})
    assert (stopped.state, stopped.step, stopped.ended) == ("stopped", 20, STATUS["updated"])
    assert stopped.metrics == {"d_loss": 0.5, "g_loss": 1.0}
    begun = index.describe("n-1", RECORD, {}, {})
    assert (begun.state, begun.step, begun.ended) == ("running", 0, None)


def test_a_finished_run_that_was_given_more_steps_is_running():
    more = RECORD | {"config": {"steps": 80}}
    entry = index.describe("n-1", more, STATUS | {"state": "running", "step": 65}, RESULT)
    assert (entry.state, entry.step, entry.steps, entry.ended) == ("running", 65, 80, None)


def test_entries_are_read_back_as_they_were_written(store):
    assert index.read(store) == {}
    first, second = put(store, "one"), put(store, "two", status=STATUS, result=RESULT)
    index.update(store, first)
    index.update(store, second)
    assert index.read(store) == {"one": first, "two": second}
    index.remove(store, "one")
    index.remove(store, "one")
    assert index.read(store) == {"two": second}
    index.remove(store, "two")
    assert list(store.list("index")) == []


def test_fifty_runs_that_end_together_are_all_there(store):
    entries = [Entry(run=f"run-{number}") for number in range(50)]
    gate = threading.Barrier(len(entries))

    def write(entry):
        gate.wait()
        index.update(store, entry)

    with ThreadPoolExecutor(len(entries)) as pool:
        list(pool.map(write, entries))
    assert index.read(store) == {entry.run: entry for entry in entries}
    assert index.load(store).complete


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b'{"format": 1}', b'{"format": 1, "runs": 7}', b"\xff"]
)
def test_a_damaged_index_is_taken_for_none_and_says_so(tmp_path, content):
    store, said = open_store(str(tmp_path)), []
    old, new = put(store, "old", result=RESULT), put(store, "new")
    store.write("index.json", content)
    assert index.read(store) == {} and "cannot be read" in index.load(store).note
    index.update(store, new, said.append)
    assert len(said) == 1 and "launcher reindex" in said[0]
    found = index.load(store)
    assert found.entries == {"old": old, "new": new} and found.complete and not found.note


def test_one_damaged_entry_costs_no_other(tmp_path):
    store = open_store(str(tmp_path))
    good = put(store, "good")
    index.update(store, good)
    values = json.loads(store.read("index.json"))
    values["runs"]["bad"] = {"state": "flying"}
    store.write("index.json", json.dumps(values).encode())
    found = index.load(store)
    assert found.entries == {"good": good} and "'bad'" in found.note and not found.complete


def test_an_index_of_a_newer_gantry_is_left_alone(tmp_path):
    store = open_store(str(tmp_path))
    store.write("index.json", b'{"format": 2, "runs": {}}')
    for change in (lambda: index.update(store, Entry(run="a")), lambda: index.rebuild(store)):
        with pytest.raises(UserError, match="format is 2, this Gantry reads format 1"):
            change()
    assert store.read("index.json") == b'{"format": 2, "runs": {}}'


def test_a_first_index_takes_in_the_runs_that_are_there(store):
    older, newer = put(store, "older", status=STATUS, result=RESULT), put(store, "newer")
    index.update(store, newer)
    assert index.load(store).entries == {"older": older, "newer": newer} and index.load(store).complete


def test_a_first_index_beside_very_many_runs_is_known_to_be_incomplete(tmp_path):
    store = open_store(str(tmp_path))
    for number in range(201):
        (tmp_path / f"r{number}").mkdir()
    put(store, "r0", result=RESULT)
    index.update(store, put(store, "new"))
    index.update(store, put(store, "newest"))
    assert set(index.read(store)) == {"new", "newest"} and not index.load(store).complete
    assert set(index.rebuild(store)) == {"r0", "new", "newest"} and index.load(store).complete


def test_a_folder_that_is_no_run_and_one_that_cannot_be_read_are_left_out(tmp_path):
    store, said = open_store(str(tmp_path)), []
    put(store, "good")
    store.write("notes/hello.txt", b"hello")
    store.write("broken/run.json", b'{"config": 7}')
    assert set(index.rebuild(store, said.append)) == {"good"}
    assert len(said) == 1 and "broken" in said[0]


class Interrupted:
    """A store in which `act` happens just before the index is written, or removed, for the first time."""

    def __init__(self, store, act):
        self._store, self._act = store, act

    def __getattr__(self, name):
        return getattr(self._store, name)

    def write(self, name, content, if_generation=None):
        act, self._act = self._act, lambda: None
        act()
        return self._store.write(name, content, if_generation)

    def delete(self, name, if_generation=None):
        act, self._act = self._act, lambda: None
        act()
        self._store.delete(name, if_generation)


def test_a_run_that_begins_while_the_last_other_is_removed_is_kept(tmp_path):
    store, begun = open_store(str(tmp_path)), Entry(run="begun")
    index.update(store, Entry(run="gone"))
    index.remove(Interrupted(store, lambda: index.update(store, begun)), "gone")
    assert index.read(store) == {"begun": begun}


def test_what_runs_write_while_it_is_rebuilt_wins(store):
    put(store, "a"), put(store, "gone")
    index.rebuild(store)
    ended = index.describe("a", RECORD, STATUS, RESULT)
    begun = Entry(run="begun")

    def meanwhile():
        index.update(store, ended)
        index.update(store, begun)
        index.remove(store, "gone")

    assert index.rebuild(Interrupted(store, meanwhile)) == {"a": ended, "begun": begun}
    assert index.read(store) == {"a": ended, "begun": begun}


EVENTS = st.lists(
    max_size=10,
    elements=st.tuples(
        st.sampled_from(["a", "b", "c"]), st.sampled_from(["begin", "stop", "finish", "rebuild", "delete"])
    ),
)


@settings(max_examples=25)
@given(events=EVENTS)
def test_after_any_order_of_changes_the_index_is_what_a_rebuild_gives(events):
    with tempfile.TemporaryDirectory(dir=MEMORY) as folder:
        follow(open_store(folder), events)


def follow(store, events):
    files = {"begin": {}, "stop": {"status": STATUS}, "finish": {"status": STATUS, "result": RESULT}}
    for run, event in events:
        if event == "rebuild":
            index.rebuild(store)
        elif event == "delete":
            for stat in list(store.list(f"{run}/")):
                store.delete(stat.name)
            index.remove(store, run)
        else:
            for name in ("status", "result"):  # as a run that begins again does, its folder is its own
                store.delete(f"{run}/{name}.json")
            index.update(store, put(store, run, **files[event]))
    kept = index.read(store)
    assert kept == index.rebuild(store) == index.read(store)
