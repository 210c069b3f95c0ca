"""A worker's pod before the API server: refused, made to wait, changed on its way in, or never at its end."""

import json
import os
import socket
import subprocess

import pytest

from tests.cluster.fixing import tell
from tests.cluster.flags import on
from trainer.storage import open_store

LIMITS = {"apiVersion": "v1", "kind": "LimitRange", "metadata": {"name": "sizes"}}


@pytest.fixture
def submit(launcher, namespace, bucket, cluster):
    """Submit a run of one small worker; later words override earlier ones."""

    def call(name, *words):
        return launcher("submit", "--preset", "mlp", "--name", name, *on(cluster, namespace, bucket), *words)

    return call


def limit(kubectl, **bounds):
    """A LimitRange for containers."""
    kubectl.apply({**LIMITS, "spec": {"limits": [{"type": "Container", **bounds}]}})


def test_a_namespace_that_never_lets_the_pods_in(submit, launcher, cluster, namespace, bucket, kubectl):
    limit(kubectl, max={"memory": "256Mi"})
    kubectl("create", "quota", "small", "--hard=requests.cpu=250m")
    kubectl.wait_for("the quota", lambda: kubectl.get("quota", "small").get("status", {}).get("used"))
    for words, said in (
        (("--memory", "1Gi"), "maximum memory usage per Container is 256Mi, but limit is 1Gi"),
        (("--memory", "200Mi", "--cpu", "300m"), "exceeded quota: small"),
        (("--memory", "200Mi", "--workers", "8"), "expected --workers 2, or a larger quota"),
    ):
        done = submit("no", *words)
        assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1), done.stderr
        assert done.stderr.startswith("error: Job 'no'") and said in done.stderr
    asked = ["--schedule", "0 3 * * 1", "--preset", "mlp", *on(cluster, namespace, bucket)]
    done = launcher("cron", "create", "no", *asked, "--memory", "1Gi")
    assert done.returncode == 2
    assert "error: CronJob 'no': the cluster refuses its pods: " in done.stderr
    assert kubectl("get", "jobs,cronjobs,services,pods", "-o", "name").stdout == ""
    assert list(open_store(bucket).list()) == []


def test_a_quota_that_others_use_up_is_a_note_and_no_refusal(submit, launcher, bucket, kubectl):
    kubectl("create", "quota", "small", "--hard=pods=1")
    holder = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": "other"},
        "spec": {"template": _pod_without_a_node()},
    }
    kubectl.apply(holder)

    def is_full():
        return kubectl.get("quota", "small").get("status", {}).get("used", {}).get("pods") == "1"

    kubectl.wait_for("its pod", is_full)
    done = submit("patient", "--image", "127.0.0.1:9/gantry:1")
    assert done.returncode == 0, done.stderr
    later = "note: its pods cannot be made now, which the cluster tries again until they can: asks for 1, and"
    assert later in done.stderr
    kubectl("delete", "job", "other")
    mine = "-l=batch.kubernetes.io/job-name=patient"
    kubectl.wait_for("the run's pod", lambda: kubectl.get("pods", mine)["items"])
    launcher("cancel", "patient", "--root", bucket, "--now", check=True)


def _pod_without_a_node():
    security = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
    return {
        "spec": {
            "restartPolicy": "Never",
            "nodeSelector": {"gantry.test/absent": "true"},
            "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
            "containers": [{"name": "a", "image": "a:1", "securityContext": security}],
        }
    }


def test_a_limit_that_nobody_asked_for_is_told_before_and_after(
    submit, launcher, cluster, namespace, bucket, kubectl
):
    limit(kubectl, default={"cpu": "150m"})
    told = "container 'trainer' gets limits.cpu 0.15, which nobody asked for"
    found = json.loads(launcher("doctor", *on(cluster, namespace, bucket), "-o", "json").stdout)["checks"]
    [pod] = [each for each in found if each["check"] == "pod"]
    assert (pod["level"], told in pod["text"]) == ("warn", True)
    done = submit("slow", "--memory", "1400Mi", "--set", "steps=100000")
    assert done.returncode == 0, done.stderr
    assert f"note: a worker's pod is admitted otherwise than asked for: {told}" in done.stderr

    def explained():
        said = json.loads(launcher("explain", "slow", "--root", bucket, "-o", "json").stdout)
        return said if told in said["sentence"] else None

    said = kubectl.wait_for("the pod", explained)
    if said["state"] == "starting":
        assert (said["cause"], said["healthy"]) == ("throttled", False)
        assert "kubernetes.io/limit-ranger" in said["evidence"][1]["field"]
    launcher("cancel", "slow", "--root", bucket, "--now", check=True)


def test_doctor_does_not_call_well_what_its_pods_did_not_come_to(
    launcher, own_cluster, namespace, bucket, kubectl
):
    with socket.create_server((own_cluster.node_address, 0)) as silent:  # takes calls and never answers
        address = f"http://{own_cluster.node_address}:{silent.getsockname()[1]}"
        flags = [*on(own_cluster, namespace, bucket), "--env", f"STORAGE_EMULATOR_HOST={address}"]
        done = launcher("doctor", *flags, "--deep", "--timeout", "25", "-o", "json")
    found = {each["check"]: each for each in json.loads(done.stdout)["checks"]}
    assert (done.returncode, found["pods"]["level"], found["pod bucket"]["level"]) == (1, "fail", "fail")
    assert "the pods did not come to their end within 2" in found["pods"]["text"]
    assert "pod 0 came as far as 'network'" in found["pods"]["text"]
    assert "not known: pod 0 did not come to write, read" in found["pod bucket"]["text"]
    assert found["pod network"]["level"] == "ok"
    kubectl.wait_for("nothing is left", lambda: not kubectl("get", "jobs,pods", "-o", "name").stdout)


@pytest.mark.prints
def test_a_namespace_that_is_gone_and_the_command_that_brings_it_back(
    submit, launcher, cluster, namespace, bucket, kubectl, tmp_path
):
    away = ["--image", "127.0.0.1:9/gantry:1"]
    assert submit("lost", *away).returncode == 0
    kubectl("delete", "namespace", namespace)
    said = json.loads(launcher("explain", "lost", "--root", bucket, "-o", "json").stdout)
    assert said["cause"] == "namespace-gone", said
    assert said["sentence"] == f"namespace '{namespace}' is gone, and run 'lost' with it, nothing is saved"
    env = os.environ | {"XDG_CONFIG_HOME": str(tmp_path)} | ({"KUBECONFIG": cluster.kubeconfig or ""})
    done = subprocess.run(
        ["bash", "-c", said["fix"]], env=env, cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert kubectl.get("job", "lost-r2")["metadata"]["labels"]["app.kubernetes.io/instance"] == "lost"
    where = ["--context", cluster.context, "-n", namespace, "--root", bucket]
    tell(said["cause"], said["fix"], where, "the namespace and the next attempt's Job are there")


def test_the_bucket_of_the_data_is_told_from_the_root_s(submit, launcher, bucket, kubectl):
    source = "tfrecord:gs://no-such-bucket-of-anybody/faces/*.tfrecord"
    assert submit("blind", "--memory", "1400Mi", "--set", f"data.source={source}").returncode == 0
    assert launcher("wait", "blind", "--root", bucket, "--timeout", "3m").returncode == 1
    said = json.loads(launcher("explain", "blind", "--root", bucket, "-o", "json").stdout)
    assert said["cause"] == "bucket-missing"
    assert said["sentence"] == f"bucket 'no-such-bucket-of-anybody' of data.source '{source}' does not exist"
    assert "--set data.source=VALUE" in said["fix"]
