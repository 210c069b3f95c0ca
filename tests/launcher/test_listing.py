"""Lists of many runs: what they are read from, how they are ordered, and how an index is mended."""

import json
import threading
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from launcher.backends.kubernetes.status.overview import Jobs
from launcher.backends.kubernetes.status.reading import Readable
from launcher.commands.table import lines
from launcher.errors import SpecError
from launcher.records.status import RunStatus
from launcher.runs import verbs
from launcher.runs.find import Place
from launcher.runs.sorting import arranged, value_of
from launcher.runs.summary import look
from tests.launcher.kubernetes_objects import BEGAN, job, stamp
from trainer.run import index
from trainer.run.index import Entry
from trainer.run.layout import RunPath
from trainer.storage import Inside, open_store

CREATED, ENDED = BEGAN.isoformat(), (BEGAN + timedelta(minutes=5)).isoformat()


class Counted:
    """A store that notes what it is asked."""

    def __init__(self, store):
        self._store, self._lock, self.asked = store, threading.Lock(), []

    def __getattr__(self, name):
        found = getattr(self._store, name)
        if not callable(found):
            return found

        def call(*arguments, **options):
            with self._lock:
                self.asked.append((name, *arguments))
            return found(*arguments, **options)

        return call


@pytest.fixture
def counted(monkeypatch):
    """What a listing asks of the stores that it opens."""
    stores = []

    def opened(url):
        stores.append(Counted(open_store(url)))
        return stores[-1]

    monkeypatch.setattr("launcher.runs.table.open_store", opened)
    return lambda: [call for store in stores for call in store.asked]


def entry(run, state="finished", **more):
    ended = None if state == "running" else ENDED
    return Entry(run=run, created=CREATED, ended=ended, state=state, step=20, steps=20, preset="mlp", **more)


def write(store, run, name, values):
    store.write(f"{run}/{name}", json.dumps(values).encode())


@pytest.fixture
def experiment(gcs_root):
    """An experiment in a bucket of which the index knows three runs that ended and one that runs."""
    store = open_store(f"{gcs_root}/faces")
    now = datetime.now(UTC).isoformat()
    for run, state in (("a", "finished"), ("b", "failed"), ("c", "stopped"), ("d", "running")):
        write(store, run, "run.json", {"config": {"steps": 20}, "preset": "mlp", "created": CREATED})
        updated = now if state == "running" else ENDED
        word = {"state": state, "step": 7, "updated": updated, "attempt": "older attempt 0"}
        write(store, run, "status.json", word)
        index.update(store, entry(run, state, metrics={"fid": 3.0}))
    return store


def test_a_run_that_has_ended_is_read_from_the_index_alone(experiment, gcs_root, counted):
    found = {run.run: run for run in verbs.list_runs(gcs_root)}
    states = {name: run.state for name, run in found.items()}
    assert states == {"a": "finished", "b": "failed", "c": "stopped", "d": "running"}
    assert (found["a"].step, found["d"].step) == (20, 7)  # the index's word, and the folder's own
    assert (found["a"].metrics, found["a"].created, found["a"].updated) == ({"fid": 3.0}, CREATED, ENDED)
    named = [call for call in counted() if call[0] in ("read", "dated", "stat")]
    assert not [call for call in named if call[1].startswith(("faces/a/", "faces/b/", "faces/c/"))]
    assert "faces/d/status.json" in [call[1] for call in named]
    assert [call for call in counted() if call[0] == "folders"] == [("folders",), ("folders", "faces/")]


def test_what_the_index_lacks_is_found_and_what_was_removed_is_not(experiment, gcs_root):
    write(experiment, "new", "run.json", {"config": {"steps": 9}})
    experiment.write("notes/todo.txt", b"no run")
    for name in ("run.json", "status.json"):
        experiment.delete(f"a/{name}")
    assert {run.run for run in verbs.list_runs(gcs_root)} == {"b", "c", "d", "new"}
    assert {run.run for run in verbs.list_runs(gcs_root, "faces")} == {"b", "c", "d", "new"}
    assert verbs.list_runs(gcs_root, "cats") == []


