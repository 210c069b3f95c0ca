"""What a cluster does to runs, and the command that is printed for it, by `make test-fixes`."""

import json
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import pytest
import yaml

from tests.cluster import disturbances, explain_stage
from tests.cluster.explain_stage import cluster_wide, least_role
from tests.cluster.fixing import Fixing, running
from tests.cluster.test_fixes import desk, fixing
from tests.cluster.test_fixes_struck import PATIENCE_SECONDS, striking
from tests.cluster.waiting import wait_until
from trainer.storage import open_store

__all__ = ["desk", "fixing", "striking"]
pytestmark = pytest.mark.fixes


def _edit(folder, change):
    """Change the pod's template of a copy of k8s/."""
    path = folder / "job.yaml"
    job = yaml.safe_load(path.read_text())
    change(job["spec"]["template"]["spec"])
    path.write_text(yaml.safe_dump(job))
    return str(folder)


def test_a_limit_range_that_throttles(striking, fixing, kubectl):
    limit = {"limits": [{"type": "Container", "default": {"cpu": "100m"}}]}
    kubectl.apply({"apiVersion": "v1", "kind": "LimitRange", "metadata": {"name": "small"}, "spec": limit})
    striking.desk.submit_unjudged(kubectl, "slow", "--cpu", "50m")
    commands = fixing("slow", "throttled")

    def roomy(pod):
        pod["containers"][0]["resources"]["limits"]["cpu"] = "2"

    _edit(fixing.own_manifests(), roomy)
    fixing.run(commands)
    again = striking.desk.other("slow")
    assert running(kubectl, again, PATIENCE_SECONDS, "Succeeded")
    (pod,) = kubectl.get("pods", "-l", f"batch.kubernetes.io/job-name={again}")["items"]
    assert pod["spec"]["containers"][0]["resources"]["limits"]["cpu"] == "2"
    fixing.tell(commands, "the new run's pod has the limit of the copy")


def test_a_runtime_that_dies(striking, fixing, kubectl):
    striking.trains("shim", "--backoff-limit", "0")
    disturbances.kill_shim(kubectl, striking.pod("shim"))
    commands = fixing("shim", "killed", PATIENCE_SECONDS)
    fixing.run(commands)
    assert running(kubectl, "shim-r2", PATIENCE_SECONDS, "Succeeded")
    fixing.tell(commands, "the second attempt's pod runs")
    striking.desk("cancel", "shim", "--now")


def test_another_process_that_trains_the_run(striking, fixing, kubectl):
    striking.trains("held")
    striking.desk("cancel", "held")
    copy = kubectl.get("job", "held")
    copy["metadata"] = {"name": "copy", "labels": copy["metadata"]["labels"]}
    copy["spec"] |= {"suspend": False, "selector": None}
    template = copy["spec"]["template"]["metadata"]
    template["labels"] = {key: value for key, value in template["labels"].items() if "controller" not in key}
    template["labels"].pop("job-name", None)
    template["labels"].pop("batch.kubernetes.io/job-name", None)
    copy.pop("status")
    kubectl.apply(copy)
    store = open_store(f"{striking.bucket}/gan/held")
    lease = wait_until(lambda: store.stat("lease.json") and json.loads(store.read("lease.json")), "a lease")
    assert lease
    running(kubectl, "copy", PATIENCE_SECONDS)
    wait_until(lambda: json.loads(store.read("status.json")).get("state") == "running", "its training")
    striking.desk("resume", "held")
    commands = fixing("held", "held", PATIENCE_SECONDS)
    told = fixing.run(commands).stdout
    assert "held" in told
    fixing.tell(commands, "it says where the run stands")
    kubectl("delete", "job", "copy", "--wait=false")


def test_storage_that_does_not_answer(striking, fixing, kubectl, own_cluster):
    striking.trains("cut", "--set", "recovery.storage_patience_seconds=500")
    address = urlsplit(own_cluster.storage_url).hostname
    with ThreadPoolExecutor(1) as pool:
        with disturbances.cut_off(kubectl, striking.pod("cut"), address):
            commands = fixing("cut", "storage-away", PATIENCE_SECONDS)
            following = pool.submit(fixing.launcher, *commands[0][1:])
        state = kubectl.get("pod", striking.pod("cut"))["status"]["containerStatuses"][0]
        assert (state["restartCount"], "running" in state["state"]) == (0, True)
        striking.desk("cancel", "cut")
        told = following.result(PATIENCE_SECONDS)
    assert told.returncode == 0, told.stderr
    assert "storage is back after" in told.stdout, told.stdout
    fixing.tell(commands, "it shows what storage does, and its return")


