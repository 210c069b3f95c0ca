"""A run whose folder is emptied while it trains has failed; it is never begun again from step 0 unasked."""

import json
import shutil

import psutil
import pytest

from tests.support.refusing import Refusing
from tests.support.teams import SMALL, Team, saved
from tests.trainer.pods import Pods
from trainer import config
from trainer.errors import EXIT_RESTART, EXIT_USER, AccessError, RunLost
from trainer.run import layout, lost, record
from trainer.storage import open_store

ENDLESS = (*SMALL, "steps=1000000")
MLP = config.resolve("mlp", ())


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(lost, "_PAUSE_SECONDS", 0.01)
    monkeypatch.setattr(lost, "_BEAT_SECONDS", 0.01)


def status(store):
    return json.loads(store.read("status.json")) if store.stat("status.json") else {}


def empty(store):
    """What `gcloud storage rm -r` does, the record first; what is written meanwhile stays."""
    for stat in sorted(store.list(), key=lambda stat: stat.name != layout.RUN):
        store.delete(stat.name)


def step_of(store):
    return int(status(store).get("step") or 0)


def test_a_witness_that_was_told_of_the_record_misses_it_at_once(store):
    with pytest.raises(RunLost, match=r"run\.json is gone"):
        lost.Witness(store, claimed=True).check()


def test_a_witness_misses_only_what_it_saw(store):
    witness = lost.Witness(store, claimed=False)
    witness.check()
    assert not witness.has_seen
    store.write(layout.RUN, b"{}")
    assert witness._seen.wait(30)
    witness.check()
    store.delete(layout.RUN)
    with pytest.raises(RunLost) as failure:
        witness.check()
    assert failure.value.exit_code == EXIT_USER and "\n" not in str(failure.value)


def test_a_record_that_a_cache_denies_for_a_moment_is_there(gcs_root, gcs_proxy):
    store = open_store(gcs_root)
    store.write(layout.RUN, b"{}")
    denied = gcs_proxy.answer(404, method="GET", contains="run.json", times=3)
    lost.Witness(store, claimed=True).check()
    assert denied.used == 3


def test_a_bucket_that_is_missing_is_not_a_record_that_is_gone(monkeypatch):
    with Refusing(404) as server:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", server.url)
        with pytest.raises(AccessError, match="bucket 'absent' does not exist"):
            lost.check_record(open_store("gs://absent/gan/one"))


def test_a_run_that_had_its_record_is_not_begun_again(store):
    assert record.check(store, MLP, fresh=False) is None
    with pytest.raises(RunLost):
        record.check(store, MLP, fresh=False, begun=True)


def test_no_run_is_begun_over_checkpoints_of_an_unknown_one(store):
    store.write(layout.checkpoint_manifest(20), b"")
    assert record.check(store, MLP, fresh=False) is None  # a claim: no checkpoint
    store.write(layout.checkpoint_manifest(20), b"{}")
    with pytest.raises(RunLost, match=r"checkpoints/20 is still there"):
        record.check(store, MLP, fresh=False)


def test_pods_whose_bucket_is_emptied_while_they_train_fail_with_one_sentence(gcs_root, tmp_path):
    """Records of their own, as a schedule's firing has: nobody told them that there was one."""
    store = open_store(f"{gcs_root}/e/job")
    with Pods(gcs_root, "job", tmp_path, workers=2, sets=ENDLESS) as pods:
        pods.until(lambda: saved(store))
        empty(store)
        assert pods.processes[0].wait(60) == EXIT_USER, pods.log()
    assert "/e/job: run.json is gone" in pods.messages[0].read_text()
    assert "starting again" not in pods.log(0) and "Traceback" not in pods.log(0)
    # Alone in the folder it would look like a run that nobody started: the pod's own ending says it all.
    assert store.stat(layout.STATUS) is None and store.stat(layout.RUN) is None


