"""Trouble with storage is waited out, told once, and given up only when somebody waits for it."""

import threading
import uuid

import pytest

from tests.support.runs import run_here
from tests.support.teams import SMALL, Team, outcome
from trainer import config
from trainer.data import Look, open_source, prepare
from trainer.errors import (
    EXIT_RESTART,
    AccessError,
    DiskFull,
    ObjectMissing,
    PreconditionFailed,
    StorageAway,
    StorageError,
)
from trainer.storage import LocalStore, gcs, open_store, retrying
from trainer.storage.retrying import Outage, PatientStore
from trainer.training import input_pipeline
from trainer.training.background_writer import BackgroundWriter

DEADLINE_SECONDS = 60.0


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(retrying, "_FIRST_PAUSE_SECONDS", 0.001)
    monkeypatch.setattr(retrying, "_LONGEST_PAUSE_SECONDS", 0.01)


class Faulty:
    """A store that raises, before each call, the next of `errors`, or `always` when it is set."""

    def __init__(self, store):
        self._store, self.url, self.errors, self.always, self.calls = store, store.url, [], None, 0

    def __getattr__(self, method):
        def call(*args):
            self.calls += 1
            if self.always or self.errors:
                raise self.always or self.errors.pop(0)
            return getattr(self._store, method)(*args)

        return call


@pytest.fixture
def faulty(tmp_path):
    return Faulty(LocalStore(tmp_path / "store"))


def calls(store, tmp_path):
    """Every method that asks storage, with what it answers when all is well."""
    (tmp_path / "source").write_bytes(b"content")
    return {
        "check": (store.check, None),
        "read": (lambda: store.read("x/a", 1, 3), b"ont"),
        "download": (lambda: store.download("x/a", tmp_path / "copy"), None),
        "stat": (lambda: store.stat("x/a").size, 7),
        "list": (lambda: [found.name for found in store.list("x/")], ["x/a"]),
        "folders": (lambda: [*store.folders()], ["x"]),
        "parts": (lambda: b"".join(store.parts(store.stat("x/a"))), b"content"),
        "write": (lambda: store.write("b", b"") > 0, True),
        "upload": (lambda: store.upload("c", tmp_path / "source") > 0, True),
        "delete": (lambda: store.delete("x/a"), None),
    }


def test_every_call_is_waited_for_and_told_once_with_its_end(faulty, tmp_path):
    said = []
    store = PatientStore(faulty, Outage(600, said.append))
    store.write("x/a", b"content")
    for name, (call, expected) in calls(store, tmp_path).items():
        faulty.errors = [StorageError("503 from storage")] * 4
        assert call() == expected, name
        assert [text.split(":")[0] for text in said] == ["warning", "storage is back after 0 s"], name
        assert "503 from storage" in said[0] and "training goes on" in said[0]
        said.clear()


@pytest.mark.parametrize("kind", [ObjectMissing, PreconditionFailed, DiskFull, AccessError])
def test_what_waiting_does_not_mend_comes_through_at_once(faulty, kind):
    said = []
    store = PatientStore(faulty, Outage(600, said.append))
    faulty.errors = [kind("as it is")] * 2
    with pytest.raises(kind, match="as it is"):
        store.write("a", b"")
    assert faulty.calls == 1 and said == []


@pytest.mark.parametrize("kind", [ObjectMissing, PreconditionFailed])
def test_an_answer_that_is_no_success_shows_that_storage_is_back(faulty, kind):
    said = []
    outage = Outage(600, said.append)
    faulty.errors = [StorageError("away"), kind("but it answers")]
    with pytest.raises(kind):
        PatientStore(faulty, outage).write("a", b"")
    assert outage.line is None and "is back" in said[-1]


def test_a_real_condition_is_passed_on(tmp_path):
    patient = PatientStore(LocalStore(tmp_path), Outage(600, str))
    generation = patient.write("a", b"1", 0)
    with pytest.raises(PreconditionFailed):
        patient.write("a", b"2", 0)
    patient.delete("a", generation + 1)
    assert patient.read("a") == b"1"
    patient.delete("a", generation)
    assert patient.stat("a") is None


