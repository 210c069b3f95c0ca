"""A second Job on the run's folder, a runtime that dies under a pod, and an API server that is away."""

import json
import re

import pytest
import yaml

from tests.cluster import disturbances
from tests.cluster.flags import on
from tests.cluster.survival.survivor import PATIENCE_SECONDS, STEPS, flags
from tests.cluster.waiting import wait_until
from tests.support.teams import outcome
from trainer.run import layout


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
