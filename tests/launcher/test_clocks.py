"""The workstation's clock may be hours wrong: nothing that is said of a run may change with it."""

import json
import os
import re
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from launcher.backends.kubernetes.jobs.record import ClusterRecord
from launcher.backends.kubernetes.status.observe import Ages, Seen, join
from launcher.looking.show.run import next_steps
from launcher.records.run_folder import Found
from launcher.records.states import (
    ALL_STATES,
    FINISHED,
    INTERRUPTED,
    LIVE_STATES,
    RESTARTING,
    RUNNING,
    SILENCE,
    STARTING,
    UNKNOWN,
    by_status,
    unasked,
)
from launcher.runs import verbs
from launcher.runs.find import Place
from launcher.schedules.find import time_of
from tests.launcher.kubernetes_objects import BEGAN, ages, job, pod, said
from tests.support.clock import HOURS_WRONG, shifted
from trainer.errors import GantryError
from trainer.run.layout import RunPath
from trainer.storage import LocalStore, open_store

offsets = st.timedeltas(timedelta(days=-4000), timedelta(days=4000))
silences = st.none() | st.floats(0, 1e6)
words = st.sampled_from(sorted(ALL_STATES)).map(lambda state: {"state": state})


@given(words, silences)
def test_a_run_is_interrupted_only_where_one_clock_says_how_long_it_was_silent(word, silent):
    state = by_status(word, silent)
    if word["state"] not in LIVE_STATES:
        assert state.name == word["state"]
    elif silent is None:
        assert state.name == UNKNOWN
        assert word["state"] in state.explanation
    else:
        assert state.name == (word["state"] if silent <= SILENCE else state.name)
        assert state.name in (word["state"], INTERRUPTED)


@given(st.none() | words, silences)
def test_a_run_whose_cluster_was_not_asked_is_never_interrupted(word, silent):
    """It is what it says while it says so, what it ended as, or unknown; and why is told."""
    state = unasked(word, silent, "no cluster answers")
    assert "no cluster answers" in state.explanation
    if word is None:
        assert state.name == UNKNOWN
    elif word["state"] in LIVE_STATES and (silent is None or silent > SILENCE):
        assert (state.name, word["state"] in state.explanation) == (UNKNOWN, True)
    else:
        assert state.name == word["state"]


@given(st.sampled_from(sorted(LIVE_STATES)), silences, st.floats(0, 1e6), offsets, offsets)
def test_where_a_run_stands_is_the_same_wherever_its_clocks_stand(state, silent, old, servers, pods):
    """The clocks of API server, bucket and pods may differ; only differences of one of them count."""
    mine = job()
    mine["metadata"]["creationTimestamp"] = (BEGAN + servers).isoformat()
    word = {"state": state, "attempt": "one attempt 1", "updated": (BEGAN + pods).isoformat()}
    seen = Seen(mine, [pod(0), pod(1)], time=BEGAN + servers + timedelta(seconds=old))
    there = Seen(job(), [pod(0), pod(1)], time=BEGAN + timedelta(seconds=old))
    word_there = {**word, "updated": BEGAN.isoformat()}
    assert join(seen, word, Ages(silent)) == join(there, word_there, Ages(silent))


@pytest.mark.parametrize(
    ("attempt", "name"),
    [("one attempt 1", RUNNING), ("one attempt 2", STARTING), ("one-r2 attempt 1", STARTING)],
)
def test_a_word_is_of_the_attempt_that_it_names(attempt, name):
    word = said(age=-3600, attempt=attempt)  # by a pod's clock that is an hour behind
    assert join(Seen(job(), [pod(0), pod(1)], time=BEGAN), word, Ages(5.0)).state.name == name


def test_a_word_that_names_no_attempt_is_of_the_one_before_if_it_is_older_than_the_job():
    seen = Seen(job(), [pod(0), pod(1)], time=BEGAN + timedelta(seconds=20))
    assert join(seen, said(), Ages(19.0)).state.name == RUNNING
    assert join(seen, said(), Ages(30.0)).state.name == STARTING


