"""Where a run on a cluster stands: the join of Jobs, pods and events as a real API server showed them."""

from datetime import timedelta

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from launcher.backends.kubernetes.status.observe import Seen, join
from launcher.records.states import (
    FAILED,
    FINISHED,
    INTERRUPTED,
    LIVE_STATES,
    PENDING,
    QUEUED,
    RESTARTING,
    RUNNING,
    STARTING,
    STOPPED,
    STOPPING,
    UNKNOWN,
)
from tests.launcher.kubernetes_objects import (
    BEGAN,
    ages,
    condition,
    ended,
    event,
    job,
    pod,
    said,
    stamp,
    waiting,
)


def at(seen, word=None, seconds=20.0, submitted=-1.0):
    """The join so many seconds after the Job was created."""
    seen = seen._replace(time=BEGAN + timedelta(seconds=seconds))
    return join(seen, word, ages(word, submitted, seconds), 2)


RUNS = [pod(0), pod(1)]


@pytest.mark.parametrize(
    ("word", "state"),
    [
        (None, STARTING),
        (said("starting"), STARTING),
        (said("running"), RUNNING),
        (said("stopping"), STOPPING),
        (said("restarting"), RESTARTING),
        (said("restarting", age=-100), STARTING),
        (said("stopped"), RESTARTING),  # as a pod was, and not by a person
        (said("stopped", age=-100), STARTING),  # the word of the attempt before
        (said("finished"), RUNNING),  # its pods still end
    ],
)
def test_when_all_workers_run_the_trainer_tells(word, state):
    here = at(Seen(job(active=2, ready=2), RUNS), word)
    assert here.state.name == state
    assert (here.live, here.busy, here.ready, here.restarts) == (True, True, 2, 0)
    assert [(worker.pod, worker.node) for worker in here.workers] == [
        ("one-0-abcde", "node-a"),
        ("one-1-abcde", "node-a"),
    ]


def test_a_trainer_that_is_silent_is_told_of():
    here = at(Seen(job(), RUNS), said(age=20), seconds=20 + 180)
    assert here.state == (RUNNING, "its trainer has written nothing for 3 min")


IMAGE = (
    'failed to pull and unpack image "reg/gantry:1": failed to resolve reference "reg/gantry:1": not found'
)
NO_ROOM = (
    "0/1 nodes are available: 1 Insufficient memory. no new claims to deallocate, preemption: "
    "0/1 nodes are available: 1 Preemption is not helpful for scheduling."
)


@pytest.mark.parametrize(
    ("stuck", "reason", "text"),
    [
        (
            pod(1, phase="Pending", state=waiting("ErrImagePull", IMAGE)),
            "ErrImagePull",
            "worker 1 cannot start: image 'reg/gantry:1' cannot be pulled: not found",
        ),
        (
            pod(
                1,
                phase="Pending",
                state=waiting(
                    "ImagePullBackOff", f'Back-off pulling image "reg/gantry:1": ErrImagePull: {IMAGE}'
                ),
            ),
            "ImagePullBackOff",
            "worker 1 cannot start: image 'reg/gantry:1' cannot be pulled: not found",
        ),
        (
            pod(1, phase="Pending", state=waiting("CreateContainerConfigError", 'secret "s" not found')),
            "CreateContainerConfigError",
            'worker 1 cannot start: CreateContainerConfigError: secret "s" not found',
        ),
        (
            pod(
                1,
                phase="Pending",
                node=None,
                conditions=[condition("PodScheduled", "Unschedulable", NO_ROOM, status="False")],
            ),
            "Unschedulable",
            "worker 1 has no node: 0/1 nodes are available: 1 Insufficient memory",
        ),
        (pod(1, phase="Pending", node=None), "Pending", "worker 1 waits for the scheduler"),
        (
            pod(1, phase="Pending", state=waiting("ContainerCreating")),
            "ContainerCreating",
            "worker 1 is being started",
        ),
        (
            pod(1, phase="Failed", state=ended(1, "Traceback …\nerror: the peer is gone")),
            "exit 1",
            "worker 1 exited with code 1: the peer is gone",
        ),
        (pod(1, going=True), "Terminating", "worker 1 is being stopped"),
    ],
)
def test_a_worker_that_does_not_run_is_explained(stuck, reason, text):
    here = at(Seen(job(), [pod(0), stuck]), said(age=-100))
    assert here.state == (PENDING, f"{text}; 1 of 2 workers run")
    assert here.workers[1].reason == reason
    assert here.workers[1].explanation == text
    assert not here.workers[1].ready


