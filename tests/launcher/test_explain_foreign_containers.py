"""Containers that are not the run's own and never end: a run is over when its trainers are."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from launcher.backends.kubernetes.jobs import stop, submit
from launcher.backends.kubernetes.logs.job_pods import Pods
from launcher.backends.kubernetes.status import watch
from launcher.backends.kubernetes.status.joining import worker_status
from launcher.backends.kubernetes.status.observe import Seen
from launcher.backends.kubernetes.status.ours import Own
from launcher.commands.status import describe
from launcher.errors import RunAlive
from launcher.records.states import (
    FAILED,
    FINISHED,
    LIVE_STATES,
    PENDING,
    QUEUED,
    RESTARTING,
    RUNNING,
    STARTING,
    STOPPED,
    STOPPING,
)
from tests.launcher.explaining import answer, facts, standing
from tests.launcher.kubernetes_objects import ended, job, pod, said, stamp, waiting
from tests.launcher.test_kubernetes_observe import at
from trainer.run.layout import RunPath

RUNS = {"running": {"startedAt": stamp(1)}}
DONE = said("finished")
CANCELLED = {"gantry/cancelled": stamp(5)}


def meshed(found, state=RUNS, name="istio-proxy", first=True):
    """The pod with a container that something has injected, before its own or after it."""
    injected = {"name": name, "image": "mesh:1", "ready": state is RUNS, "restartCount": 0, "state": state}
    statuses = found["status"].setdefault("containerStatuses", [])
    statuses.insert(0 if first else len(statuses), injected)
    found["spec"]["containers"].append({"name": name})
    return found


def native(found, state):
    """The pod with a sidecar in Kubernetes' own sense."""
    found["spec"]["initContainers"] = [{"name": "istio-proxy", "restartPolicy": "Always"}]
    found["status"]["initContainerStatuses"] = [{"name": "istio-proxy", "ready": True, "state": state}]
    return found


def held(*codes, **more):
    """Pods whose trainers left with these codes and whose proxies run."""
    return [meshed(pod(worker, state=ended(code, **more))) for worker, code in enumerate(codes)]


@pytest.mark.parametrize("first", [True, False])
def test_a_run_whose_trainers_have_finished_is_finished(first):
    pods = [meshed(pod(worker, state=ended(0)), first=first) for worker in range(2)]
    here = at(Seen(job(active=2, ready=0), pods), DONE)
    assert (here.state.name, here.live, here.busy) == (FINISHED, False, False)
    assert (
        "container 'istio-proxy', not the trainer's, still runs in 2 of its 2 pods" in here.state.explanation
    )
    assert "`launcher delete` removes both" in here.state.explanation
    assert [(worker.exit_code, worker.held_by) for worker in here.workers] == [(0, ("istio-proxy",))] * 2


def test_one_that_still_trains_is_not():
    pods = [meshed(pod(0, state=ended(0))), meshed(pod(1))]
    assert at(Seen(job(active=2, ready=1), pods), DONE).state.name == RUNNING
    assert at(Seen(job(active=2, ready=2), [meshed(pod(0)), meshed(pod(1))]), said()).state == (RUNNING, "")


def test_a_list_tells_by_the_record_once_no_pod_is_ready():
    """It looks at no pod; those that end by themselves are gone a moment later."""
    assert at(Seen(job(active=2, ready=0)), DONE).state.name == FINISHED
    assert at(Seen(job(active=2, ready=1)), DONE).live
    assert at(Seen(job(active=2, ready=0)), said()).live
    assert at(Seen(job(active=2, ready=0)), said("finished", age=-100)).live  # of the attempt before


@pytest.mark.parametrize(
    "more",
    [
        {"suspend": True, "annotations": CANCELLED},
        {"suspend": True},
        {"suspend": True, "labels": {"kueue.x-k8s.io/queue-name": "team"}},
        {"conditions": [("FailureTarget", "DeadlineExceeded", "Job was active longer")]},
        {"conditions": [("Failed", "BackoffLimitExceeded", "")], "annotations": CANCELLED},
    ],
)
@pytest.mark.parametrize("pods", [held(0, 0), [], [meshed(pod(0, state=ended(0), going=True))], None])
def test_whatever_is_done_to_its_pods_later_it_stays_finished(more, pods):
    here = at(Seen(job(**more), pods), DONE)
    assert (here.state.name, here.live) == (FINISHED, False)