def test_a_node_that_is_lost(desk, fixing, kubectl, namespace):
    """A node without a kubelet; what its pod's would have said of it is said here."""
    node = explain_stage.node(namespace) | {"spec": {}}

    def bound(pod):
        pod["nodeSelector"] = {"gantry.test/node": namespace}
        pod["tolerations"] = [{"operator": "Exists"}]

    with cluster_wide(kubectl, node):
        size = {"cpu": "4", "memory": "8Gi", "pods": "10", "ephemeral-storage": "100Gi"}
        _says(kubectl, "node", namespace, capacity=size, allocatable=size, conditions=_are("Ready"))
        desk.submit("lost", "--manifests", _edit(fixing.own_manifests(), bound))
        (first,) = kubectl.wait_for("a pod on the node", lambda: _bound(kubectl, namespace))
        trainer = {"name": "trainer", "image": "x", "imageID": "x", "restartCount": 0, "ready": True}
        trainer["state"] = {"running": {"startedAt": "2026-01-01T00:00:00Z"}}
        both = _are("Ready", "ContainersReady")
        _says(kubectl, "pod", first, phase="Running", conditions=both, containerStatuses=[trainer])
        commands = fixing("lost", "node-lost", PATIENCE_SECONDS)  # when nobody has heard of it for 40 s
        fixing.run(commands)
        kubectl.wait_for("another pod", lambda: _names(kubectl) not in ([], [first]), PATIENCE_SECONDS)
    fixing.tell(commands, "the pod is gone, and the Job has made another one")
    desk("cancel", "lost", "--now")


def _are(*kinds):
    return [{"type": kind, "status": "True", "reason": "KubeletReady"} for kind in kinds]


def _says(kubectl, kind, name, **status):
    patch = json.dumps({"status": status})
    kubectl("patch", kind, name, "--subresource=status", "--type=merge", f"-p={patch}")


def _bound(kubectl, node):
    pods = kubectl.get("pods", "-l", "batch.kubernetes.io/job-name=lost")["items"]
    return [pod["metadata"]["name"] for pod in pods if pod["spec"].get("nodeName") == node]


def _names(kubectl):
    pods = kubectl.get("pods", "-l", "batch.kubernetes.io/job-name=lost")["items"]
    return [pod["metadata"]["name"] for pod in pods]


def test_several_reasons_and_no_look_at_the_nodes(desk, kubectl, own_cluster, namespace, tmp_path):
    fixing = Fixing(own_cluster, desk.where, tmp_path, "limited")

    def elsewhere(pod):
        pod["nodeSelector"] = {"gantry.test/node": namespace}

    with cluster_wide(kubectl, explain_stage.node(namespace)):
        kubectl.apply(*least_role())
        desk.submit("nowhere", "--manifests", _edit(fixing.own_manifests(), elsewhere))
        commands = fixing("nowhere", "no-node", PATIENCE_SECONDS)
        kubectl("create", "rolebinding", "looks", "--clusterrole=view", "--user=limited")  # as describe asks
        told = fixing.run(commands).stdout
    assert "FailedScheduling" in told
    fixing.tell(commands, "it shows the scheduler's words")
    desk("cancel", "nowhere")


def test_a_schedule_that_may_not_fire(cron, fixing, kubectl, namespace):
    cron.create("nightly", "* * * * *", "--suspended")
    policy, binding = explain_stage.policy(namespace)
    each = "object.spec.template.spec.containers.all(c, c.resources.limits.memory == '128Mi')"
    small = f"object.kind != 'Job' || {each}"
    policy["spec"]["validations"] = [{"expression": small, "message": "jobs have 128Mi each"}]
    with cluster_wide(kubectl, policy, binding):
        cron("resume", "nightly")
        commands = fixing("nightly", "schedule-refused", PATIENCE_SECONDS)
        fixing.run(commands)
        wait_until(lambda: cron.data("show", "nightly")["status"]["active"], "a firing")
        cron("suspend", "nightly")
    fixing.tell(commands, "the next firing is made, with what the file says")
    cron("delete", "nightly", "--yes")