def test_it_is_given_up_only_when_somebody_waits(faulty):
    said, asked = [], []
    outage = Outage(0, said.append)

    def somebody_waits():
        asked.append(faulty.calls)
        return len(asked) > 20

    outage.somebody_waits = somebody_waits
    faulty.always = StorageError("503 from storage")
    with pytest.raises(StorageAway, match="storage has been away for 0 s: 503 from storage") as given_up:
        PatientStore(faulty, outage).read("a")
    assert given_up.value.exit_code == 42 and faulty.calls >= 21
    assert len(said) == 1
    assert outage.line == "away for 0 s: 503 from storage"


def test_however_long_somebody_waits_it_is_not_given_up_before_the_time(faulty):
    faulty.errors = [StorageError("away")] * 50
    PatientStore(faulty, Outage(3600, str)).write("a", b"")  # somebody always waits, unless said otherwise


def test_one_outage_is_told_once_by_all_stores_and_threads_that_share_it(tmp_path):
    said = []
    outage = Outage(600, said.append)
    faulty = [Faulty(LocalStore(tmp_path / str(i))) for i in range(4)]
    for store in faulty:
        store.always = StorageError("away")
    threads = [
        threading.Thread(target=PatientStore(store, outage).write, args=("a", b"")) for store in faulty
    ]
    for thread in threads:
        thread.start()
    while not all(store.calls > 3 for store in faulty):
        threads[0].join(0.001)
    assert len(said) == 1 and outage.line
    for store in faulty:
        store.always = None
    for thread in threads:
        thread.join(DEADLINE_SECONDS)
    assert outage.line is None


def test_training_goes_on_two_checkpoints_ahead_waits_and_is_told_why_it_ends(faulty):
    writer, said = BackgroundWriter(), []
    outage = Outage(0, said.append)
    outage.somebody_waits = lambda: writer.somebody_waits
    store = PatientStore(faulty, outage)
    faulty.always = StorageError("503 from storage")
    for step in (10, 20):
        writer.submit(lambda step=step: store.write(f"lines-{step}", b""))
        writer.submit_large(lambda step=step: store.write(f"checkpoint-{step}", b""))
    reached = faulty.calls + 20
    while faulty.calls < reached:  # it is asked again and again, and nothing is given up
        assert outage.line is None or not writer.somebody_waits
    with pytest.raises(StorageAway, match="503 from storage") as ended:
        writer.submit_large(lambda: store.write("checkpoint-30", b""))
    assert ended.value.exit_code == 42
    with pytest.raises(StorageAway):
        writer.drain()
    writer.close(DEADLINE_SECONDS)
    assert len(said) == 1


def test_an_outage_that_ends_in_time_loses_nothing_and_keeps_the_order(faulty):
    writer = BackgroundWriter()
    outage = Outage(3600, str)
    outage.somebody_waits = lambda: writer.somebody_waits
    store, order = PatientStore(faulty, outage), []
    faulty.always = StorageError("away")
    for step in range(2):
        writer.submit(lambda step=step: order.append((step, store.write(f"line-{step}", b""))[0]))
        writer.submit_large(lambda step=step: order.append((step, store.write(f"{step}", b""))[0]))
    threading.Timer(0.05, lambda: setattr(faulty, "always", None)).start()
    writer.submit_large(lambda: store.write("2", b""))  # waits for a place
    writer.drain()
    writer.close()
    assert order == [0, 0, 1, 1]
    assert [found.name for found in store.list()] == ["0", "1", "2", "line-0", "line-1"]


def test_a_bucket_that_answers_503_for_longer_than_the_library_tries(gcs_root, gcs_proxy, monkeypatch):
    monkeypatch.setattr(gcs, "DEFAULT_RETRY", gcs.DEFAULT_RETRY.with_timeout(0))  # not one more try
    said = []
    outage = Outage(0, said.append)
    refused = gcs_proxy.answer(503, method="POST", times=None)

    def somebody_waits():
        if refused.used >= 5:
            refused.end()
        return False

    outage.somebody_waits = somebody_waits
    store = PatientStore(open_store(gcs_root), outage)
    generation = store.write("a", b"content", 0)
    assert store.stat("a").generation == generation and refused.used == 5
    assert len(said) == 2 and "503" in said[0] and "is back" in said[1]
    gcs_proxy.answer(503, method="POST", times=None)
    outage.somebody_waits = lambda: True
    with pytest.raises(StorageAway, match="503"):
        store.write("a", b"more")


