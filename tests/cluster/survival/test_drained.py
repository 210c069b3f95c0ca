"""A node that is drained, under a disruption budget, and a container that runs out of memory."""

from tests.cluster import disturbances
from tests.cluster.survival.survivor import ASKED, PATIENCE_SECONDS, STEPS
from tests.cluster.waiting import wait_until
from tests.support.teams import outcome


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
