"""A game that is over: how a run that ended with it stands, and what is said of it."""

import pytest

from launcher.backends.kubernetes.status.over import is_over
from launcher.backends.local.supervise import attempt_exit_code
from launcher.backends.outcome import outcome
from launcher.diagnosis.explain.judging import diagnose
from launcher.records.states import ALL_STATES
from launcher.sweeps.running import Result, Row
from tests.launcher.explaining import answer, facts, failed, local, standing
from tests.launcher.kubernetes_objects import job, pod, said
from tests.launcher.test_state import NONE, ended, joined
from tests.launcher.test_state import said as word
from trainer.errors import EXIT_COLLAPSED, EXIT_FAILED
from trainer.health import BY_NAME, Found
from trainer.run.layout import RunPath

OVER = [("FailureTarget", "PodFailurePolicy", "failed with exit code 3 matching FailJob rule at index 1")]
SEEN = (
    "G has collapsed since step 20: the spread of its grid's pixels is 0.04 of real images' (threshold 0.2)"
)
MESSAGE = f"step 60: {SEEN}; {BY_NAME['collapse'].advice}"


def told(name="collapse", **more):
    found = Found(name, 20, SEEN)
    return said("collapsed", message=MESSAGE, health=found.sentence, conditions=[found.as_json()],
                checkpoint_step=60, **more)  # fmt: skip


def test_a_job_whose_pods_left_with_3_has_collapsed_and_the_option_is_named():
    pods = [failed(0, 3, f"error: {MESSAGE}"), failed(1, 3, "error: step 60: worker 0, the chief, has seen")]
    here = facts(job(2, OVER), pods, said=told())
    assert here.status.state == "collapsed" and here.status.over
    cause, sentence, fix, seen = answer(here)
    assert cause == "collapsed"
    assert sentence == f"its game was over, and health.on_collapse is warn: {SEEN}; step 60 is saved"
    assert fix == "launcher rerun gan/one --set packing=2 --root gs://runs/gan"
    assert seen == ["status.json", "run.json"]


def test_exit_code_3_says_so_without_a_word_of_the_trainer():
    pods = [failed(0, 3, f"error: {MESSAGE}"), failed(1, 42)]
    here = facts(job(2, OVER), pods)
    assert here.status.state == "collapsed" and SEEN in here.status.explanation
    cause, _, fix, _ = answer(here)
    assert (cause, "--set optimizer.learning_rate=2e-05" in fix) == ("collapsed", True)


def test_a_container_that_a_mesh_injects_does_not_keep_it_from_being_over():
    held = {"name": "istio-proxy", "state": {"running": {}}}
    one = failed(0, 3, f"error: {MESSAGE}")
    one["status"]["phase"] = "Running"
    one["status"]["containerStatuses"].append(held)
    assert is_over(job(1), [one]) and not is_over(job(1), [pod(0)])


@pytest.mark.parametrize(
    ("name", "overrides", "change"),
    [
        ("discriminator_won", (), "optimizer.learning_rate=2e-05"),
        ("generator_still", (), "loss=hinge"),
        ("generator_still", ("loss=hinge",), "optimizer.learning_rate=2e-05"),
        ("collapse", ("batch_size=65",), "optimizer.learning_rate=2e-05"),  # no pairs in 65
        ("collapse", ("packing=2",), "optimizer.learning_rate=2e-05"),
    ],
)
def test_the_next_try_is_one_that_the_run_can_have(name, overrides, change):
    here = facts(job(1, OVER), [failed(0, 3)], said=told(name), overrides=overrides)
    assert f"--set {change} " in answer(here)[2]


def test_a_run_of_this_machine():
    here = local("collapsed", [3, 3], {0: [f"error: {MESSAGE}"]}, told())
    assert answer(here)[0] == "collapsed"
    record = ended(3, 3, exit_code=EXIT_COLLAPSED, cause=0)
    assert joined(record, NONE, word("collapsed")).name == "collapsed"
    assert attempt_exit_code([3, 42], 0) == attempt_exit_code([-15, 3], 1) == EXIT_COLLAPSED
    assert attempt_exit_code([3, 2], 0) == 2


def test_conditions_of_a_run_that_trains_are_its_evidence():
    import dataclasses

    found = local("finished", [0], {}, told() | {"state": "finished", "step": 60})
    here = diagnose(dataclasses.replace(found, status=dataclasses.replace(found.status, health=SEEN)))
    assert here.healthy and here.sentence == f"run 'one' is finished at step 60; but {SEEN}"
    assert [(each.object, each.field) for each in here.evidence] == [("status.json", "conditions[collapse]")]


def test_where_states_are_told_apart_it_has_its_place():
    now = standing("collapsed", "why", checkpoint_step=60)
    ending = outcome(RunPath("runs", "gan", "one"), now)
    assert ending.exit_code == EXIT_FAILED  # 3 is "no such run" in every command of the launcher
    assert "resume gan/one --set health.on_collapse=warn" in ending.text
    assert "collapsed" in ALL_STATES and now.over and not now.live
    rows = [Row("a", {}, state, 1, 1, {}, "") for state in ("finished", "collapsed")]
    assert Result(rows).exit_code == EXIT_FAILED