def test_many_runs_that_an_index_lacks_are_told(gcs_root, capsys):
    store = open_store(f"{gcs_root}/faces")
    for number in range(51):
        write(store, f"run-{number}", "run.json", {"config": {"steps": 9}})
    assert len(verbs.list_runs(gcs_root)) == 51
    assert "51 runs are not in the index" in capsys.readouterr().err
    assert verbs.reindex(gcs_root) == [("faces", gcs_root, 51)]
    verbs.list_runs(gcs_root)
    assert capsys.readouterr().err == ""


def test_a_newer_attempt_counts_and_not_the_end_of_the_one_before(experiment, gcs_root):
    """A stopped run that was submitted again: its new Job is there before its trainer tells the index."""
    path, known = RunPath(gcs_root, "faces", "c"), index.read(experiment)["c"]
    found = verbs.locate(gcs_root, "faces/c").found
    jobs = Jobs(Place(root=gcs_root))
    for status, state in (
        ({"active": 2}, "pending"),
        ({"conditions": [("Complete", "CompletionsReached", "")], "succeeded": 2}, "finished"),
    ):
        made = job(**{"conditions": (), **status})
        made["metadata"]["labels"]["app.kubernetes.io/instance"] = "c"
        made["metadata"]["labels"]["app.kubernetes.io/part-of"] = "faces"
        made["metadata"]["annotations"]["gantry/root"] = f"{gcs_root}/"
        # Of two attempts the later one counts, whatever order the server shows them in.
        older = json.loads(json.dumps(made))
        older["metadata"] |= {"name": "older", "creationTimestamp": stamp(-600)}
        older["metadata"]["labels"]["gantry/attempt"] = "0"
        made["metadata"]["creationTimestamp"] = stamp(3600)
        jobs.take(Readable([made, older], None, None))
        assert jobs.of(path)["metadata"]["name"] == "one"
        here = look(found, known, [jobs])
        assert (here.state, here.job, here.attempt, here.backend) == (state, "one", 1, "kubernetes")


def test_a_local_run_that_was_resumed_is_not_taken_for_ended(submit, root, tmp_path):
    """Its record on this machine tells before its trainer has told the index anything."""
    from tests.launcher.waiting import wait_until

    submit("train")
    wait_until(lambda: verbs.status(root, "one").state == "running", "the fake trainer runs")
    index.update(open_store(f"{root}/gan"), entry("one", "stopped"))
    assert [run.state for run in verbs.list_runs(root)] == ["running"]
    (tmp_path / "runs/gan/one/go").touch()
    verbs.wait(root, "one", 60)
    index.update(open_store(f"{root}/gan"), entry("one", "finished", metrics={"fid": 1.5}))
    ended = verbs.list_runs(root)[0]
    assert (ended.state, ended.backend, ended.metrics) == ("finished", "local", {"fid": 1.5})


def test_deleting_a_run_takes_it_out_of_the_index(past_run, root):
    for name in ("one", "two"):
        past_run(name)
    store = open_store(f"{root}/gan")
    assert verbs.reindex(root) == [("gan", root, 2)]
    verbs.delete(root, "one")
    assert set(index.read(store)) == {"one", "two"}
    verbs.delete(root, "one", artifacts=True)
    assert set(index.read(store)) == {"two"}


def test_other_folders_get_no_index(past_run, root, launcher, tmp_path):
    past_run("one")
    (tmp_path / "runs/data/cats").mkdir(parents=True)
    (tmp_path / "runs/.cache/x").mkdir(parents=True)
    done = launcher("reindex", "--root", root)
    assert (done.returncode, done.stdout) == (0, "gan: 1 run\n")
    assert not list((tmp_path / "runs").glob("data/index.json"))
    refused = launcher("reindex", "--root", root, "--experiment", "data")
    assert refused.returncode == 2
    assert (
        refused.stderr
        == f"error: --experiment data: has no runs in root {root}, whose folders are data, gan\n"
    )


def status(run="one", **more) -> RunStatus:
    values = dict.fromkeys(RunStatus.__dataclass_fields__)
    asked = {"experiment": "gan", "run": run, "state": "finished", "metrics": {}, "workers": [], **more}
    return RunStatus(**{**values, **asked})


