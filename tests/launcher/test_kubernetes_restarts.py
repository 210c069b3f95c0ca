"""A worker that trained and is gone: why, what its new pod waits for, and what the pods' supervisors say."""

import json
from datetime import timedelta

import pytest

from launcher.backends.kubernetes.backend import KubernetesBackend
from launcher.backends.kubernetes.jobs.record import ClusterRecord
from launcher.backends.kubernetes.status.observe import Seen, join
from launcher.commands.status import describe
from launcher.records.run_folder import Found
from launcher.records.states import FAILED, PENDING, RESTARTING, RUNNING, STARTING
from launcher.records.status import read_files
from tests.launcher.kubernetes_objects import BEGAN, ages, condition, ended, event, job, pod, said, waiting
from trainer.run.layout import RunPath

RUNS = [pod(0), pod(1)]
SUPERVISED = (
    "worker 1's trainer died of SIGKILL, most often for want of memory; all workers go on from step 40"
)
NEW = "one-1-new"


def at(seen, word, seconds=40.0):
    seen = seen._replace(time=BEGAN + timedelta(seconds=seconds))
    return join(seen, word, ages(word, 0.0, seconds), 2)


def gone(state=None, **more):
    """The pod of worker 1 that ended, before the one called `NEW`."""
    return pod(1, "one-1-old", phase="Failed", state=state, **more)


OOM = gone(ended(137, reason="OOMKilled"))
OOM_TEXT = "worker 1's container ran out of memory (limit 2Gi); submit or resume with a larger --memory"
AT_ONCE = gone(ended(137, "60/400"), going=True)
AT_ONCE["metadata"]["deletionGracePeriodSeconds"] = 0
EVICTED = condition("DisruptionTarget", "EvictionByEvictionAPI", "Eviction API: evicting")
LOST_NODE = condition("DisruptionTarget", "DeletionByTaintManager", "Taint manager: deleting")
SILENT = [condition("Ready", status="False"), condition("ContainersReady")]
UNSCHEDULED = condition("PodScheduled", "Unschedulable", "0/3 nodes are available.", status="False")


@pytest.mark.parametrize(
    ("pods", "text"),
    [
        ([OOM], f"{OOM_TEXT}; a new pod is to come"),
        (
            [OOM, pod(1, NEW, age=30, phase="Pending", state=waiting("ContainerCreating"))],
            f"{OOM_TEXT}; its new pod is being started",
        ),
        (
            [
                gone(ended(42, "error: asked to stop"), going=True, conditions=[EVICTED]),
                pod(1, NEW, age=30, phase="Pending", node=None, conditions=[UNSCHEDULED]),
            ],
            "worker 1 was taken from its node (EvictionByEvictionAPI): Eviction API: evicting; "
            "it said: asked to stop; its new pod has no node: 0/3 nodes are available",
        ),
        (
            [pod(1, going=True, conditions=[EVICTED])],
            "worker 1 is being taken from its node (EvictionByEvictionAPI): Eviction API: evicting",
        ),
        ([pod(1, going=True)], "worker 1 is being stopped"),
        ([gone(ended(42), going=True)], "worker 1 was deleted; a new pod is to come"),
        (
            [gone(ended(137), going=True)],
            "worker 1 was deleted and not gone within its grace; a new pod is to come",
        ),
        (  # the cluster takes the end of the log where a pod said nothing
            [gone(ended(137, "error: no\n 60/400 [D loss: 0.6494] 286 images/s"), going=True)],
            "worker 1 was deleted and not gone within its grace; a new pod is to come",
        ),
        (
            [gone(ended(255, "generation 1: all 2 workers have met"))],
            "worker 1 exited with code 255 (its container's runtime died); a new pod is to come",
        ),
        ([gone(ended(42, "stopped\n"), going=True)], "worker 1 was deleted; a new pod is to come"),
        ([AT_ONCE], "worker 1 was deleted and killed at once; a new pod is to come"),
        ([], "worker 1 has lost its pod; a new one is to come"),
        (
            [pod(1, NEW, age=30, phase="Pending", state=waiting("ErrImagePull", "not found"))],
            "worker 1 has lost its pod; its new pod cannot start: image 'reg/gantry:1' cannot be pulled: "
            "not found",
        ),
        (
            [gone(ended(137, reason="ContainerStatusUnknown", message="could not be located"))],
            "worker 1 was lost: its container's runtime died (ContainerStatusUnknown, exit code 137); "
            "a new pod is to come",
        ),
        (
            [gone(ended(255, reason="Unknown"))],
            "worker 1 was lost: its container's runtime died (Unknown, exit code 255); a new pod is to come",
        ),
        (
            [gone(ended(137))],
            "worker 1 exited with code 137 (killed from outside: its container's runtime died, or somebody "
            "killed it); a new pod is to come",
        ),
        (
            [gone(ended(42, "error: worker 0 did not come back within 600 s"))],
            "worker 1 exited with code 42 (to be started again): worker 0 did not come back within 600 s; "
            "a new pod is to come",
        ),
        (  # a process of it was killed for memory at some time, which is not how the pod ended
            [gone(ended(42, "error: 5 restarts and no step further", reason="OOMKilled"))],
            "worker 1 exited with code 42 (to be started again): 5 restarts and no step further; "
            "a new pod is to come",
        ),
        (
            [pod(1, node="node-b", going=True, conditions=[*SILENT, LOST_NODE])],
            "worker 1 is being taken from its node (DeletionByTaintManager): Taint manager: deleting; "
            "its node 'node-b' is not ready",
        ),
    ],
)
@pytest.mark.parametrize("word", ["running", "restarting", "stopped", "stopping"])
def test_a_worker_that_is_being_replaced_is_explained(pods, text, word):
    here = at(Seen(job(), [pod(0), *pods]), said(word))
    assert here.state == (RESTARTING, f"{text}; 1 of 2 workers run")
    assert here.live
    assert not here.workers[1].ready