def test_warnings_about_a_pod_say_more_than_its_state():
    stuck = pod(0, phase="Pending", state=waiting("ContainerCreating"))
    events = [
        event(stuck, "Scheduled", "placed", age=9, kind="Normal"),
        event(stuck, "FailedMount", 'configmap "c" not found', age=5),
        event(stuck, "FailedMount", "old", age=1),
    ]
    here = at(Seen(job(workers=1), [stuck], events))
    assert here.state == (PENDING, 'worker 0 cannot start: configmap "c" not found')


def test_what_kept_a_pod_without_a_node_is_over_when_it_has_one():
    mine = pod(0, phase="Pending", state=waiting("ContainerCreating"))
    events = [event(mine, "FailedScheduling", "0/1 nodes are available: 1 Insufficient cpu.", age=5)]
    here = at(Seen(job(workers=1), [mine], events))
    assert here.state == (PENDING, "worker 0 is being started")


CREATING = 'Error creating: pods "one-0-" is forbidden: '


@pytest.mark.parametrize(
    ("message", "text"),
    [
        (
            f"{CREATING}exceeded quota: small, requested: pods=1, used: pods=0, limited: pods=0",
            "the namespace's quota is used up: small, requested: pods=1, used: pods=0, limited: pods=0",
        ),
        (
            f'{CREATING}error looking up service account team/absent: serviceaccount "absent" not found',
            "service account 'absent' does not exist in namespace 'team'",
        ),
        (
            f'{CREATING}violates PodSecurity "restricted:latest": allowPrivilegeEscalation != false',
            'Pod Security "restricted:latest" of the namespace refuses its pods: '
            "allowPrivilegeEscalation != false",
        ),
        ("a webhook says no", "its pods cannot be made: a webhook says no"),
    ],
)
def test_pods_that_are_refused_are_explained(message, text):
    mine = job(workers=1)
    older = event(mine, "FailedCreate", "something older", age=1)
    here = at(Seen(mine, [], [event(mine, "FailedCreate", message, age=2), older]))
    assert here.state == (PENDING, text)
    assert here.workers[0].phase == "Missing"


def test_of_several_workers_the_one_that_needs_a_person_is_named():
    creating = pod(0, phase="Pending", state=waiting("ContainerCreating"))
    lost = pod(1, phase="Pending", state=waiting("ErrImagePull", "not found"))
    assert "worker 1" in at(Seen(job(), [creating, lost])).state.explanation


def test_a_replacement_counts_and_not_the_pod_that_it_replaces():
    pods = [
        pod(0),
        pod(1, "one-1-new", age=30),
        pod(1, "one-1-old", phase="Failed", state=ended(42)),
        pod(1, "one-1-gone", age=30, phase="Failed", state=ended(1)),  # of the same second
    ]
    here = at(Seen(job(failed=3), pods), said())
    assert (here.workers[1].pod, here.workers[1].restarts, here.workers[1].exit_code) == (
        "one-1-new",
        2,
        None,
    )
    assert here.state.name == RUNNING
    assert here.restarts == 3  # the Job remembers one whose pod is gone


def test_pods_that_lost_their_job_train_on_and_are_told_from_those_that_go():
    orphans = [pod(0), pod(1)]
    for each in orphans:
        del each["metadata"]["ownerReferences"]
    here = at(Seen(None, orphans), said())
    assert (here.state.name, here.live) == (RUNNING, True)
    assert here.state.explanation == "its Job was deleted and its pods were left, which no new ones follow"
    assert at(Seen(None, [pod(0), pod(1)]), said()).state.name == STOPPING  # the collector is about to come
    assert at(Seen(None, [pod(0, going=True)]), said()).state.name == STOPPING
    assert at(Seen(None, orphans), said(age=-100)).state.name == STARTING  # of the attempt before
    # A table looks at no pods, and calls nobody gone that still writes.
    assert at(Seen(None), said()).state.name == UNKNOWN
    assert at(Seen(None), said(age=-300)).state.name == INTERRUPTED