def test_a_trainer_that_dies_while_the_bucket_is_emptied_is_not_started_again(gcs_root, tmp_path):
    """Before the supervisor has looked for the record itself, too, which it does every few seconds."""
    store = open_store(f"{gcs_root}/e/job")
    with Pods(gcs_root, "job", tmp_path, sets=ENDLESS) as pods:
        pods.until(lambda: saved(store))
        [trainer] = psutil.Process(pods.processes[0].pid).children()
        trainer.suspend()
        empty(store)
        trainer.kill()
        assert pods.wait() == [EXIT_USER], pods.log()
    assert "[D loss" in pods.log() and "run.json is gone" in pods.messages[0].read_text()


def test_the_pod_that_replaces_another_misses_the_record_that_the_launcher_wrote(gcs_root, tmp_path):
    store = open_store(f"{gcs_root}/e/job")
    with Pods(gcs_root, "job", tmp_path, sets=ENDLESS, GANTRY_CLAIMED=1) as pods:
        assert pods.wait() == [EXIT_USER], pods.log()
    assert "run.json is gone" in pods.messages[0].read_text() and "loss" not in pods.log()
    assert {stat.name.partition("/")[0] for stat in store.list()} == {"logs"}


def test_where_the_record_alone_is_gone_the_status_says_so(gcs_root, tmp_path):
    store = open_store(f"{gcs_root}/e/job")
    store.write(layout.CLUSTER, b"{}")
    with Pods(gcs_root, "job", tmp_path, sets=ENDLESS, GANTRY_CLAIMED=1) as pods:
        assert pods.wait() == [EXIT_USER], pods.log()
    assert (status(store)["state"], status(store)["lost"]) == ("failed", True)


def test_a_run_without_a_supervisor_whose_folder_is_removed_fails_too(tmp_path):
    store = open_store(str(tmp_path / "runs/e/run"))
    with Team(str(tmp_path / "runs"), "run", tmp_path / "logs", sets=ENDLESS) as team:
        team.until(lambda: saved(store))
        while store.stat(layout.RUN) or store.stat(layout.LEASE):
            shutil.rmtree(tmp_path / "runs/e/run", ignore_errors=True)
        assert team.wait() == [EXIT_USER], team.log()
    assert "error: " in team.log() and "runs/e/run: run.json is gone" in team.log()
    assert "Traceback" not in team.log()
    assert status(store)["state"] == "failed"


def test_a_run_whose_checkpoints_are_removed_is_not_begun_again_from_step_0(tmp_path):
    store = open_store(str(tmp_path / "runs/e/run"))
    with Team(str(tmp_path / "runs"), "run", tmp_path / "logs", sets=ENDLESS) as team:
        team.until(lambda: status(store).get("checkpoint_step"))
        team.ask_to_stop()
        assert team.wait() == [EXIT_RESTART], team.log()
    saved = step_of(store)
    shutil.rmtree(tmp_path / "runs/e/run/checkpoints")
    with Team(str(tmp_path / "runs"), "run", tmp_path / "logs", sets=ENDLESS) as team:
        assert team.wait() == [EXIT_USER], team.log()
    assert f"its checkpoints are gone, of which step {saved} was the newest" in team.log()
    assert status(store)["state"] == "failed" and "Traceback" not in team.log()


def test_a_run_whose_only_checkpoints_are_damaged_is_begun_again_and_says_so(tmp_path):
    store = open_store(str(tmp_path / "runs/e/run"))
    sets = (*SMALL, "steps=40", "checkpoints.keep=1")
    with Team(str(tmp_path / "runs"), "run", tmp_path / "logs", sets=sets) as team:
        team.until(lambda: status(store).get("checkpoint_step"))
        team.kill()
    for data in (tmp_path / "runs/e/run/checkpoints").glob("*/state.data-*"):
        data.write_bytes(b"damaged")
    with Team(str(tmp_path / "runs"), "run", tmp_path / "logs", sets=sets) as team:
        assert team.wait() == [0], team.log()
    assert "warning: skipping damaged checkpoint" in team.log()
