"""Cancelling a run on a cluster: the wish in its folder, the Job after it, and what is told of the end."""

import json
import time
from datetime import datetime, timedelta

import pytest

from launcher.backends.kubernetes.backend import KubernetesBackend
from launcher.backends.kubernetes.jobs import stop
from launcher.backends.kubernetes.jobs.cancellation import announce_cancel, was_cancelled
from launcher.backends.kubernetes.jobs.record import ClusterRecord
from launcher.backends.kubernetes.status.observe import Seen, join
from launcher.backends.kubernetes.status.ours import Own
from launcher.records.run_folder import Found
from launcher.records.states import FAILED, FINISHED, STOPPED, STOPPING
from tests.launcher.kubernetes_objects import BEGAN, ages, ended, job, pod, said, stamp
from trainer.errors import AccessError
from trainer.run import layout
from trainer.run.layout import RunPath
from trainer.storage import LocalStore

CANCELLED = {"gantry/cancelled": stamp(5)}
QUEUED = {"kueue.x-k8s.io/queue-name": "team"}
LEFT = [pod(worker, phase="Succeeded", state=ended(0), going=True) for worker in range(2)]


class Cluster:
    """An API server with one Job, whose pods go as soon as they are asked to."""

    now = BEGAN

    def __init__(self, found, store):
        self.job, self.store = found, store
        self.pods = [pod(0), pod(1)]
        self.calls = []

    namespace = "team"

    def get(self, kind, name):
        return self.job

    def list(self, kind, selector):
        return {"items": self.pods}

    def patch(self, kind, found, patch):
        self._note("patch")
        self.job["metadata"]["annotations"] |= patch["metadata"]["annotations"]
        self.job["spec"] |= patch["spec"]

    def delete(self, kind, found, *rest, **options):
        self._note("delete")
        self.job = None

    def _note(self, call):
        self.calls.append((call, self.store.stat(layout.CANCEL) is not None))
        self.pods = []


ONE = RunPath("gs://runs/gan", "gan", "one")


def cancel(cluster, store, attempt=1):
    record = ClusterRecord(attempt, "one", "team", "c", "https://c", 2, stamp(-1), {})
    backend = KubernetesBackend(record)
    backend.api = cluster
    return backend.cancel(Found(ONE, store))


@pytest.mark.parametrize(("labels", "call"), [({}, "patch"), (QUEUED, "delete")])
def test_the_wish_is_there_before_a_pod_hears_of_it(store, labels, call):
    store.write(layout.STATUS, json.dumps(said("stopped")).encode())
    cluster = Cluster(job(labels=labels), store)
    assert cancel(cluster, store).state == STOPPED
    assert cluster.calls == [(call, True)]
    wish = json.loads(store.read(layout.CANCEL))
    assert wish["attempt"] == 1
    assert datetime.fromisoformat(wish["time"]).utcoffset() == timedelta(0)


@pytest.mark.parametrize(
    ("word", "told"),
    [
        (None, "it was cancelled before it began"),
        (said("running"), "it was cancelled"),  # killed, so that its trainer had no last word
        (said("failed"), ""),
    ],
)
def test_a_queued_run_that_is_cancelled_is_stopped_whatever_its_trainer_said(store, word, told):
    if word is not None:
        store.write(layout.STATUS, json.dumps(word).encode())
    cluster = Cluster(job(labels=QUEUED), store)
    found = cancel(cluster, store)
    assert (found.state, found.explanation) == (word["state"] if word and not told else STOPPED, told)
    # Of an attempt after that nobody has wished anything.
    assert not was_cancelled(store, 2)


class Late(Cluster):
    """One whose controllers are away: its pods are asked to leave some looks after the Job was suspended."""

    def __init__(self, *given, looks):
        super().__init__(*given)
        self._looks = looks

    def list(self, kind, selector):
        self._looks -= 1
        left = {"items": [pod(0), pod(1)]}, {"items": [pod(0, going=True)]}, {"items": []}
        return left[0] if self._looks > 2 else left[1] if self._looks > 0 else left[2]