def test_done_workers_do_not_keep_the_others_waiting():
    here = at(Seen(job(), [pod(0, phase="Succeeded", state=ended(0)), pod(1)]), said())
    assert here.state.name == RUNNING
    early = at(Seen(job(), [pod(0, state=ended(0)), pod(1)]), said())  # the phase follows a second later
    assert early.state.name == RUNNING


POLICY = "Container trainer for pod team/one-1-abcde failed with exit code 2 matching FailJob rule at index 1"
MISTAKE = pod(1, phase="Failed", state=ended(2, "error: data.source idx:/absent: /absent does not exist"))
LOST = pod(0, phase="Failed", state=ended(42, "worker 1 is gone"))


@pytest.mark.parametrize(
    ("conditions", "pods", "text"),
    [
        (
            [("FailureTarget", "PodFailurePolicy", POLICY)],
            [LOST, MISTAKE],
            "worker 1 exited with code 2 (a mistake in the configuration or the data): "
            "data.source idx:/absent: /absent does not exist",
        ),
        (
            [("FailureTarget", "BackoffLimitExceeded", "Job has reached the specified backoff limit")] * 2,
            [pod(0, phase="Failed", state=ended(1, reason="OOMKilled")), pod(1, going=True)],
            "too many pods of its workers ended badly (4, its limit is 3); "
            "worker 0's container ran out of memory (limit 2Gi); submit or resume with a larger --memory; "
            "those that are left are being stopped",
        ),
        (
            [("Failed", "DeadlineExceeded", "Job was active longer than specified deadline")],
            [],
            "it ran longer than its deadline of None s",
        ),
        (
            [("Failed", "BackoffLimitExceeded", "")],
            [
                pod(0, phase="Failed", state=ended(42, "a peer is gone")),
                pod(1, phase="Failed", reason="Evicted", message="The node was low on resource: memory."),
            ],
            "too many pods of its workers ended badly (4, its limit is 3); worker 1 was taken from its node "
            "(Evicted): The node was low on resource: memory.",
        ),
        ([("Failed", "Strange", "nobody knows")], [], "Strange: nobody knows"),
    ],
)
def test_a_failed_job_names_the_worker_and_what_it_said(conditions, pods, text):
    here = at(Seen(job(conditions=conditions, failed=4), pods), said())
    assert here.state == (FAILED, text)
    assert not here.live


def test_disruptions_are_named():
    preempted = pod(
        0,
        phase="Failed",
        state=ended(143),
        conditions=[condition("DisruptionTarget", "PreemptionByScheduler", "preempted by a critical pod")],
    )
    here = at(Seen(job(workers=1), [preempted]), said())
    assert here.workers[0].reason == "PreemptionByScheduler"
    assert "preempted by a critical pod" in here.state.explanation


@pytest.mark.parametrize("kind", ["Complete", "SuccessCriteriaMet"])
def test_success_counts_from_the_controllers_decision(kind):
    done = [pod(worker, phase="Succeeded", state=ended(0)) for worker in range(2)]
    here = at(Seen(job(conditions=[(kind, "CompletionsReached", "")]), done), said("running"))
    assert here.state == (FINISHED, "")
    assert not here.busy


@pytest.mark.parametrize(
    ("seen", "state"),
    [
        (Seen(job(suspend=True), ()), STARTING),  # a submit is at work
        (Seen(job(suspend=True, annotations={"gantry/cancelled": stamp(5)}), ()), STOPPED),
        (Seen(job(suspend=True, annotations={"gantry/cancelled": stamp(5)}), [pod(0, going=True)]), STOPPING),
        (Seen(job(suspend=True, labels={"kueue.x-k8s.io/queue-name": "team"}), ()), QUEUED),
        (Seen(None, ()), STARTING),
        (Seen(None, [pod(0)]), STOPPING),
    ],
)
def test_moments_around_a_submission(seen, state):
    assert at(seen, None, seconds=2).state.name == state


def test_a_suspended_job_that_nobody_cancelled():
    here = at(Seen(job(suspend=True), ()), None, seconds=60)
    assert here.state.name == STOPPED
    assert "not by this launcher" in here.state.explanation


@pytest.mark.parametrize(
    ("word", "state"),
    [
        (None, UNKNOWN),
        (said("running"), INTERRUPTED),
        (said("finished"), FINISHED),
        (said("stopped"), STOPPED),
        (said("failed", message="NaN in d_loss"), FAILED),
    ],
)
def test_a_job_that_is_gone_leaves_the_word_of_its_trainer(word, state):
    here = at(Seen(None, ()), word, seconds=1000)
    assert here.state.name == state
    assert here.workers == []
    assert state != FAILED or here.state.explanation == "NaN in d_loss"


