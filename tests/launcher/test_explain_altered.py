"""What somebody changed behind a run's back: an emptied folder, more pods than workers."""

import json

import pytest

from launcher.diagnosis.explain import diagnose
from launcher.render.labels import SPEC
from tests.launcher.explaining import MISTAKE, answer, facts, failed, local, with_env
from tests.launcher.kubernetes_objects import ended, job, pod, said

GONE = (
    "gs://runs/gan/gan/one: run.json is gone, which this attempt had: somebody has emptied or moved the "
    "run's folder, and without its record nothing can be continued"
)
CHECKPOINTS = (
    "runs/gan/one: its checkpoints are gone, of which step 40 was the newest: somebody has removed them, and "
    "a run is not begun again from step 0 under the same name"
)


def test_an_emptied_folder_is_named_and_the_run_is_submitted_anew():
    here = facts(job(1, MISTAKE, failed=1), [failed(0, 2, f"error: {GONE}")])
    cause, sentence, fix, objects = answer(here)
    assert (cause, objects) == ("run-lost", ["Pod/one-0-abcde"])
    assert (
        sentence.startswith("run.json of run 'one'")
        and "somebody has emptied gs://runs/gan/gan/one" in sentence
    )
    assert fix == "launcher rerun gan/one --root gs://runs/gan"  # cluster.json is still there


def test_what_the_run_was_is_taken_from_its_job_where_all_its_records_are_gone():
    trainer = {
        "name": "trainer", "image": "reg/gantry:7",
        "args": ["worker", "--preset", "mlp", "--root", "gs://runs/gan", "--experiment", "gan",
                 "--run", "one", "--set", "steps=60", "--set", "data.source=gs://a/$$b"],
    }  # fmt: skip
    its = job(3, MISTAKE, failed=1)
    its["spec"]["template"]["spec"]["containers"] = [trainer]
    fix = answer(facts(its, [failed(0, 2, f"error: {GONE}")], spec={}, run={}))[2]
    assert fix == (
        "launcher submit --preset mlp --set steps=60 --set 'data.source=gs://a/$b' --root gs://runs/gan "
        "--workers 3 --image reg/gantry:7 --namespace team"
    )
    asked = {
        "preset": "demo",
        "root": "gs://runs/gan",
        "image": "reg/gantry:7",
        "memory": "3Gi",
        "workers": 1,
    }
    its["metadata"]["annotations"] = {SPEC: json.dumps({**asked, "namespace": "team", "env": {"A": "b"}})}
    fix = answer(facts(its, [failed(0, 2, f"error: {GONE}")], spec={}, run={}))[2]
    assert fix == (
        "launcher submit --preset demo --root gs://runs/gan --workers 3 --image reg/gantry:7 --memory 3Gi "
        "--namespace team --env A=b"
    )


ON = "go on with what is there by --accept-changed-data"
DATA = (
    "data.source images:/data: 2 of 1200 files that the run began with {}: a.png, b/c: d.png; put them back, "
    f"{ON}, or begin a new run with --warm-start"
)
PIN = f"gs://r/e/one/data.json is gone, which lists the data that the run began with: put it back, or {ON}"


@pytest.mark.parametrize(
    ("text", "begins"),
    [
        (
            DATA.format("are gone"),
            "2 of the 1,200 files that run 'one' began with are gone: a.png, b/c: d.png: ",
        ),
        (
            DATA.format("are not what they were"),
            "2 of the 1,200 files that run 'one' began with are not what",
        ),
        (PIN, "data.json of run 'one', the list of the files that it began with, is gone: a run "),
    ],
)
def test_data_that_is_not_what_the_run_began_with_is_accepted_or_put_back(text, begins):
    here = facts(job(1, MISTAKE, failed=1), [failed(0, 2, f"error: {text}")])
    cause, sentence, fix, objects = answer(here)
    assert (cause, objects) == ("data-changed", ["Pod/one-0-abcde"])
    assert sentence.startswith(begins)
    assert fix.startswith("launcher resume gan/one --accept-changed-data --root gs://runs/gan  # ")
    assert "put back" in fix and "--warm-start" in fix
    cause, _, fix, _ = answer(local("failed", [2], {0: [f"error: {text}"]}))
    assert (cause, fix.partition("  #")[0]) == (
        "data-changed",
        "launcher resume gan/one --accept-changed-data",
    )


def test_checkpoints_that_are_gone_are_said_of_a_local_run():
    here = local("failed", [2], {0: [f"error: {CHECKPOINTS}"]})
    cause, sentence, fix, objects = answer(here)
    assert (cause, objects[0]) == ("run-lost", "worker-0's log")
    assert "of which step 40 was the newest" in sentence and fix == "launcher rerun gan/one"


def three_pods(code, message=""):
    """Two workers that train, and the pod that somebody added."""
    pods = [with_env(pod(worker), GANTRY_WORKERS="2") for worker in range(2)]
    phase = "Failed" if code else "Succeeded"
    spare = pod(2, phase=phase, state=ended(code, message, reason="Error" if code else "Completed"))
    return [*pods, with_env(spare, GANTRY_WORKERS="2")]


def test_more_pods_than_workers_are_told_while_the_run_trains():
    here = facts(job(3, ready=2, active=2, succeeded=1), three_pods(0, "this pod leaves"), said=said())
    assert here.status.state == "running"
    assert here.status.explanation.startswith("its Job asks for 3 pods, and it has 2 workers")
    cause, sentence, fix, objects = answer(here)
    assert (cause, objects) == ("more-pods", ["Job/one", "Pod/one-2-abcde", "Pod/one-2-abcde"])
    assert "has given the Job of run 'one' 3 pods, and it has 2 workers" in sentence
    assert fix == "launcher resume gan/one --workers 3 --replace --root gs://runs/gan"


def test_a_run_with_its_own_pods_alone_is_well():
    here = facts(job(2, ready=2, active=2), three_pods(0)[:2], said=said())
    assert (diagnose(here).healthy, here.status.explanation) == (True, "")


def test_an_older_image_ends_the_run_and_the_command_is_a_resume_with_more_workers():
    text = "error: JOB_COMPLETION_INDEX is '2', expected a number from 0 to 1 for the 2 workers of "
    text += "GANTRY_WORKERS"
    here = facts(job(3, MISTAKE, failed=1), three_pods(2, text), said=said())
    cause, _, fix, _ = answer(here)
    assert (cause, fix) == ("more-pods", "launcher resume gan/one --workers 3 --root gs://runs/gan")


def test_pods_whose_job_was_deleted_without_them_are_told_of_and_replaced():
    pods = [pod(0), pod(1)]
    for each in pods:
        del each["metadata"]["ownerReferences"]
    cause, sentence, fix, objects = answer(facts(None, pods, said=said()))
    assert (cause, objects) == ("orphaned", ["Pod/one-0-abcde", "Pod/one-1-abcde"])
    assert "deleted without its pods (--cascade=orphan): 2 pods train on" in sentence
    assert fix == "launcher resume gan/one --replace --root gs://runs/gan"
    assert answer(facts(None, [pod(0), pod(1)], said=said()))[0] != "orphaned"  # they are about to go