@pytest.mark.parametrize(
    ("word", "old", "name"),
    [
        (None, Ages(None, 2.0), STARTING),
        (said("stopped"), Ages(600.0, 2.0), STARTING),
        (said("running"), Ages(1.0, 2.0), INTERRUPTED),  # it has spoken since
        (said("running"), Ages(600.0, 60.0), INTERRUPTED),
        (said("running"), Ages(600.0, None), INTERRUPTED),
    ],
)
def test_a_job_that_is_not_there_yet_is_told_from_one_that_is_gone(word, old, name):
    assert join(Seen(None, ()), word, old).state.name == name


def test_silence_that_no_clock_tells_is_not_claimed():
    seen = Seen(job(), [pod(0), pod(1)])
    assert join(seen, said(), Ages()).state == (RUNNING, "")
    assert join(seen, said(), ages(said(), seconds=400)).state.explanation.endswith("nothing for 6 min 30 s")


def test_a_shifted_process_is_shifted():
    told = "import time, datetime; print(time.time(), datetime.datetime.now(datetime.UTC).timestamp())"
    for hours in HOURS_WRONG:
        environment = {**os.environ, **shifted(hours)}
        done = subprocess.run([sys.executable, "-c", told], env=environment, capture_output=True, check=True)
        for shown in map(float, done.stdout.split()):
            assert abs(shown - time.time() - 3600 * hours) < 600


def test_a_schedule_has_no_times_where_its_server_states_none():
    class Silent:
        now, server = None, "https://c"

    with pytest.raises(GantryError, match="https://c does not state its time"):
        time_of(Silent())


def put(store, name, values):
    store.write(name, json.dumps(values).encode())


def begun(store, state="running", pods_clock=timedelta(), submitted=False, **more):
    """A run's folder as a trainer leaves it whose pod's clock is so much ahead."""
    now = (datetime.now(UTC) + pods_clock).isoformat(timespec="seconds")
    put(store, "run.json", {"config": {"steps": 40}, "preset": "mlp", "created": now, "world_size": 1})
    put(store, "status.json", {"state": state, "step": 20, "steps": 40, "updated": now, **more})
    put(store, "checkpoints/20/manifest.json", {"files": {}})
    line = {"step": 20, "images": 240, "d_loss": 1.0, "g_loss": 1.0, "images_per_second": 9.0}
    store.write("metrics/20.jsonl", f"{json.dumps(line)}\n".encode())
    if submitted:
        record = ClusterRecord(1, "one", "team", "c", "https://127.0.0.1:1", 1, now, {})
        store.write("cluster.json", record.to_json())


def settled(text):
    """What was printed, without how many seconds ago something was."""
    return re.sub(r" +", " ", re.sub(r"\b(\d+ min )?\d+ (s|min) ago", "N s ago", text))