def names(found):
    return [run.run for run in found]


FIDS = [
    status("a", metrics={"fid": 3}),
    status("b", metrics={"fid": 1}),
    status("c"),
    status("d", metrics={"fid": 2}),
]


@pytest.mark.parametrize(
    ("how", "expected"),
    [
        ({"sort": "fid"}, "bdac"),
        ({"sort": "-fid"}, "adbc"),
        ({"sort": "fid", "reverse": True}, "adbc"),
        ({"sort": "fid", "limit": 2}, "bd"),
        ({"limit": 2}, "cd"),
        ({"reverse": True, "limit": 2}, "dc"),
        ({}, "abcd"),
        ({"sort": "run", "reverse": True}, "dcba"),
        ({"sort": "step"}, "abcd"),
    ],
)
def test_the_lowest_come_first_and_those_without_a_figure_last(how, expected):
    assert "".join(names(arranged(FIDS, **how))) == expected


def test_only_runs_in_some_states():
    mixed = [status("a", state="failed"), status("b", state="running"), status("c", state="stopped")]
    assert names(arranged(mixed, states=["failed", "stopped"])) == ["a", "c"]


@pytest.mark.parametrize(
    ("how", "text"),
    [
        ({"sort": "fdi"}, r"--sort fdi: no run has it; expected one of created, .*, fid"),
        ({"states": ["done"]}, r"--state done: expected one of collapsed, failed, finished, "),
        ({"limit": 0}, r"--limit 0: expected at least 1"),
    ],
)
def test_what_no_run_has_is_refused(how, text):
    with pytest.raises(SpecError, match=text):
        arranged(FIDS, **how)


def test_an_empty_list_can_be_sorted_by_anything():
    assert arranged([], sort="fid") == []


odd = st.one_of(st.none(), st.floats(), st.integers(-5, 5), st.booleans(), st.text(max_size=3))


@given(values=st.lists(odd, min_size=1), reverse=st.booleans(), limit=st.none() | st.integers(1, 5))
def test_any_figures_can_be_sorted(values, reverse, limit):
    many = [status(str(place), metrics={"fid": value}) for place, value in enumerate(values)]
    found = arranged(many, sort="fid", reverse=reverse, limit=limit)
    seen = [value_of(run, "fid") for run in found]
    known = [value for value in seen if value is not None]
    assert known == sorted(known, reverse=reverse)
    assert seen == known + [None] * (len(seen) - len(known))
    assert len(found) == min(len(many), limit or len(many)) and len(set(names(found))) == len(found)


def test_a_table_has_the_figure_that_it_is_sorted_by(past_run, root, launcher):
    past_run("one")
    (past_run("two") / "status.json").write_text(
        json.dumps({"state": "finished", "step": 5, "metrics": {"fid": 7.25}})
    )
    done = launcher("list", "--root", root, "--experiment", "gan", "--sort", "-fid")
    heading, first, second = done.stdout.splitlines()
    assert heading.split()[-1] == "fid"
    assert first.split()[1] == "two" and first.split()[-1] == "7.25"
    assert second.split()[1] == "one" and second.split()[-1] == "-"
    found = json.loads(launcher("list", "--root", root, "--sort", "fid", "-o", "json").stdout)
    assert [run["metrics"].get("fid") for run in found] == [7.25, None]
    refused = launcher("list", "--root", root, "--sort", "fdi")
    assert (refused.returncode, refused.stdout) == (2, "")


@given(rows=st.lists(st.lists(st.text("ab", max_size=4), min_size=2, max_size=2)))
def test_columns_are_aligned(rows):
    told = lines(["name", "n"], rows, right=["n"])
    width = max(4, *(len(name) for name, _ in rows)) if rows else 4
    number = max(1, *(len(value) for _, value in rows)) if rows else 1
    assert told[1:] == [f"{name.ljust(width)}  {value.rjust(number)}".rstrip() for name, value in rows]


def test_a_folder_in_a_bucket_needs_no_client_of_its_own(experiment, gcs_root):
    inside = Inside(open_store(gcs_root), "faces/a")
    assert inside.read("run.json") == experiment.read("a/run.json")