def test_an_outage_that_is_too_long_ends_a_run_and_a_short_one_delays_it_both_without_a_trace(
    undisturbed, gcs_proxy, tmp_path
):
    """A status that the client library does not try again stands for its two minutes of trying."""
    root = f"gs://runs/{uuid.uuid4().hex}"
    store = open_store(f"{root}/e/run")
    env = {"STORAGE_EMULATOR_HOST": gcs_proxy.url}

    def away():
        """Let an upload come to its end and answer nothing after it."""
        team.until(held.reached.is_set)
        outage = gcs_proxy.answer(501, times=None)
        held.release()
        team.until(
            lambda: "warning: storage does not answer and is asked again; training goes on" in team.log()
        )
        return outage

    held = gcs_proxy.hold("POST", contains="checkpoints/20/state.data")
    impatient = (*SMALL, "recovery.storage_patience_seconds=1")
    with Team(root, "run", tmp_path / "logs", env=env, sets=impatient) as team:
        outage = away()
        assert team.wait() == [EXIT_RESTART], team.log()
        assert "error: storage has been away for " in team.log() and "501" in team.log()
    outage.end()
    assert not store.stat("checkpoints/20/manifest.json").size
    held = gcs_proxy.hold("POST", contains="checkpoints/40/state.data")
    with Team(root, "run", tmp_path / "logs", env=env) as team:
        outage = away()
        team.until(lambda: outage.used > 5)
        outage.end()
        assert team.wait() == [0], team.log()
        assert team.log().count("storage is back after ") == 1
    assert outcome(store, 60) == outcome(undisturbed(1), 60)


@pytest.fixture
def streamed(gcs_root, gcs_proxy):
    """Options of a run on this disk whose images are streamed from a bucket behind the proxy."""
    prepare("digits", f"tfrecord:{gcs_root}/digits", shard_images=512)
    return (f"data.source=tfrecord:{gcs_root}/digits", "data.placement=stream", "data.shuffle_window=256")


def stream(options):
    """The images of a run, as its training takes them."""
    resolved = config.resolve("mlp", options)
    source = open_source(resolved.data.source, resolved.image.shape, look=Look(cache_blocks=2))
    return input_pipeline.ImageStream(source, resolved, 0, 1, 0)


def test_a_bucket_of_the_data_that_is_away_when_a_run_begins_is_waited_for(
    streamed, gcs_proxy, tmp_path, capsys
):
    """A status that the client library does not try again stands for its two minutes of trying."""
    away = gcs_proxy.answer(501, method="GET", contains="index.json", times=3)
    assert run_here(tmp_path, *streamed) == 0
    said = capsys.readouterr().out
    assert away.used == 3 and said.count("data.source tfrecord:") == 1
    assert said.count("warning: storage does not answer") == said.count("storage is back after") == 1
    away = gcs_proxy.answer(501, method="GET", contains="index.json", times=None)
    with pytest.raises(StorageAway, match=r"storage has been away for .*index\.json") as failure:
        run_here(tmp_path, *streamed, "recovery.storage_patience_seconds=1", run="other")
    assert failure.value.exit_code == EXIT_RESTART


def test_a_bucket_of_the_data_that_is_away_in_training_is_waited_for(streamed, gcs_proxy, capsys):
    expected = stream(streamed).take(40).inputs
    away = gcs_proxy.answer(501, method="GET", contains="shard-", skip=1, times=3)
    assert (stream(streamed).take(40).inputs == expected).all()
    said = capsys.readouterr().out
    # Once, or twice where a read beside it was answered in between.
    told = said.count("warning: storage does not answer")
    assert away.used == 3 and 1 <= told == said.count("storage is back after")
    gcs_proxy.answer(501, method="GET", contains="shard-", skip=1, times=None)
    with pytest.raises(StorageAway, match=r"storage has been away for .*shard-"):
        stream((*streamed, "recovery.storage_patience_seconds=1")).take(40)
