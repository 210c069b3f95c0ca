"""How trainers end: exit codes, last words, and which of several endings is the cause."""

import pytest

from launcher.diagnosis.explain import diagnose
from launcher.diagnosis.explain.causes.words import words
from launcher.spec.footprint import footprint
from tests.launcher.explaining import MISTAKE, TOO_MANY, answer, facts, failed, local, with_env
from tests.launcher.kubernetes_objects import job, pod, said
from trainer.config import resolve

# Exit 2.


def test_a_mistake_is_told_with_its_line_and_the_flag_that_changes_it():
    text = "error: data.source idx:/absent: /absent does not exist"
    here = facts(
        job(1, MISTAKE, failed=1), [failed(0, 2, text)], overrides=["steps=60", "data.source=idx:/absent"]
    )
    cause, sentence, fix, _ = answer(here)
    assert cause == "mistake"
    assert sentence.endswith("data.source idx:/absent: /absent does not exist")
    assert "worker 0" in sentence
    assert [(each.object, each.field, each.text) for each in diagnose(here).evidence][1:] == [
        ("run.json", "overrides", "--set data.source=idx:/absent")
    ]
    assert fix == "launcher rerun gan/one --set data.source=VALUE --root gs://runs/gan"


def test_a_variable_that_makes_no_sense_is_shown_where_it_stands():
    text = "error: GANTRY_PEER_SECONDS is 'abc', expected a number from 0 to 604800"
    here = facts(job(1, MISTAKE), [with_env(failed(0, 2, text), GANTRY_PEER_SECONDS="abc")])
    cause, _, fix, objects = answer(here)
    assert (cause, objects) == ("mistake", ["Pod/one-0-abcde", "Pod/one-0-abcde"])
    assert fix == "launcher rerun gan/one --env GANTRY_PEER_SECONDS=VALUE --root gs://runs/gan"


def test_what_a_resumed_run_may_change_is_changed_by_resume():
    text = "error: steps is 60, but the run has taken 80 already"
    here = facts(job(1, MISTAKE), [failed(0, 2, text)], overrides=["steps=60"])
    assert answer(here)[2] == "launcher resume gan/one --set steps=VALUE --root gs://runs/gan"


def test_a_configuration_that_the_image_is_too_old_for_wants_another_image():
    asks = "launcher 9.9.9 asks for ema=1, which trainer 0.1.0 does not know"
    text = f"error: GANTRY_CONFIG: {asks}: expected an image of 9.9.9"
    mine = with_env(failed(0, 2, text), GANTRY_CONFIG="{}")
    cause, sentence, fix, _ = answer(facts(job(1, MISTAKE), [mine]))
    assert (cause, "expected an image of 9.9.9" in sentence) == ("mistake", True)
    assert fix.startswith("launcher resume gan/one --image NAME:TAG")


def test_a_mistake_of_a_local_run_is_in_its_log():
    here = local("failed", [2], {0: ["error: data.source idx:/absent: /absent does not exist"]})
    cause, sentence, fix, objects = answer(here)
    assert (cause, objects[0]) == ("mistake", "worker-0's log")
    assert "/absent does not exist" in sentence
    assert fix == "launcher rerun gan/one --set data.source=VALUE"  # which wrote no run.json


# What trainers end by.


def test_divergence_names_step_tensor_and_rate():
    text = "step 17: gradient of generator/hidden_1/kernel is NaN or Inf; last good checkpoint: gs://runs/16/"
    pods = [failed(worker, 1, f"error: {text}") for worker in range(2)]
    here = facts(job(2, TOO_MANY, failed=2), pods, said=said("failed", message=text, checkpoint_step=16))
    cause, sentence, fix, objects = answer(here)
    assert cause == "diverged"
    assert sentence == (
        "training diverged: gradient of generator/hidden_1/kernel became NaN or Inf in step 17 "
        "(learning rate 0.0002); step 16 is the last good checkpoint"
    )
    assert fix == "launcher rerun gan/one --set optimizer.learning_rate=2e-05 --root gs://runs/gan"
    assert objects == ["Pod/one-0-abcde", "status.json", "run.json"]
    again = local("failed", [1], {0: [f"error: {text}"]}, said("failed", message=text))
    assert answer(again)[0] == "diverged"


def test_nan_that_did_not_come_again_is_the_machines():
    text = "step 40: generator/hidden_1/kernel is NaN or Inf; played again from step 1 it is not, though"
    pods = [failed(worker, 1, f"error: {text}") for worker in range(2)]
    here = facts(job(2, TOO_MANY, failed=2), pods, said=said("failed", message=text, checkpoint_step=16))
    cause, sentence, fix, _ = answer(here)
    assert cause == "miscomputed"
    assert sentence == (
        "generator/hidden_1/kernel became NaN or Inf in or before step 40, and not when the same steps were "
        "played again: a fault of that machine's memory or accelerator"
    )
    assert fix == "launcher resume gan/one --root gs://runs/gan"


OOM = "worker 1's trainer ran out of memory: the kernel killed it at the container's limit of 2,048 MiB"