@pytest.mark.parametrize(
    ("word", "seconds", "state"),
    [
        ("restarting", 40, RESTARTING),
        ("running", 40, RUNNING),
        ("running", 200, RESTARTING),
        ("finished", 200, RUNNING),
    ],
)
def test_a_node_that_is_not_ready_has_lost_a_worker_unless_the_trainer_trains(word, seconds, state):
    here = at(Seen(job(), [pod(0), pod(1, node="node-b", conditions=SILENT)]), said(word), seconds)
    assert here.state.name == state
    assert here.workers[1].explanation == "worker 1 may be lost: its node 'node-b' is not ready"
    assert state == RUNNING or here.state.explanation.startswith(here.workers[1].explanation)


def test_why_a_new_pod_cannot_be_made():
    mine = job()
    quota = event(mine, "FailedCreate", "exceeded quota: small, pods=1", age=30)
    here = at(Seen(mine, [pod(0)], [quota]), said())
    assert here.state == (
        RESTARTING,
        "worker 1 has lost its pod; the namespace's quota is used up: small, pods=1; 1 of 2 workers run",
    )


def test_a_worker_alone_is_not_counted():
    here = at(Seen(job(workers=1), [pod(0, phase="Failed", state=ended(1, "error: no"))]), said())
    assert here.state == (RESTARTING, "worker 0 exited with code 1: no; a new pod is to come")


@pytest.mark.parametrize(
    ("word", "state"),
    [
        (None, PENDING),
        (said("starting"), PENDING),
        (said("running", age=-100), PENDING),  # of the attempt before
        (said("starting", restarts=2), RESTARTING),  # it trained, or nothing would have been restarted
    ],
)
def test_a_job_that_has_not_trained_is_pending(word, state):
    assert at(Seen(job(), [pod(0)]), word).state.name == state


def test_the_supervisors_word_is_told_while_all_pods_run():
    word = said("restarting", age=30, message=SUPERVISED, restarts=2)
    assert at(Seen(job(), RUNS), word).state == (RESTARTING, SUPERVISED)
    assert at(Seen(job(), RUNS), word, 30 + 120).state == (RESTARTING, f"{SUPERVISED}; for 2 min")
    assert at(Seen(job(ready=2, active=2)), word).state == (RESTARTING, SUPERVISED)