@pytest.mark.parametrize(("controllers", "in_time"), [(60.0, True), (0.0, False)])
def test_the_grace_begins_when_the_pods_are_asked(store, monkeypatch, controllers, in_time):
    monkeypatch.setattr(stop, "_grace", lambda pods: 0.0)
    monkeypatch.setattr(stop, "GRACE_MARGIN", 0.5)
    monkeypatch.setattr(stop, "_POLL_SECONDS", 0.1)
    monkeypatch.setattr(stop, "_CONTROLLER_SECONDS", controllers)
    assert (
        stop.cancel(Own(Late(job(), store, looks=12), ONE, "one", 1)) == in_time
    )  # a second until they are asked


def test_a_run_that_has_ended_is_not_cancelled(store):
    cluster = Cluster(job(conditions=[("Complete", "CompletionsReached", "")]), store)
    cluster.pods = []
    assert cancel(cluster, store).state == FINISHED
    assert (cluster.calls, store.stat(layout.CANCEL)) == ([], None)
    assert not stop.request_stop(Own(cluster, ONE, "one", 1), announce=lambda: pytest.fail("announced"))


class Away(LocalStore):
    """A store that cannot be written."""

    def write(self, name, content, if_generation=None):
        raise AccessError(f"{self.url}/{name}: no permission")


class Silent(LocalStore):
    """A store that does not answer for long."""

    def write(self, name, content, if_generation=None):
        time.sleep(5)


@pytest.mark.parametrize(("kind", "why"), [(Away, "no permission"), (Silent, "has not answered for 0 s")])
def test_a_wish_that_cannot_be_written_stops_nothing(tmp_path, capsys, kind, why, monkeypatch):
    monkeypatch.setattr(
        "launcher.backends.kubernetes.backend.announce_cancel",
        lambda store, attempt: announce_cancel(store, attempt, 0.1),
    )
    store = kind(tmp_path)
    cluster = Cluster(job(), store)
    assert cancel(cluster, store).state == STOPPED
    assert cluster.calls == [("patch", False)]
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith("warning: ")
    assert why in line


def at(found, word, pods=LEFT):
    seen = Seen(found, pods, time=BEGAN + timedelta(seconds=40))
    return join(seen, word, ages(word, 0.0, 40), 2)


GOOD, BAD = ("Complete", "CompletionsReached", ""), ("Failed", "BackoffLimitExceeded", "")


@pytest.mark.parametrize(
    ("end", "word", "marks", "state"),
    [
        (GOOD, said("finished"), CANCELLED, FINISHED),
        (GOOD, said("stopped"), CANCELLED, STOPPED),
        (GOOD, said("running"), CANCELLED, STOPPED),  # its last word did not get through
        (GOOD, None, CANCELLED, STOPPED),
        (GOOD, said("finished", age=-100), CANCELLED, STOPPED),  # the attempt before was finished
        (GOOD, said("stopped"), {}, FINISHED),  # nobody cancelled it
        (BAD, said("stopped"), CANCELLED, STOPPED),
        (BAD, said("failed"), CANCELLED, FAILED),
        (BAD, said("stopped"), {}, FAILED),
    ],
)
def test_pods_that_left_with_0_since_they_were_asked_to_have_not_finished(end, word, marks, state):
    found = job(conditions=[end], annotations=marks, suspend=bool(marks))
    assert at(found, word).state.name == state
    assert at(found, word, None).state.name == state


def test_a_queued_job_that_is_being_deleted_may_be_complete_by_then():
    found = job(conditions=[GOOD], labels=QUEUED)
    found["metadata"]["deletionTimestamp"] = stamp(30)
    assert at(found, said("stopped")).state.name == STOPPED
    assert at(found, said("finished")).state.name == FINISHED


def test_a_cancelled_job_is_stopping_until_its_last_pod_has_gone():
    found = job(conditions=[("FailureTarget", "BackoffLimitExceeded", "")], annotations=CANCELLED)
    assert at(found, said("stopped"), [pod(0, going=True), LEFT[1]]).state.name == STOPPING