@pytest.mark.parametrize(
    ("pods", "logs"),
    [
        ([pod(0), failed(1, 137, reason="OOMKilled")], {}),
        ([pod(0), pod(1)], {1: [f"starting again: {OOM}; all workers go on from step 20 (restart 1)"]}),
        ([failed(0, 1, f"error: 5 restarts brought no newer checkpoint than step 0; the last reason: {OOM}"),
          failed(1, 42, "error: worker 0, the chief, is gone or does not answer")], {}),
    ],
)  # fmt: skip
def test_want_of_memory_names_the_limit_and_doubles_it(pods, logs):
    here = facts(job(2), pods, said=said("restarting", message=OOM), logs=logs)
    cause, sentence, fix, _ = answer(here)
    assert cause == "out-of-memory"
    assert sentence == "worker 1 needs more than the memory limit of 2Gi: the kernel killed it"
    assert fix.endswith("launcher resume gan/one --memory 4096Mi --replace --root gs://runs/gan")


def test_twice_a_limit_is_not_advised_where_a_worker_needs_more():
    one = failed(0, 137, reason="OOMKilled")
    one["spec"]["containers"][0]["resources"]["limits"]["memory"] = "128Mi"
    need = footprint(resolve("mlp"), 1, pods=True)  # as --estimate says it
    cause, _, fix, _ = answer(facts(job(1), [one]))
    assert cause == "out-of-memory"
    assert f"resume gan/one --memory {need.to_ask_for} " in fix
    assert int(need.to_ask_for.removesuffix("Mi")) << 20 >= need.total


def test_a_signal_to_a_process_of_this_machine_is_no_proof_of_anything():
    cause, sentence, fix, _ = answer(
        local("interrupted", [0, -9], {}, explanation="worker 1 was killed by SIGKILL")
    )
    assert cause == "killed"
    assert "worker 1" in sentence and "not known" in sentence and "memory" in sentence
    assert fix == "launcher resume gan/one"


def test_a_crash_is_told_by_the_line_that_names_the_exception():
    trace = [
        "Traceback (most recent call last):",
        '  File "x.py", line 1',
        "ValueError: no such layer",
        "note: bye",
    ]
    here = facts(job(1, TOO_MANY, failed=1), [failed(0, 1, "\n".join(trace))], logs={0: trace})
    cause, sentence, fix, objects = answer(here)
    assert (cause, objects) == ("crashed", ["Pod/one-0-abcde", "worker-0's log"])
    assert sentence == "worker 0 crashed with exit code 1: ValueError: no such layer"
    assert fix == "launcher logs gan/one --worker 0 --tail 50 --root gs://runs/gan"
    early = 'Fatal Python error: config_init_hash_seed: PYTHONHASHSEED must be "random"\nPython runtime'
    assert "PYTHONHASHSEED" in answer(facts(job(1, TOO_MANY), [failed(0, 1, early)]))[1]
    assert answer(local("failed", [1], {0: trace}))[1] == sentence


# One cause and its consequences.


def test_of_several_endings_the_cause_is_named_and_not_what_followed():
    lost = "error: worker 0 lost a peer: Connection reset by peer"
    pods = [
        failed(0, 42, lost, at=11),
        failed(1, 1, "error: scratch folder /tmp/x (0 bytes free): No space left on device", at=10),
    ]
    cause, sentence, _, _ = answer(facts(job(2, TOO_MANY, failed=2), pods))
    assert cause == "disk-full"
    assert "worker 1" in sentence
    same = [failed(0, 1, "error: KeyError: 'b'", at=12), failed(1, 1, "error: KeyError: 'a'", at=11)]
    assert answer(facts(job(2, TOO_MANY), same))[1] == "worker 1 crashed with exit code 1: KeyError: 'a'"


def test_what_was_overcome_is_not_named_again():
    logs = {
        0: [
            "error: no step for 700 s (the limit is 600 s); the stacks are above",
            "generation 2: all 2 workers have met",
            "20/60 [D loss: 0.4 | D accuracy: 50%/50%] [G loss: 1]  9 images/s",
            "error: bucket 'runs' refuses to write",
        ]
    }
    assert [each.text for each in words(facts(job(2), [pod(0), pod(1)], logs=logs))] == [
        "bucket 'runs' refuses to write"
    ]


def test_a_run_that_began_again_is_well_and_says_why():
    told = said("running", restarts=1, restarted_because="worker 1's trainer died of SIGKILL")
    here = diagnose(facts(job(2), [pod(0), pod(1)], said=told))
    assert (here.healthy, here.cause, here.fix) == (True, None, None)
    assert here.sentence.endswith("after 1 restart; the last because worker 1's trainer died of SIGKILL")


@pytest.mark.parametrize(
    "message", ["worker 1's trainer died of SIGKILL", "no step for 700 s (the limit is 600 s)"]
)
def test_a_restart_that_goes_on_by_itself_is_well(message):
    told = said("restarting", restarts=1, message=f"{message}; all workers go on from step 20 (restart 1)")
    here = diagnose(facts(job(2), [pod(0), pod(1)], said=told))
    assert (here.healthy, here.cause) == (True, None)
    assert message in here.sentence
    stuck = diagnose(facts(job(2), [pod(0), pod(1)], said=told, seconds=400))
    assert not stuck.healthy


def test_restarts_that_bring_nothing_are_told_with_their_last_reason():
    text = "5 restarts brought no newer checkpoint than step 40; the last reason: worker 1 died of SIGSEGV"
    cause, sentence, fix, _ = answer(facts(job(2, TOO_MANY), [failed(0, 1, f"error: {text}"), failed(1, 42)]))
    assert cause == "restarts-in-vain"
    assert "than step 40" in sentence and "restarts_without_progress=5" in sentence and "SIGSEGV" in sentence
    assert fix == "launcher resume gan/one --root gs://runs/gan"
