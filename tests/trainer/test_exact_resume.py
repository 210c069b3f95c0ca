"""The law: killed anywhere and started again, a run ends in the bits of one that nobody touched.

Only the chief writes; a worker's own save is its part in reaching the step at which the chief takes the
snapshot. "Between two workers' saves" is therefore the time between the chief's first file and its manifest.
"""

import uuid

import pytest

from tests.support.teams import SMALL, Team, outcome, train
from trainer.errors import EXIT_RESTART
from trainer.storage import open_store


def begun(store, step):
    """A checkpoint has a file and no manifest yet."""
    names = {stat.name for stat in store.list(f"checkpoints/{step}/")}
    return names and f"checkpoints/{step}/manifest.json" not in names


def committed(store, step):
    return store.stat(f"checkpoints/{step}/manifest.json")


def stepped(store, step):
    """A line of metrics for `step` or later was written; lines between checkpoints may not be."""
    found = [stat.name for stat in store.list("metrics/")]
    return f"metrics/{step}.jsonl" in found


def test_one_worker_killed_in_a_checkpoint_after_one_and_while_starting(undisturbed, tmp_path):
    store = open_store(str(tmp_path / "e" / "run"))
    with Team(str(tmp_path), "run", tmp_path / "logs") as team:
        team.until(lambda: begun(store, 10))
        team.kill()
    assert not committed(store, 10)
    with Team(str(tmp_path), "run", tmp_path / "logs") as team:
        team.until(lambda: committed(store, 20))
        team.kill()
    with Team(str(tmp_path), "run", tmp_path / "logs") as team:
        team.until(lambda: "resuming" in team.log())
        team.kill()
    team = train(str(tmp_path), "run", tmp_path / "logs")
    assert f"resuming {store.url} after step" in team.log()
    assert outcome(store, 30) == outcome(undisturbed(1), 30)


def test_two_workers_killed_one_by_one_and_together(undisturbed, tmp_path):
    store = open_store(str(tmp_path / "e" / "run"))
    with Team(str(tmp_path), "run", tmp_path / "logs", workers=2) as team:
        team.until(lambda: begun(store, 10))
        team.kill(1)
        assert team.processes[0].wait(60) == EXIT_RESTART, team.log()
        assert "error: worker 0 lost a peer" in team.log(0)
    with Team(str(tmp_path), "run", tmp_path / "logs", workers=2) as team:
        team.until(lambda: begun(store, 20))
        team.kill(0)
        assert team.processes[1].wait(60) == EXIT_RESTART, team.log()
    with Team(str(tmp_path), "run", tmp_path / "logs", workers=2) as team:
        team.until(lambda: begun(store, 30))
        team.kill()
    train(str(tmp_path), "run", tmp_path / "logs", workers=2)
    assert outcome(store, 30) == outcome(undisturbed(2), 30)


def test_a_step_compiled_by_xla_is_as_exact(tmp_path):
    compiled = (*SMALL, "xla=auto")
    train(str(tmp_path), "undisturbed", tmp_path / "logs", sets=compiled)
    store = open_store(str(tmp_path / "e" / "run"))
    with Team(str(tmp_path), "run", tmp_path / "logs", sets=compiled) as team:
        team.until(lambda: begun(store, 20))
        team.kill()
    train(str(tmp_path), "run", tmp_path / "logs", sets=compiled)
    assert outcome(store, 30) == outcome(open_store(str(tmp_path / "e" / "undisturbed")), 30)


@pytest.mark.parametrize("object_name", ["state.data-00000-of-00001", "manifest.json"])
def test_killed_in_the_middle_of_an_upload_to_a_bucket(undisturbed, gcs_proxy, tmp_path, object_name):
    root = f"gs://runs/{uuid.uuid4().hex}"
    store = open_store(f"{root}/e/run")
    held = gcs_proxy.hold(contains=f"checkpoints%2F20%2F{object_name}", method="POST")
    env = {"STORAGE_EMULATOR_HOST": gcs_proxy.url}
    with Team(root, "run", tmp_path / "logs", env=env) as team:
        team.until(held.reached.is_set)
        team.kill()
    held.drop()
    assert not committed(store, 20)
    train(root, "run", tmp_path / "logs", env=env)
    assert outcome(store, 30) == outcome(undisturbed(1), 30)


@pytest.mark.parametrize("workers", [1, 2])
def test_asked_to_stop_it_saves_at_once_and_goes_on(undisturbed, tmp_path, workers):
    store = open_store(str(tmp_path / "e" / "run"))
    with Team(str(tmp_path), "run", tmp_path / "logs", workers=workers) as team:
        team.until(lambda: stepped(store, 1))
        team.ask_to_stop(workers - 1)  # one worker's signal stops all of them at the same step
        assert team.wait() == [EXIT_RESTART] * workers, team.log()
        assert "stopped after step" in team.log(0)
    train(str(tmp_path), "run", tmp_path / "logs", workers=workers)
    assert outcome(store, 30) == outcome(undisturbed(workers), 30)


def test_a_damaged_checkpoint_is_skipped_by_name_and_the_run_ends_in_the_same_bits(undisturbed, tmp_path):
    store = open_store(str(tmp_path / "e" / "run"))
    with Team(str(tmp_path), "run", tmp_path / "logs") as team:
        team.until(lambda: committed(store, 20))
        team.kill()
    newest = 30 if committed(store, 30) else 20
    data = tmp_path / "e" / "run" / "checkpoints" / str(newest) / "state.data-00000-of-00001"
    content = bytearray(data.read_bytes())
    content[len(content) // 2] ^= 1
    data.write_bytes(content)
    team = train(str(tmp_path), "run", tmp_path / "logs")
    assert f"warning: skipping damaged checkpoint {store.url}/checkpoints/{newest}/" in team.log()
    assert f"after step {newest - 10}" in team.log()
    assert outcome(store, 30) == outcome(undisturbed(1), 30)


def test_a_finished_run_does_nothing_until_it_gets_more_steps(undisturbed, tmp_path):
    store = open_store(str(tmp_path / "e" / "run"))
    fewer = ("steps=20", *SMALL[1:])
    train(str(tmp_path), "run", tmp_path / "logs", sets=fewer)
    before = {stat.name: stat.generation for stat in store.list() if stat.name != "status.json"}
    again = train(str(tmp_path), "run", tmp_path / "logs", sets=fewer)
    assert "is finished after 20 steps" in again.log()
    assert {stat.name: stat.generation for stat in store.list() if stat.name != "status.json"} == before
    train(str(tmp_path), "run", tmp_path / "logs")
    assert outcome(store, 30) == outcome(undisturbed(1), 30)
    with Team(str(tmp_path), "run", tmp_path / "logs", sets=(*SMALL, "seed=7")) as refused:
        assert refused.wait() == [2]
        assert "seed (was 2, now 7)" in refused.log()
    with Team(str(tmp_path), "run", tmp_path / "logs", options=["--fresh"]) as refused:
        assert refused.wait() == [2]
        assert "--fresh" in refused.log()
