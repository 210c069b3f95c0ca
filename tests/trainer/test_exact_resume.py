"""The law: killed anywhere and started again, a run ends in the bits of one that nobody touched.

Only the chief writes; a worker's own save is its part in reaching the step at which the chief takes the
snapshot. "Between two workers' saves" is therefore the time between the chief's first file and its manifest.
A kill on seeing a file falls there or just after; the tests with a bucket hold the upload and cannot miss.
"""

import uuid

from tests.support.teams import SMALL, Team, outcome, train
from trainer.errors import EXIT_RESTART
from trainer.run import layout
from trainer.storage import open_store


def appeared(store, step):
    """A checkpoint, or a later one, has a file: the chief is about to write its manifest, or just has."""
    return any((layout.checkpoint_step(stat.name) or 0) >= step for stat in store.list("checkpoints/"))


def committed(store, step):
    """Its manifest is there; an empty one is only a claim."""
    found = store.stat(f"checkpoints/{step}/manifest.json")
    return found and found.size > 0


def stop(team, worker):
    """Ask one worker to stop, upon which all of them save and leave."""
    # All have come back from the first step, before which a worker that is asked has nothing to save.
    team.until(lambda: "2/60 [D loss" in team.log(0))
    team.ask_to_stop(worker)
    assert team.wait() == [EXIT_RESTART] * len(team.processes), team.log()
    assert "stopped after step" in team.log(0)


def test_one_worker_asked_to_stop_then_killed_in_a_checkpoint_after_a_damaged_one_and_while_starting(
    undisturbed, tmp_path
):
    store = open_store(str(tmp_path / "e" / "run"))
    said = (*SMALL, "metrics.print_every_steps=1")
    with Team(str(tmp_path), "run", tmp_path / "logs", sets=said) as team:
        stop(team, 0)
    with Team(str(tmp_path), "run", tmp_path / "logs") as team:
        team.until(lambda: appeared(store, 20))
        team.kill()
    with Team(str(tmp_path), "run", tmp_path / "logs") as team:
        team.until(lambda: committed(store, 40))
        team.kill()
    newest = 60 if committed(store, 60) else 40
    data = tmp_path / "e" / "run" / "checkpoints" / str(newest) / "state.data-00000-of-00001"
    content = bytearray(data.read_bytes())
    content[len(content) // 2] ^= 1
    data.write_bytes(content)
    with Team(str(tmp_path), "run", tmp_path / "logs") as team:
        team.until(lambda: "resuming" in team.log())
        team.kill()
        assert f"warning: skipping damaged checkpoint {store.url}/checkpoints/{newest}/" in team.log()
    team = train(str(tmp_path), "run", tmp_path / "logs")
    assert f"resuming {store.url} after step {newest - 20}" in team.log()
    assert outcome(store, 60) == outcome(undisturbed(1), 60)


def test_two_workers_asked_to_stop_and_killed_one_by_one(undisturbed, tmp_path):
    store = open_store(str(tmp_path / "e" / "run"))
    often = (*SMALL, "checkpoints.every_steps=10")
    with Team(
        str(tmp_path), "run", tmp_path / "logs", workers=2, sets=(*often, "metrics.print_every_steps=1")
    ) as team:
        stop(team, 1)
    with Team(str(tmp_path), "run", tmp_path / "logs", workers=2, sets=often) as team:
        team.until(lambda: appeared(store, 20))
        team.kill(1)
        assert team.processes[0].wait(60) == EXIT_RESTART, team.log()
        assert "error: worker 0 lost a peer" in team.log(0)
    with Team(str(tmp_path), "run", tmp_path / "logs", workers=2, sets=often) as team:
        team.until(lambda: appeared(store, 40))
        team.kill(0)
        assert team.processes[1].wait(60) == EXIT_RESTART, team.log()
    train(str(tmp_path), "run", tmp_path / "logs", workers=2, sets=often)
    assert outcome(store, 60) == outcome(undisturbed(2), 60)


def test_a_step_compiled_by_xla_is_as_exact(tmp_path):
    compiled = (*SMALL, "xla=auto")
    train(str(tmp_path), "undisturbed", tmp_path / "logs", sets=compiled)
    store = open_store(str(tmp_path / "e" / "run"))
    with Team(str(tmp_path), "run", tmp_path / "logs", sets=compiled) as team:
        team.until(lambda: appeared(store, 40))
        team.kill()
    train(str(tmp_path), "run", tmp_path / "logs", sets=compiled)
    assert outcome(store, 60) == outcome(open_store(str(tmp_path / "e" / "undisturbed")), 60)


def test_killed_in_the_middle_of_uploads_to_a_bucket(undisturbed, gcs_proxy, tmp_path):
    root = f"gs://runs/{uuid.uuid4().hex}"
    store = open_store(f"{root}/e/run")
    env = {"STORAGE_EMULATOR_HOST": gcs_proxy.url}
    for step, object_name in ((20, "state.data-00000-of-00001"), (40, "manifest.json")):
        held = gcs_proxy.hold(contains=f"checkpoints%2F{step}%2F{object_name}", method="POST")
        with Team(root, "run", tmp_path / "logs", env=env) as team:
            team.until(held.reached.is_set)
            team.kill()
        held.drop()
        assert not committed(store, step)
    train(root, "run", tmp_path / "logs", env=env)
    assert outcome(store, 60) == outcome(undisturbed(1), 60)


def test_a_finished_run_does_nothing_until_it_gets_more_steps(undisturbed, tmp_path):
    store = open_store(str(tmp_path / "e" / "run"))
    fewer = ("steps=40", *SMALL[1:])
    train(str(tmp_path), "run", tmp_path / "logs", sets=fewer)
    changing = ("status.json", "lease.json")  # who came, and what it said
    before = {stat.name: stat.generation for stat in store.list() if stat.name not in changing}
    again = train(str(tmp_path), "run", tmp_path / "logs", sets=fewer)
    assert "is finished after 40 steps" in again.log()
    assert {stat.name: stat.generation for stat in store.list() if stat.name not in changing} == before
    train(str(tmp_path), "run", tmp_path / "logs")
    assert outcome(store, 60) == outcome(undisturbed(1), 60)
    with Team(str(tmp_path), "run", tmp_path / "logs", sets=(*SMALL, "seed=7")) as refused:
        assert refused.wait() == [2]
        assert "seed (was 2, now 7)" in refused.log()
    with Team(str(tmp_path), "run", tmp_path / "logs", options=["--fresh"]) as refused:
        assert refused.wait() == [2]
        assert "--fresh" in refused.log()