def test_while_its_job_is_deleted_it_stays_finished():
    found = job(active=2)
    found["metadata"]["deletionTimestamp"] = stamp(9)
    pods = [meshed(pod(worker, state=ended(0), going=True)) for worker in range(2)]
    assert at(Seen(found, pods), DONE).state.name == FINISHED
    assert at(Seen(None, pods), DONE).state.name == FINISHED
    assert at(Seen(found, [meshed(pod(0, going=True))]), said("stopping")).state.name == STOPPING


def test_one_that_was_cancelled_is_stopped_though_its_pods_left_with_0():
    found = job(suspend=True, annotations=CANCELLED)
    here = at(Seen(found, held(0, 0)), said("stopped"))
    assert here.state.name == STOPPED


def test_a_mistake_fails_the_run_as_its_job_would_be_failed():
    pods = held(2, 2, message="error: data.source: no such folder")
    here = at(Seen(job(active=2), pods), None)
    assert here.state.name == FAILED
    assert "worker 0 exited with code 2" in here.state.explanation
    cause, _, _, _ = answer(facts(job(active=2), pods))
    assert cause == "mistake"
    silent = held(2, 2)  # the Job makes no new pod for that anyway
    assert answer(facts(job(active=2), silent))[0] not in ("foreign-container", "foreign-container-holds")
    assert at(Seen(job(active=2, ready=1), [pods[0], meshed(pod(1))]), None).state.name in LIVE_STATES


def test_a_worker_that_gets_no_new_pod_is_told_with_the_way_out():
    pods = [meshed(pod(0)), held(0, 42)[1]]
    here = at(Seen(job(active=2, ready=1), pods), said(restarts=1))
    assert here.state.name == RESTARTING
    assert "worker 1 exited with code 42" in here.state.explanation
    assert "container 'istio-proxy' in its pod still runs, so that no new pod comes" in here.state.explanation
    cause, sentence, fix, _ = answer(facts(job(active=2, ready=1), pods, said=said(restarts=1)))
    assert (cause, fix) == ("foreign-container-holds", "kubectl -n team delete pod one-1-abcde")
    assert "worker 1 exited with code 42" in sentence


@pytest.mark.parametrize(
    ("name", "way"),
    [
        ("istio-proxy", "--pod-label sidecar.istio.io/inject=false keeps it out"),
        ("linkerd-proxy", "--pod-annotation linkerd.io/inject=disabled"),
        ("something", "--pod-label or --pod-annotation may decline it"),
        ("ours", "the Job's own manifests have it"),
    ],
)
def test_explain_names_the_container_and_the_ways_out(name, way):
    found = job(active=2)
    found["spec"]["template"]["spec"]["containers"] = [{"name": "trainer"}, {"name": "ours"}]
    pods = [meshed(pod(worker, state=ended(0)), name=name) for worker in range(2)]
    cause, sentence, fix, seen = answer(facts(found, pods, said=DONE))
    assert (cause, fix) == ("foreign-container", "launcher delete gan/one --root gs://runs/gan")
    assert (
        f"run 'one' is finished, but container '{name}', not the trainer's, still runs in 2 of its 2"
        in sentence
    )
    assert way in sentence
    assert seen[0] == "Pod/one-0-abcde"


def test_a_finished_run_without_them_is_well():
    pods = [pod(worker, phase="Succeeded", state=ended(0)) for worker in range(2)]
    found = facts(job(conditions=[("Complete", "CompletionsReached", "")]), pods, said=DONE)
    assert answer(found)[0] is None


@pytest.mark.parametrize("state", [RUNS, waiting("CrashLoopBackOff", "back-off 5m0s"), ended(137)])
def test_a_native_sidecar_holds_nothing_up(state):
    """Its troubles are not the trainer's either, once that runs."""
    pods = [native(pod(worker), state) for worker in range(2)]
    here = at(Seen(job(active=2, ready=2), pods), said())
    assert (here.state, here.ready) == ((RUNNING, ""), 2)
    over = [native(pod(worker, state=ended(0)), state) for worker in range(2)]
    here = at(Seen(job(active=2), over), DONE)
    assert here.state == (FINISHED, "")
    assert not any(worker.held_by for worker in here.workers)
    begins = [native(pod(0, phase="Pending", state=waiting("PodInitializing")), state), pod(1)]
    assert at(Seen(job(active=2), begins), None).state.name == PENDING


