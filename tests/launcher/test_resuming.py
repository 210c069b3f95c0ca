"""What a resumed run may have otherwise: patience, memory, and the grace that its checkpoints need."""

import json
from importlib.util import find_spec

import pytest

from launcher.backends.kubernetes.jobs.record import ClusterRecord
from launcher.backends.local.attempts import trainer_command
from launcher.errors import SpecError, Unsupported
from launcher.records.run_folder import Found
from launcher.render import render
from launcher.runs.resuming import resumed_spec
from launcher.spec.runspec import make_spec
from trainer.config import resolve
from trainer.storage import LocalStore

BEFORE = make_spec(
    "mlp", (), "one", image="reg/gantry:1", root="gs://runs/gan", backend="kubernetes", namespace="team"
)


@pytest.fixture
def found(tmp_path):
    """A run of a cluster, as its folder tells it, from what its trainer wrote last."""

    def make(spec=BEFORE, **status):
        store = LocalStore(tmp_path)
        begun = {"preset": "mlp", "overrides": [], "config": resolve("mlp").model_dump(mode="json")}
        store.write("run.json", json.dumps(begun).encode())
        record = ClusterRecord(1, "one", "team", "c", "https://c", 1, "", spec.model_dump(mode="json"))
        store.write("cluster.json", record.to_json())
        if status:
            store.write("status.json", json.dumps(status).encode())
        return Found(BEFORE.path, store)

    return make


@pytest.mark.parametrize(
    ("seconds", "grace"), [(20.0, 60), (20.1, 61), (100, 220), (0.0, 60), (None, 60), ("3", 60), (1e9, 60)]
)
def test_checkpoints_that_take_long_get_their_grace(found, capsys, seconds, grace):
    assert resumed_spec(found(checkpoint_seconds=seconds), ()).grace_seconds == grace
    told = capsys.readouterr().err
    assert told.count("\n") == (grace > 60)
    assert grace == 60 or f"{grace} s of grace instead of 60" in told


def test_a_grace_that_is_asked_for_is_taken(found, capsys):
    assert resumed_spec(found(checkpoint_seconds=100.0), (), grace_seconds=5).grace_seconds == 5
    assert capsys.readouterr().err == ""


def test_a_run_that_says_nothing_keeps_its_grace(found):
    assert resumed_spec(found(), (), grace_seconds=None).grace_seconds == 60


def test_a_run_that_lost_its_record_is_not_begun_again_as_a_resume(found):
    here = found(lost=True, message="gs://runs/gan/gan/one: run.json is gone")
    assert resumed_spec(here, ()).name == "one"  # the record is back
    here.store.delete("run.json")
    with pytest.raises(Unsupported, match=r"run 'one': .*run\.json is gone; put the folder back, or submit"):
        resumed_spec(here, ())


def test_a_firing_that_never_began_has_no_record_and_is_resumed(found):
    here = found()
    here.store.delete("run.json")
    assert resumed_spec(here, ()).name == "one"


def test_more_memory_than_before(found):
    assert resumed_spec(found(), (), memory="16Gi").memory == "16Gi"


def test_what_changes_no_result_may_change_and_is_kept(found):
    first = resumed_spec(found(), ("recovery.heartbeat_seconds=20", "checkpoints.keep=9"))
    assert first.config().recovery.heartbeat_seconds == 20
    second = resumed_spec(found(first), ("steps=20000",)).config()
    assert (second.recovery.heartbeat_seconds, second.checkpoints.keep) == (20, 9)


def test_steps_that_a_refused_attempt_was_to_take_are_kept(found):
    first = resumed_spec(found(), ("steps=20000",))
    assert resumed_spec(found(first), ()).config().steps == 20000  # run.json still says 10000
    assert resumed_spec(found(first), ("steps=30000",)).config().steps == 30000
    here = found(make_spec("mlp", ("steps=7",), "one", image="reg/gantry:1", root="gs://runs/gan"))
    assert resumed_spec(here, ()).config().steps == 10000


@pytest.mark.parametrize("override", ["steps=5", "batch_size=2"])
def test_what_would_make_it_another_run_may_not(found, override):
    with pytest.raises(SpecError, match=f"--set {override}: expected"):
        resumed_spec(found(), (override,))


def test_what_no_trainer_has_begun_may_have_any_value(found):
    here = found()
    run = json.loads(here.store.read("run.json"))
    for versions, may in (({"launcher": "0.1.0"}, True), ({"launcher": "0.1.0", "python": "3.11"}, False)):
        here.store.write("run.json", json.dumps({**run, "versions": versions}).encode())
        if may:
            assert resumed_spec(here, ("data.source=images:/other",)).overrides == (
                "data.source=images:/other",
            )
        else:
            with pytest.raises(SpecError, match="a resumed run keeps its values"):
                resumed_spec(here, ("data.source=images:/other",))


def test_changed_data_is_accepted_by_one_attempt_and_never_recorded(found):
    spec = resumed_spec(found(), (), accept_changed_data=True)
    job = next(each for each in render(spec, 2) if each["kind"] == "Job")
    assert "--accept-changed-data" in job["spec"]["template"]["spec"]["containers"][0]["args"]
    assert "accepts" not in json.dumps(spec.model_dump(mode="json"))
    again = resumed_spec(found(spec), ())
    assert "--accept-changed-data" not in json.dumps(render(again, 3))


@pytest.mark.skipif(find_spec("tensorflow") is None, reason="no worker is started without TensorFlow")
def test_changed_data_is_accepted_by_a_worker_on_this_machine():
    here = make_spec("mlp", (), "one").accepting_changed_data()
    assert trainer_command(here, 1)[-3:] == ["--accept-changed-data", "--threads", "1"]