@contextmanager
def written(*stores):
    """Write the words of runs again and again, as their trainers do."""
    over = threading.Event()

    def beat():
        while not over.wait(5.0):
            for store in stores:
                store.write("status.json", store.read("status.json"))

    thread = threading.Thread(target=beat, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


@pytest.fixture
def unreachable(tmp_path, monkeypatch):
    """A kubeconfig whose API server does not answer."""
    path = tmp_path / "kubeconfig"
    path.write_text(
        json.dumps(
            {
                "current-context": "c",
                "contexts": [{"name": "c", "context": {"cluster": "c", "namespace": "mine"}}],
                "clusters": [{"name": "c", "cluster": {"server": "https://127.0.0.1:1"}}],
            }
        )
    )
    monkeypatch.setenv("KUBECONFIG", str(path))
    monkeypatch.chdir(tmp_path)


def test_what_is_printed_of_runs_in_a_bucket_is_the_same_with_a_clock_that_is_hours_wrong(
    gcs_root, launcher, unreachable
):
    stores = {name: open_store(f"{gcs_root}/gan/{name}") for name in ("hand", "there", "done")}
    for name, more in (("hand", {}), ("there", {"submitted": True}), ("done", {"state": "finished"})):
        begun(stores[name], pods_clock=timedelta(hours=-3), **more)
    calls = ["list", "status there", "show hand", "compare hand there"]

    def printed(hours):
        """By command, with a shifted clock."""
        env = {**os.environ, "COLUMNS": "200", **shifted(hours)}
        with ThreadPoolExecutor(2) as pool:
            done = list(pool.map(lambda call: launcher(*call.split(), "--root", gcs_root, env=env), calls))
        return [settled(each.stdout) for each in done], [each.returncode for each in done]

    with written(stores["hand"], stores["there"]):
        (right, codes), *wrong = [printed(hours) for hours in (0.0, *HOURS_WRONG)]
    assert codes == [0] * len(calls)
    assert re.search(r"hand running .* N s ago", right[0])
    assert "there running " in right[0]
    assert "interrupted" not in "".join(right)
    assert "written N s ago" in right[1]
    assert "saved at step 20, N s ago" in right[1]
    assert "20 13 B yes N s ago" in right[2]
    assert wrong == [(right, codes)] * len(HOURS_WRONG)


@pytest.mark.parametrize(("seconds", "state"), [(5, RUNNING), (300, UNKNOWN)])
def test_a_run_whose_cluster_cannot_be_asked_stands_the_same_in_list_and_status(
    tmp_path, unreachable, capsys, seconds, state
):
    root = str(tmp_path / "runs")
    store = LocalStore(f"{root}/gan/there")
    begun(store, submitted=True)
    then = time.time() - seconds
    os.utime(tmp_path / "runs/gan/there/status.json", (then, then))
    place = Place(root=root)
    [listed] = verbs.list_runs(place)
    assert "files alone" in capsys.readouterr().err
    told = verbs.status(place, "there")
    assert (listed.state, listed.explanation) == (told.state, told.explanation)
    assert (told.state, told.asked, told.resumable) == (state, False, False)
    assert "the cluster cannot be asked: no cluster reachable" in told.explanation
    found = Found(RunPath(root, "gan", "there"), store)
    assert not any(step.command.startswith("launcher resume") for step in next_steps(told, found))


def elsewhere(store):
    """The record of an attempt on another machine."""
    host = {"attempt": 1, "host": "elsewhere", "command": [], "preset": "mlp", "overrides": [], "workers": 1}
    process = {"pid": 1, "started": 1.0, "exit_code": None}
    more = {
        "threads": 1,
        "ports": [],
        "started": BEGAN.isoformat(),
        "supervisor": process,
        "processes": [process],
    }
    put(store, "local.json", {**host, **more})


@pytest.mark.parametrize("hours", [-6, 0, 6])
def test_a_run_of_another_machine_in_a_shared_folder_is_under_way_if_it_writes_meanwhile(
    tmp_path, monkeypatch, hours
):
    """Its machine's clock dates its files, and nobody can read that one from here."""
    monkeypatch.setattr("launcher.records.status.is_written.__defaults__", (1.5,))
    store = LocalStore(tmp_path / "runs/gan/far")
    begun(store)
    put(store, "lease.json", {"holder": {"host": "elsewhere"}})
    when = time.time() + 3600 * hours
    file = tmp_path / "runs/gan/far/status.json"
    os.utime(file, (when, when))
    root = str(tmp_path / "runs")
    quiet = verbs.status(root, "far")
    assert (quiet.state, quiet.age_seconds, quiet.checkpoint_age_seconds) == (UNKNOWN, None, None)
    assert "no clock tells how long ago" in quiet.explanation
    assert [run.state for run in verbs.list_runs(root)] == [UNKNOWN]
    timer = threading.Timer(0.7, lambda: os.utime(file, (when + 5, when + 5)))
    timer.start()
    assert verbs.status(root, "far").state == RUNNING
    timer.join()


@pytest.mark.parametrize(("state", "seconds"), [(FINISHED, 7200), (RESTARTING, 300)])
def test_a_run_of_this_machine_is_dated_by_its_clock(tmp_path, state, seconds):
    store = LocalStore(tmp_path / "runs/gan/mine")
    begun(store, state)
    then = time.time() - seconds
    os.utime(tmp_path / "runs/gan/mine/status.json", (then, then))
    told = verbs.status(str(tmp_path / "runs"), "mine")
    assert told.state == state
    assert seconds <= told.age_seconds < seconds + 60
