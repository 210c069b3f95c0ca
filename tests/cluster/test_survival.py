"""Whatever is done to the workers of a run: it completes, and with the bits of one that was left in peace.

Three runs take all blows, since a start of two trainers is what costs time. The run in peace, one for all,
trains meanwhile on this machine.
"""

import json
import re
from contextlib import ExitStack

import pytest
import yaml

from tests.cluster import disturbances
from tests.cluster.flags import on
from tests.cluster.survivor import PATIENCE_SECONDS, SETS, STEPS, Survivor, flags
from tests.cluster.waiting import wait_until
from tests.support.teams import Team, outcome
from trainer import layout
from trainer.storage import open_store

# A pod's object may be gone before anybody looks; then the others' word for it is all there is.
ASKED = "(deleted|stopped|lost its pod|asked to stop)"


@pytest.fixture(scope="session")
def undisturbed(meeting_place):
    """The run that nothing happens to; a call waits for its end and gives its outcome."""
    folder = meeting_place / "undisturbed"
    store = open_store(str(folder / "e/run"))

    def wait():
        wait_until(lambda: store.stat(layout.RESULT), "the end of the run in peace", PATIENCE_SECONDS)
        return outcome(store, STEPS)

    with ExitStack() as stack:
        try:
            folder.mkdir()
        except FileExistsError:  # another process of this call of pytest has begun it
            yield wait
            return
        team = Team(str(folder), "run", folder / "logs", workers=2, sets=SETS)
        stack.enter_context(team)
        yield wait
        codes = [process.wait(PATIENCE_SECONDS) for process in team.processes]
    assert codes == [0, 0], team.log()


@pytest.fixture
def submit(undisturbed, launcher, kubectl, cluster, namespace, bucket, tmp_path):
    """Start a run with flags of its own, and follow its status."""

    def start(name, *more):
        run = Survivor(name, launcher, kubectl, (cluster, namespace, bucket), *more)
        run.follow(tmp_path)
        return run

    return start


def test_processes_and_pods_are_killed_and_deleted(submit, kubectl, undisturbed):
    run = submit("killed")
    run.trains()
    with run.struck("worker 1's trainer died of SIGKILL"):
        disturbances.kill_trainer(kubectl, run.pod(1))
    assert run.status()["restarts"] == 0
    with run.struck(f"worker 0 .*{ASKED}"):
        disturbances.delete(kubectl, run.pod(0), grace=False)
    with run.struck(f"worker 1 .*{ASKED}"):
        disturbances.delete(kubectl, run.pod(1), grace=True)
    job = run.finish()
    assert job["failed"] == 2  # the pods that a person deleted, and not the process
    assert outcome(run.store, STEPS) == undisturbed()


def test_a_drain_costs_nothing_and_want_of_memory_is_told(submit, kubectl, undisturbed):
    run = submit("drained", "--profile", "spot", "--memory", "1400Mi")
    run.trains()
    with run.struck(rf"worker 1 .*(EvictionByEvictionAPI|{ASKED})"):
        chief = run.pod(0)
        assert disturbances.evict(kubectl, run.pod(1)) == ""
        refused = disturbances.evict(kubectl, chief)
        assert "TooManyRequests" in refused
        assert "disruption budget" in refused
        wait_until(lambda: not disturbances.evict(kubectl, chief), "the chief's turn", PATIENCE_SECONDS)
    assert "failed" not in kubectl.get("job", "drained")["status"]
    with run.struck("worker 1.* ran out of memory"):
        pod = run.pod(1)
        disturbances.use_up_memory(kubectl, pod)
    # Where the kernel counts by control groups of the second version, it takes the whole container.
    lost = int(run.pod(1) != pod)
    with run.struck(f"worker [01] .*{ASKED}"):
        disturbances.delete(kubectl, run.pod(1), grace=False)
        disturbances.delete(kubectl, run.pod(0), grace=True)
    job = run.finish()
    assert job["failed"] == 2 + lost
    assert outcome(run.store, STEPS) == undisturbed()


@pytest.mark.alone
def test_a_second_job_a_dead_runtime_and_an_api_server_that_is_away(
    submit, launcher, own_cluster, outage, namespace, bucket, kubectl, undisturbed
):
    run = submit("lonely")
    where = on(own_cluster, namespace, bucket)
    second = launcher("render", *flags("second", workers=1), *where, check=True).stdout
    wait_until(lambda: run.store.stat(layout.LEASE), "a chief that holds the run", PATIENCE_SECONDS)
    _refuse_second(kubectl, second.replace("- second\n", "- lonely\n"), run.pod(0))
    run.trains()
    with run.struck("worker 1 .*(runtime|is gone)"):
        disturbances.kill_shim(kubectl, run.pod(1))
    assert (before := run.status()["trainer_restarts"]) == 1  # and none for the second Job
    with outage():
        run.trains()
        told = run.status()
        assert "no cluster reachable" in told["explanation"]
    after = run.status()
    assert after["state"] in ("running", "finished")
    assert after["trainer_restarts"] == before
    job = run.finish()
    assert job["failed"] == 1
    assert outcome(run.store, STEPS) == undisturbed()


def _refuse_second(kubectl, manifest, holder):
    """Start another Job on the folder of a run whose chief is pod `holder`; it fails and says whose it is."""
    kubectl.apply(*yaml.safe_load_all(manifest))
    kubectl("patch", "job", "second", '-p={"spec":{"suspend":false}}')
    refused = kubectl.wait_for("the second Job fails", lambda: _failure(kubectl), PATIENCE_SECONDS)
    assert refused["reason"] == "PodFailurePolicy"
    assert "exit code 2" in refused["message"]
    (ended,) = [
        status["state"]["terminated"]
        for pod in kubectl.get("pods", "-l", "batch.kubernetes.io/job-name=second")["items"]
        for status in pod["status"]["containerStatuses"]
    ]
    assert ended["exitCode"] == 2
    words = rf"is being trained by {holder} .*, which renewed its lease \d+ s ago and holds it since 20"
    assert re.search(words, ended["message"]), json.dumps(ended)


def _failure(kubectl):
    conditions = kubectl.get("job", "second")["status"].get("conditions", [])
    return next((each for each in conditions if each["type"] == "FailureTarget"), None)
