"""Runs that are ended from outside: deadlines, nodes, other hands."""

import pytest

from launcher.diagnosis.explain import diagnose
from tests.launcher.explaining import LATE, MISTAKE, TOO_MANY, answer, facts, failed, local
from tests.launcher.kubernetes_objects import condition, event, job, pod, said


def test_a_deadline_that_passed_before_anything_began_names_what_was_in_the_way():
    mine = job(1, LATE, failed=1)
    mine["spec"]["activeDeadlineSeconds"] = 3
    late = facts(mine, [], said=said("stopped", checkpoint_step=40))
    cause, sentence, fix, _ = answer(late)
    assert (cause, fix) == ("deadline", "launcher resume gan/one --root gs://runs/gan")
    assert "deadline of 3 s" in sentence and "saved at step 40" in sentence
    stuck = event(pod(0), "FailedMount", 'configmap "c" not found')
    cause, sentence, fix, _ = answer(facts(mine, [], [stuck]))
    assert (cause, 'configmap "c" not found' in sentence) == ("deadline", True)
    assert "--deadline 6" in fix


def taken(code, reason, message):
    """A pod of worker 0 that the cluster took away."""
    return failed(0, code, conditions=[condition("DisruptionTarget", reason, message)])


def waits_for_a_node(worker, name="one-0-new"):
    unplaced = condition(
        "PodScheduled", "Unschedulable", "0/1 nodes are available: 1 Insufficient cpu.", status="False"
    )
    return pod(worker, name, phase="Pending", age=12, node=None, conditions=[unplaced])


@pytest.mark.parametrize(
    ("gone", "events", "cause"),
    [
        ([], [("Preempted", "Preempted by pod e37f9534 on node node-a")], "preempted"),
        ([taken(143, "PreemptionByScheduler", "preempting")], [], "preempted"),
        ([taken(42, "EvictionByEvictionAPI", "Eviction API: evicting")], [], "evicted"),
        ([], [("Evicted", "The node was low on resource: memory.")], "evicted"),
        ([], [("Killing", "Stopping container trainer")], "evicted"),
        ([taken(137, "DeletionByTaintManager", "Taint manager: deleting")], [], "node-lost"),
    ],
)  # fmt: skip
def test_a_pod_that_was_taken_away_is_told_with_what_its_successor_waits_for(gone, events, cause):
    seen = [event(pod(0, "one-0-old"), reason, message, kind="Normal") for reason, message in events]
    found = answer(facts(job(1), [waits_for_a_node(0), *gone], seen, said=said("running")))
    assert found[0] == cause
    assert (
        "worker 0" in found[1]
        and "its new pod has no node: 0/1 nodes are available: 1 Insufficient cpu" in found[1]
    )
    running = facts(job(1), [pod(0, "one-0-new", age=12), *gone], seen, said=said("running"))
    assert diagnose(running).healthy


def test_a_node_that_is_not_ready():
    lost = pod(0, conditions=[condition("Ready", status="False"), condition("ContainersReady")])
    cause, sentence, fix, _ = answer(facts(job(1), [lost], said=said("running"), seconds=300))
    assert cause == "node-lost"
    assert "node 'node-a' of worker 0" in sentence
    assert "kubectl -n team patch pod one-0-abcde --type=merge" in fix  # or the Job would hold on to it
    assert "&& kubectl -n team delete pod one-0-abcde --force" in fix


def test_a_pod_that_somebody_deleted():
    mine = job(1, TOO_MANY, failed=1)
    stop = event(pod(0, "one-0-old"), "Killing", "Stopping container trainer", kind="Normal")
    left = facts(mine, [], [stop], logs={0: ["error: asked to stop (SIGTERM) while waiting for the others"]})
    cause, sentence, _, objects = answer(left)
    assert (cause, objects) == ("deleted", ["Pod/one-0-old", "worker-0's log", "Job/one"])
    assert "worker 0" in sentence and "no more than 3" in sentence
    there = facts(mine, [failed(0, 137, going=True)])
    assert answer(there)[0] == "deleted"


def test_too_many_pods_that_say_nothing():
    cause, sentence, _, objects = answer(facts(job(2, TOO_MANY, failed=4), [failed(0, 42), failed(1, 42)]))
    assert cause == "backoff-limit"
    assert sentence.startswith(
        "4 pods of run 'one' failed, and its limit is 3 (--backoff-limit); worker 0 exited"
    )
    assert "Job/one" in objects


def test_a_run_that_was_cut_off():
    told = "none of its processes is alive, and nobody saw them end"
    cause, sentence, fix, objects = answer(local("interrupted", [None], {}, said("running"), told))
    assert (cause, objects) == ("cut-off", ["status.json"])
    assert told in sentence and "step 20" in sentence
    assert fix == "launcher resume gan/one"


def test_a_run_that_another_process_trains():
    text = (
        "error: gs://runs/gan/one: is being trained by one-0-x (process 7 on one-0), which renewed its lease "
        "2 s ago and holds it since 2026-11-20T12:00:00+00:00; stop that one first"
    )
    cause, sentence, fix, _ = answer(facts(job(1, MISTAKE), [failed(0, 2, text)]))
    assert cause == "held"
    assert "one-0-x" in sentence
    assert fix.startswith("launcher status gan/one")
