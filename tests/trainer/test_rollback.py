"""A game that is over ends a run, or has it go on from where it was well, in bits that no kill changes.

TINY at a learning rate of 0.05: the spread of its grids is 0.87, 0.87, 0.77 and 0.74 of real images' after
10, 20, 30 and 40 steps, so that with a threshold of 0.78 and a window of 20 steps it is over after
40, and was well after 20.
"""

import json

import numpy as np
import pytest

from tests.support.metrics import read_lines, without_timing
from tests.support.runs import TINY, run_here
from tests.support.teams import Team
from tests.trainer.pods import Pods
from trainer import randomness
from trainer.errors import Collapsed, UserError
from trainer.run import checkpoints, index, layout, rollbacks
from trainer.run.status import finished_steps
from trainer.storage import open_store

EVERY = (
    "metrics.every_steps=10",
    "checkpoints.every_steps=10",
    "samples.every_steps=10",
    "checkpoints.keep=1",
)
OVER = (
    *EVERY,
    "optimizer.learning_rate=0.05",
    "steps=60",
    "health.least_spread=0.78",
    "health.window_steps=10",
)
BACK = (*TINY, *OVER, "health.on_collapse=rollback")
STOP = (*OVER, "health.on_collapse=stop")


def said(store, name):
    return json.loads(store.read(name))


def left_by(store):
    """All that is a function of the configuration, weights by their bytes."""
    found = checkpoints.read(store, 60).values
    lines = [without_timing(line) for line in read_lines(store)]
    back = [{key: value for key, value in each.items() if key != "created"} for each in rollbacks.read(store)]
    return {name: value.tobytes() for name, value in found.items()}, lines, back


def test_a_run_that_is_rolled_back_ends_in_the_same_bits_when_it_is_killed_right_after(tmp_path):
    with Team(str(tmp_path), "whole", tmp_path / "logs", workers=2, sets=BACK) as whole:
        assert whole.wait() == [0, 0], whole.log()
    untouched = open_store(str(tmp_path / "e" / "whole"))
    assert [(each["at"], each["to"], each["condition"]) for each in rollbacks.read(untouched)] == [
        (40, 20, "collapse")
    ]
    assert "step 40: going on from step 20 with other latents, rollback 1 of at most 3" in whole.log(0)
    assert said(untouched, layout.RESULT)["rollbacks"] == 1 and finished_steps(untouched) == 60

    cut = open_store(str(tmp_path / "e" / "cut"))
    with Team(str(tmp_path), "cut", tmp_path / "logs", workers=2, sets=BACK) as team:
        team.until(lambda: cut.stat(layout.ROLLBACKS))
        team.kill()
    assert cut.stat(layout.checkpoint_manifest(20)) and not cut.stat(layout.checkpoint_manifest(40))
    with Team(str(tmp_path), "cut", tmp_path / "logs", workers=2, sets=BACK) as team:
        assert team.wait() == [0, 0], team.log()
    assert left_by(cut) == left_by(untouched)


def test_two_pods_leave_a_game_that_is_over_with_3_and_start_no_trainer_again(gcs_root, tmp_path):
    with Pods(gcs_root, "run", tmp_path / "logs", workers=2, sets=(*TINY, *STOP)) as pods:
        assert pods.wait() == [3, 3], pods.log()
    assert (
        pods.messages[0].read_text().startswith("error: step 40: G has collapsed since step 20: the spread")
    )
    assert "error: step 40: worker 0, the chief, has seen that the game is over" in pods.log(1)
    assert pods.log(0).count("all 2 workers have met") == 1 and "starting again" not in pods.log()
    store = open_store(f"{gcs_root}/e/run")
    assert said(store, layout.RESULT)["state"] == said(store, layout.STATUS)["state"] == "collapsed"
    assert index.read(open_store(f"{gcs_root}/e"))["run"].state == "collapsed"


def test_what_has_collapsed_is_saved_and_nobody_takes_it_for_finished(tmp_path, capsys):
    with pytest.raises(Collapsed, match=r"step 40: G has collapsed since step 20: .*packing=2") as over:
        run_here(tmp_path, *STOP)
    assert over.value.exit_code == 3
    store, experiment = open_store(str(tmp_path / "e" / "run")), open_store(str(tmp_path / "e"))
    result = said(store, layout.RESULT)
    assert (result["state"], result["steps"], result["checkpoint"]) == ("collapsed", 40, "checkpoints/40/")
    assert checkpoints.complete_steps(store) == [40]
    assert index.read(experiment)["run"].state == index.look(experiment, "run").state == "collapsed"
    assert index.finished(experiment) == [] and finished_steps(store) == 0
    with pytest.raises(Collapsed):  # as it is, it says the same at once
        run_here(tmp_path, *STOP)
    assert index.read(experiment)["run"].step == 40
    assert run_here(tmp_path, *OVER) == 0  # with on_collapse=warn it goes on
    assert said(store, layout.RESULT)["state"] == "finished" == index.read(experiment)["run"].state


def test_a_run_that_collapses_in_its_last_step_is_not_finished_either(tmp_path):
    with pytest.raises(Collapsed):
        run_here(tmp_path, *STOP, "steps=40")
    store = open_store(str(tmp_path / "e" / "run"))
    assert (
        finished_steps(store) == 0 and index.look(open_store(str(tmp_path / "e")), "run").state == "collapsed"
    )
    assert not index.finished(open_store(str(tmp_path / "e")))


def test_when_no_rollback_helps_the_run_stops(tmp_path):
    """No checkpoint was healthy here: it begins anew, with the same first weights and other latents."""
    never = ("health.least_spread=0.99", "health.on_collapse=rollback", "health.rollbacks=1")
    with pytest.raises(Collapsed, match="; 1 rollback did not help"):
        run_here(tmp_path, *OVER, *never)
    found = rollbacks.read(open_store(str(tmp_path / "e" / "run")))
    assert [(each["number"], each["to"]) for each in found] == [(1, 0)]


def test_a_step_draws_as_no_other_from_a_rollback_on_and_before_it_as_it_always_did():
    def latents(step, *begins):
        at = randomness.on_branch(np.int64(step), begins)
        return randomness.noise(5, at, 4, 3).numpy().tobytes()

    assert latents(19, 20) == latents(19) and latents(20, 20) != latents(20)
    assert latents(20, 20, 10) != latents(20, 20) and latents(9, 20, 10) == latents(9)
    assert latents(30, 20, 25) == latents(30, 10, 25)  # by how often, not by where
    assert randomness.on_branch(7, ()) == 7


def test_rollbacks_that_cannot_be_read_are_refused(tmp_path):
    store = open_store(str(tmp_path / "e" / "run"))
    assert rollbacks.read(store) == []
    for text in (
        b"{",
        b"{}",
        b'{"format": 2, "rollbacks": []}',
        b'{"format": 1, "rollbacks": [{"to": "x"}]}',
    ):
        store.write(layout.ROLLBACKS, text)
        with pytest.raises(
            UserError, match=r"rollbacks\.json: cannot be read, expected rollbacks of format 1"
        ):
            rollbacks.read(store)


def test_the_newest_healthy_checkpoint_stays_while_a_game_is_suspicious(tmp_path):
    store = open_store(str(tmp_path))
    for step in (10, 20, 30, 40):
        checkpoints.save(store, step, {"a": np.zeros(2, np.float32)})
    assert checkpoints.prune(store, 1, 0, until=25) == [10, 30]
    assert checkpoints.complete_steps(store) == [40, 20]
    assert checkpoints.prune(store, 1, 0, until=40) == [20]
