"""What somebody does to a run that trains, and the command that is printed for it, by `make test-fixes`."""

import pytest

from tests.cluster import disturbances
from tests.cluster.fixing import running
from tests.cluster.test_explain_altered import ENDLESS
from tests.cluster.test_fixes import desk, fixing
from tests.cluster.waiting import first_checkpoint
from tests.support.flags import set_flags
from trainer.run import layout
from trainer.storage import open_store

__all__ = ["desk", "fixing"]
pytestmark = pytest.mark.fixes

PATIENCE_SECONDS = 240.0


class Striking:
    """Runs of one worker that train."""

    def __init__(self, desk, fixing, kubectl, bucket):
        self.desk, self.fixing, self.kubectl, self.bucket = desk, fixing, kubectl, bucket

    def trains(self, name, *more):
        """Submit it and wait for its first checkpoint; its folder."""
        self.desk.submit(name, "--workers", "1", "--memory", "1400Mi", *set_flags(ENDLESS), *more)
        store = open_store(f"{self.bucket}/gan/{name}")
        first_checkpoint(store, PATIENCE_SECONDS)
        return store

    def pod(self, job):
        """Name of a Job's one pod."""
        (pod,) = self.kubectl.get("pods", "-l", f"batch.kubernetes.io/job-name={job}")["items"]
        return pod["metadata"]["name"]


@pytest.fixture
def striking(desk, fixing, kubectl, bucket):
    return Striking(desk, fixing, kubectl, bucket)


def test_orphans(striking, kubectl):
    striking.trains("left")
    kubectl("delete", "job", "left", "--cascade=orphan")
    commands = striking.fixing("left", "orphaned")
    striking.fixing.run(commands)
    assert running(kubectl, "left-r2", PATIENCE_SECONDS, "Succeeded")
    assert not kubectl.get("pods", "-l", "batch.kubernetes.io/job-name=left")["items"]
    assert striking.desk.data("status", "left")["attempt"] == 2
    striking.fixing.tell(commands, "the orphans have ended, and the second attempt's pod runs")
    striking.desk("cancel", "left", "--now")


def test_a_run_whose_folder_was_emptied(striking, kubectl):
    store = striking.trains("emptied")
    for found in sorted(store.list(), key=lambda each: each.name != layout.RUN):
        store.delete(found.name)
    commands = striking.fixing("emptied", "run-lost", PATIENCE_SECONDS)
    known = {each["metadata"]["name"] for each in kubectl.get("jobs")["items"]}
    striking.fixing.run(commands)
    (job,) = {each["metadata"]["name"] for each in kubectl.get("jobs")["items"]} - known
    assert running(kubectl, job, PATIENCE_SECONDS, "Succeeded")
    striking.fixing.tell(commands, "the same run begins anew, and its pod runs")
    striking.desk("cancel", job, "--now")


def test_more_pods(striking, kubectl):
    striking.trains("crowded")
    kubectl("patch", "job", "crowded", '-p={"spec":{"completions":2,"parallelism":2}}')
    commands = striking.fixing("crowded", "more-pods", PATIENCE_SECONDS)
    striking.fixing.run(commands)
    assert running(kubectl, "crowded-r2", PATIENCE_SECONDS, "Succeeded")
    assert kubectl.get("job", "crowded-r2")["spec"]["completions"] == 2
    striking.fixing.tell(commands, "the second attempt has two workers, and its pods run")
    striking.desk("cancel", "crowded", "--now")


def test_a_limit_by_default_that_is_less_than_asked_for(striking, kubectl):
    limit = {"limits": [{"type": "Container", "default": {"cpu": "150m"}}]}
    kubectl.apply({"apiVersion": "v1", "kind": "LimitRange", "metadata": {"name": "small"}, "spec": limit})
    striking.desk.submit_unjudged(kubectl, "large", "--cpu", "400m")
    commands = striking.fixing("large", "limit-default")
    striking.fixing.run(commands)
    assert running(kubectl, striking.desk.other("large"), PATIENCE_SECONDS, "Succeeded")
    striking.fixing.tell(commands, "the new run's pod runs")


def test_restarts_that_brought_nothing(striking, kubectl):
    striking.trains("killed", "--backoff-limit", "0", "--set", "recovery.restarts_without_progress=0")
    disturbances.kill_trainer(kubectl, striking.pod("killed"))
    commands = striking.fixing("killed", "restarts-in-vain", PATIENCE_SECONDS)
    striking.fixing.run(commands)
    assert running(kubectl, "killed-r2", PATIENCE_SECONDS, "Succeeded")
    striking.fixing.tell(commands, "the second attempt's pod runs")
    striking.desk("cancel", "killed", "--now")


def test_a_schedule_whose_firings_are_not_well(cron, fixing, desk):
    cron.create("nightly", "0 0 29 2 *", "--env", "GANTRY_PEER_SECONDS=soon")
    firing = cron("trigger", "nightly").stdout.strip()
    commands = fixing("nightly", "firing-not-well")
    fixing.run(commands, VALUE="600")
    assert desk.record(desk.other(firing))["spec"]["env"]["GANTRY_PEER_SECONDS"] == "600"
    fixing.tell(commands, "a new run has the value")