def test_a_job_without_a_look_at_its_pods():
    text = "1 of its 2 workers do not run"
    assert at(Seen(job(ready=1, active=2)), None).state == (PENDING, text)
    assert at(Seen(job(ready=1, active=2)), said()).state == (RESTARTING, text)
    here = at(Seen(job(ready=1, succeeded=1, active=1, failed=2)), said())
    assert (here.state.name, here.busy, here.restarts, here.workers) == (RUNNING, True, 2, [])
    assert at(Seen(job(conditions=[("Failed", "DeadlineExceeded", "")])), said()).state.name == FAILED


conditions = st.lists(
    st.sampled_from(["Suspended", "FailureTarget", "Failed", "SuccessCriteriaMet", "Complete"]), unique=True
)
states = st.sampled_from(
    [None, {"running": {}}, ended(0), ended(1), ended(2), ended(42), ended(137, reason="OOMKilled")]
    + [waiting(reason) for reason in ("ContainerCreating", "ErrImagePull", "ImagePullBackOff", "Odd", "")]
)
pods = st.lists(
    st.builds(
        pod,
        worker=st.integers(0, 3),
        name=st.text("abc", min_size=1, max_size=4),
        phase=st.sampled_from(["Pending", "Running", "Succeeded", "Failed", "Unknown"]),
        age=st.integers(0, 5),
        node=st.sampled_from([None, "n"]),
        state=states,
        going=st.booleans(),
    ),
    max_size=6,
)
words = st.none() | st.builds(
    said,
    st.sampled_from(["starting", "running", "restarting", "stopped", "finished", "failed", "odd"]),
    st.integers(-100, 100),
)


@example(
    kinds=[],
    seen_pods=[
        pod(0, phase="Succeeded"),
        pod(1, phase="Succeeded"),
        pod(2, phase="Pending", age=0, node=None, state=None),
        pod(2, name="b", phase="Pending", age=1, node=None, state=ended(0)),
    ],
    word=None,
    suspend=False,
    cancelled=False,
    seconds=0,
)
@given(
    kinds=conditions,
    seen_pods=pods | st.none(),
    word=words,
    suspend=st.booleans(),
    cancelled=st.booleans(),
    seconds=st.integers(0, 1000),
)
def test_laws(kinds, seen_pods, word, suspend, cancelled, seconds):
    marks = {"gantry/cancelled": stamp(5)} if cancelled else {}
    conditions = [(kind, "Any", "") for kind in kinds]
    mine = job(workers=3, conditions=conditions, suspend=suspend, annotations=marks)
    here = at(Seen(mine, seen_pods), word, seconds=seconds)
    failed, done = {"FailureTarget", "Failed"} & {*kinds}, {"SuccessCriteriaMet", "Complete"} & {*kinds}
    finished = here.told and word is not None and word["state"] == "finished"
    if finished and (failed or done):
        assert here.state.name == FINISHED  # whatever became of its pods then
    elif cancelled and (failed or done):
        assert here.state.name in {STOPPING, STOPPED, FINISHED if done else FAILED, FAILED}
        assert here.state.name != FINISHED or word["state"] == "finished"
    elif failed:
        assert here.state.name == FAILED  # whatever its pods say
        assert here.state.explanation
    elif done:
        assert here.state.name == FINISHED
    else:
        assert here.state.name in LIVE_STATES | {STOPPED, FINISHED}
        if here.state.name == FINISHED:
            over = all(worker.done for worker in here.workers)
            assert finished or over
            assert over or not here.busy  # what a worker's last pod replaced may still be there
    assert here.live == (here.state.name in LIVE_STATES)
    assert len(here.workers) == (0 if seen_pods is None else 3)
    assert all("\n" not in worker.explanation for worker in here.workers)
    assert here.restarts >= 0
    assert 0 <= here.ready <= 3


@given(seen_pods=pods, word=words, seconds=st.integers(100, 1000))
def test_a_run_without_a_job_and_pods_is_never_live(seen_pods, word, seconds):
    here = at(Seen(None, seen_pods), word, seconds=seconds)
    assert here.live == here.busy
