"""Processes and pods that are killed, and pods that a person deletes."""

from tests.cluster import disturbances
from tests.cluster.survival.survivor import ASKED, STEPS
from tests.support.teams import outcome


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