def test_status_says_what_keeps_each_pod():
    here = at(Seen(job(active=1, workers=1), held(0)), DONE)
    shown = standing(
        here.state.name, here.state.explanation, DONE, job="one", world_size=1, backend="kubernetes",
        workers=[worker_status(each) for each in here.workers],
    )  # fmt: skip
    lines = describe(shown)
    assert lines[0].startswith(
        "gan/one: finished, container 'istio-proxy', not the trainer's, still runs in its pod"
    )
    assert any("ended with exit code 0, Completed, kept by istio-proxy" in line for line in lines)
    assert json.loads(json.dumps(shown.workers[0].__dict__))["held_by"] == ["istio-proxy"]


class Cluster:
    """An API server with one Job, its pods, and a watch that tells of changes."""

    namespace = "team"

    def __init__(self, found, pods, changes=()):
        self.job, self.pods, self.changes, self.deleted = found, pods, list(changes), []

    def get(self, kind, name):
        return self.job

    def list(self, kind, selector="", fields=""):
        items = self.pods if kind == "Pod" else [self.job]
        return {"items": items, "metadata": {"resourceVersion": "1"}}

    def watch(self, kind, selector="", resource_version="", timeout=300, fields=""):
        if self.changes:
            self.job = self.changes.pop(0)
            yield {"type": "MODIFIED", "object": self.job}

    def patch(self, kind, name, patch):
        self.job["metadata"]["annotations"] |= patch["metadata"]["annotations"]
        self.job["spec"] |= patch["spec"]

    def delete(self, kind, found, *rest, grace_seconds=None):
        self.deleted.append((kind, found["metadata"]["name"], grace_seconds))
        if kind == "Job":
            self.job = None


PATH = RunPath("gs://runs/gan", "gan", "one")


def own(cluster):
    return Own(cluster, PATH, "one", 1)


def mine(pods):
    for each in pods:
        each["metadata"]["labels"] |= job()["metadata"]["labels"]
        each["metadata"]["annotations"] = {"gantry/root": "gs://runs/gan"}
    return pods


def test_a_finished_run_that_is_kept_may_be_resumed_and_one_that_trains_may_not():
    submit.check_idle(own(Cluster(job(active=2), mine(held(0, 0)))))
    for pods in (held(0, 42), [*held(0), meshed(pod(1))], []):
        with pytest.raises(RunAlive):
            submit.check_idle(own(Cluster(job(active=2), mine(pods))))


def test_wait_ends_when_the_run_is_over_and_asks_only_while_no_pod_is_ready():
    trains, left = job(active=2, ready=2), job(active=2, ready=0)
    cluster, asked = Cluster(trains, [], [trains, left]), []

    def is_over():
        asked.append(cluster.job is left)
        return cluster.job is left

    assert watch.wait(own(cluster), 60, is_over).end == "over"
    assert asked == [True]


def test_cancel_does_not_wait_for_a_container_that_is_not_ours():
    cluster = Cluster(job(suspend=True, annotations=CANCELLED), mine(held(0, 0)))
    assert stop.wait_gone(own(cluster), 5.0)
    assert not stop.wait_gone(own(Cluster(job(), mine([meshed(pod(0))]))), 0.0)


def test_cancel_ends_what_is_left_and_the_run_stays_finished():
    cluster = Cluster(job(active=2), mine([*held(0), meshed(pod(1))]))
    assert stop.request_stop(own(cluster))
    assert cluster.job["spec"]["suspend"]
    assert cluster.deleted == [("Pod", "one-0-abcde", 6)]
    assert at(Seen(cluster.job, [meshed(pod(0, state=ended(0), going=True))]), DONE).state.name == FINISHED


def test_delete_gives_what_is_left_a_short_grace():
    pods = mine([*held(0), meshed(pod(1))])
    cluster = Cluster(job(active=2), pods)
    assert stop.delete(cluster, PATH) == ["Job/one"]
    assert cluster.deleted == [("Job", "one", None), ("Pod", "one-0-abcde", 6)]