def test_a_trainer_that_was_begun_again_starts_and_runs():
    assert at(Seen(job(), RUNS), said("starting", age=30, restarts=1)).state.name == STARTING
    assert at(Seen(job(), RUNS), said("running", age=30, restarts=1)).state == (RUNNING, "")


def test_of_pods_that_failed_the_one_without_memory_tells_most():
    pods = [pod(0, phase="Failed", state=ended(1, "error: lost a peer")), OOM]
    over = job(conditions=[("Failed", "BackoffLimitExceeded", "")], failed=4)
    here = at(Seen(over, pods), said())
    assert here.state == (
        FAILED,
        f"too many pods of its workers ended badly (4, its limit is 3); {OOM_TEXT}",
    )


def failed(**more):
    """The pod of worker 1 that ended and has no successor yet."""
    found = gone(ended(1), **{key: more[key] for key in more if key == "conditions"})
    found["metadata"] |= {key: more[key] for key in more if key != "conditions"}
    return found


@pytest.mark.parametrize(
    ("last", "uncounted", "replaced"),
    [
        (pod(1, NEW), [], 2),
        (pod(1, NEW, going=True), [], 2),  # it does not count before it has ended
        (failed(), [], 1),
        (failed(finalizers=["batch.kubernetes.io/job-tracking"]), [], 2),
        (failed(), ["uid-one-1-old"], 2),
        (failed(conditions=[EVICTED]), [], 2),  # it never counts
    ],
)
def test_pods_that_were_replaced_never_become_fewer(last, uncounted, replaced):
    mine = job(failed=2, uncountedTerminatedPods={"failed": uncounted})
    assert at(Seen(mine, [pod(0), last]), said()).restarts == replaced


RECORD = ClusterRecord(1, "one", "team", "c", "https://c", 2, "2026-11-20T11:59:59+00:00", {})


def joined(store, seen, **values):
    """What `status` says of a run whose trainer wrote these values."""
    store.write("status.json", json.dumps(said(**values)).encode())
    found = Found(RunPath("runs", "gan", "one"), store)
    return KubernetesBackend(RECORD).joined(found, read_files(store), seen)


def test_what_the_trainer_says_of_restarts_saving_and_storage_is_shown(store):
    away = "away for 35 s: 503 Service Unavailable; training goes on"
    more = {"restarts": 2, "checkpoint_seconds": 3.25, "storage": away, "eta_seconds": 5.0, "steps": 100}
    store.write("checkpoints/40/manifest.json", b"{}")
    pods = [pod(0), pod(1, "one-1-old", phase="Failed", state=ended(1)), pod(1, NEW, age=30)]
    now = joined(store, Seen(job(failed=1), pods), **more)
    assert (now.trainer_restarts, now.restarts, now.checkpoint_seconds, now.storage) == (2, 1, 3.25, away)
    text = "\n".join(describe(now))
    assert "attempt 1, job one: 2 of 2 workers ready, restarted 2 times, pods replaced once\n" in text
    assert "worker 1 ready, on node-a, replaced once\n" in text
    assert " ago, in 3.2 s\n" in text
    assert f"\n  storage {away}" in text
    waits = joined(store, Seen(job(), [pod(0)]), **more)
    assert (waits.state, waits.eta_seconds) == (RESTARTING, None)


def test_the_word_of_the_attempt_before_is_not_told_of_this_one(store):
    more = {"restarts": 2, "checkpoint_seconds": 3.0, "storage": "away for 1 s"}
    assert joined(store, Seen(job(), RUNS), attempt="one attempt 1", **more).trainer_restarts == 2
    now = joined(store, Seen(job(), RUNS), attempt="one attempt 0", **more)
    assert (now.state, now.trainer_restarts, now.storage, now.checkpoint_seconds) == (STARTING, 0, None, 3.0)


def test_an_older_trainer_says_none_of_it(store):
    now = joined(store, Seen(job(), RUNS))
    assert (now.trainer_restarts, now.storage, now.checkpoint_seconds) == (0, None, None)
