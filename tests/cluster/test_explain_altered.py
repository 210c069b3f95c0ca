"""A bucket that is emptied under a run, and a Job that gets more pods: what the run and `explain` say."""

import json

import pytest

from tests.cluster.flags import on
from tests.cluster.waiting import first_checkpoint
from tests.support.flags import set_flags
from tests.support.teams import PLAIN
from trainer.errors import EXIT_DONE, EXIT_USER
from trainer.run import layout
from trainer.storage import open_store

PATIENCE_SECONDS = 240.0
ENDLESS = (*PLAIN, "steps=1000000", "samples.every_steps=1000", "checkpoints.keep=2")


@pytest.fixture
def trains(cluster, launcher, namespace, bucket):
    """A function: submit a run of one worker and wait for its first checkpoint."""

    def start(name):
        what = ["--preset", "mlp", "--workers", "1", "--threads", "1", "--memory", "1400Mi", "--name", name]
        launcher("submit", *what, *set_flags(ENDLESS), *on(cluster, namespace, bucket), check=True)
        store = open_store(f"{bucket}/gan/{name}")
        first_checkpoint(store, PATIENCE_SECONDS)
        return store

    return start


def ends(kubectl, job, index):
    """How the newest pod of a worker ended: its exit code and message; None while it has not."""
    for pod in kubectl.get("pods", "-l", f"batch.kubernetes.io/job-name={job}")["items"]:
        mine = pod["metadata"]["labels"]["batch.kubernetes.io/job-completion-index"] == str(index)
        for status in pod["status"].get("containerStatuses") or []:
            if mine and (over := status["state"].get("terminated")):
                return over["exitCode"], over.get("message", "")
    return None


def _failure(kubectl, job):
    """Why a Job failed; None while it has not."""
    conditions = kubectl.get("job", job)["status"].get("conditions") or []
    return next((each["reason"] for each in conditions if each["type"] == "FailureTarget"), None)


def test_a_bucket_that_is_emptied_while_a_run_trains_ends_it_with_a_sentence(
    trains, kubectl, launcher, namespace, bucket
):
    store = trains("emptied")
    for found in sorted(store.list(), key=lambda each: each.name != layout.RUN):
        store.delete(found.name)
    kubectl.wait_for("the end of the pod", lambda: ends(kubectl, "emptied", 0), PATIENCE_SECONDS)
    code, message = ends(kubectl, "emptied", 0)
    assert code == EXIT_USER and f"{bucket}/gan/emptied: run.json is gone" in message
    kubectl.wait_for("the end of the Job", lambda: _failure(kubectl, "emptied"), PATIENCE_SECONDS)
    assert _failure(kubectl, "emptied") == "PodFailurePolicy"
    assert store.stat(layout.RUN) is None
    done = launcher("explain", "emptied", "--root", bucket, "-n", namespace, "-o", "json")
    assert done.returncode == 1, done.stderr
    found = json.loads(done.stdout)
    assert (found["cause"], found["state"]) == ("run-lost", "failed"), found
    assert found["fix"].startswith("launcher submit --preset mlp ")


def test_a_pod_that_somebody_adds_leaves_and_the_run_trains_on(trains, kubectl, launcher, bucket):
    trains("crowded")
    kubectl("patch", "job", "crowded", '-p={"spec":{"completions":2,"parallelism":2}}')
    kubectl.wait_for("the end of the second pod", lambda: ends(kubectl, "crowded", 1), PATIENCE_SECONDS)
    code, message = ends(kubectl, "crowded", 1)
    assert code == EXIT_DONE and "the run has 1 worker (GANTRY_WORKERS)" in message
    done = launcher("explain", "crowded", "--root", bucket, "-o", "json")
    found = json.loads(done.stdout)
    assert (found["state"], found["cause"]) == ("running", "more-pods"), found
    assert "launcher resume gan/crowded --workers 2" in found["fix"]
    told = json.loads(launcher("status", "crowded", "--root", bucket, "-o", "json").stdout)
    assert told["state"] == "running" and "it has 1 worker" in told["explanation"]
    cancelled = launcher("cancel", "crowded", "--root", bucket)
    assert cancelled.returncode == 0, cancelled.stderr