@pytest.mark.parametrize(
    ("codes", "workers", "done"),
    [((0, 0), {0, 1}, True), ((0, 42), {0, 1}, False), ((0,), {0, 1}, False), ((0, 42), {0}, True)],
)
def test_logs_are_followed_until_the_workers_are_done(codes, workers, done):
    found = mine(held(*codes))
    for worker, each in enumerate(found):
        each["metadata"]["annotations"]["batch.kubernetes.io/job-completion-index"] = str(worker)
    pods = Pods(own(Cluster(job(), found)))
    pods.refresh()
    assert pods.done(workers) is done


def test_a_job_with_too_few_pods_is_not_one_that_restarts():
    found = job(active=1, ready=1)
    found["spec"]["parallelism"] = 1
    found["metadata"]["managedFields"] = [
        {"manager": "kubectl-patch", "time": stamp(9), "fieldsV1": {"f:spec": {"f:parallelism": {}}}}
    ]
    told = "its Job may have 1 pod at a time, and its 2 workers need one each (spec.parallelism is 1)"
    for word in (None, said(), said("restarting", restarts=1)):
        assert at(Seen(found, [pod(0)]), word).state == (PENDING, told)
        assert at(Seen(found), word).state == (PENDING, told)
        cause, sentence, fix, _ = answer(facts(found, [pod(0)], said=word))
        assert cause == "too-few-pods"
        assert "was set to 1 by kubectl-patch, and its 2 workers" in sentence
        assert fix == """kubectl -n team patch job one --type=merge -p '{"spec":{"parallelism":2}}'"""
    assert at(Seen(found, [pod(0), pod(1)]), said()).state.name == RUNNING  # all that there have to be
    found["spec"]["parallelism"] = 0
    assert "may have no pod, and" in at(Seen(found, []), None).state.explanation


ONES = {"f:spec": {"f:suspend": {}, "f:template": {}}}


def half(seconds=60.0, fields=ONES, **more):
    """A Job as `submit` makes it, and where its run stands so long after."""
    found = job(2, suspend=True, conditions=[("Suspended", "JobSuspended", "Job suspended")], **more)
    found["metadata"]["managedFields"] = [{"manager": "launcher-12ab", "time": stamp(0), "fieldsV1": fields}]
    return found, at(Seen(found, []), None, seconds).state


def test_a_submission_that_was_cut_off_is_told_from_a_job_that_somebody_suspended():
    found, state = half()
    assert state == ("interrupted", "its submission was cut off before its Job was let go")
    cause, sentence, fix, _ = answer(facts(found, [], seconds=60))
    assert (cause, fix) == ("half-submitted", "launcher resume gan/one --root gs://runs/gan")
    assert "never let go" in sentence
    assert half(seconds=5.0)[1].name == STARTING  # it is still at it
    assert half(annotations=CANCELLED)[1].name == STOPPED
    assert half(labels={"kueue.x-k8s.io/queue-name": "team"})[1].name == QUEUED
    for more in ({"startTime": stamp(3)}, {"failed": 1}):
        found, state = half(**more)
        assert state == (STOPPED, "its Job is suspended, and not by this launcher")
        assert answer(facts(found, [], seconds=60))[0] == "suspended"
    other = {"f:spec": {"f:suspend": {}}}  # whoever let it go, or suspended it again, owns no more of it
    assert half(fields=other)[1].name == STOPPED


@given(
    codes=st.lists(st.sampled_from([None, 0, 1, 2, 42, 137]), min_size=1, max_size=3),
    sidecars=st.lists(st.booleans(), min_size=3, max_size=3),
    suspend=st.booleans(),
)
def test_a_pod_counts_by_its_trainer_whatever_runs_beside_it(codes, sidecars, suspend):
    """Whether a run lives does not depend on what else is in its pods, but for who will replace them."""
    bare = [pod(worker, state=RUNS if code is None else ended(code)) for worker, code in enumerate(codes)]
    more = [pod(worker, state=RUNS if code is None else ended(code)) for worker, code in enumerate(codes)]
    more = [meshed(each) if there else each for each, there in zip(more, sidecars, strict=False)]
    found = job(len(codes), suspend=suspend, active=len(codes), annotations=CANCELLED if suspend else {})
    for word in (None, said(), DONE, said("stopped")):
        one, other = at(Seen(found, bare), word), at(Seen(found, more), word)
        assert one.busy == other.busy == any(code is None for code in codes)
        if 2 not in codes:
            assert one.state.name == other.state.name
        assert [worker.exit_code for worker in other.workers] == codes
