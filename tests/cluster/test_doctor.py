"""``launcher doctor`` and ``--estimate`` on a real cluster: all well, all that may be amiss, nothing left."""

import json
import signal

import pytest

from tests.cluster.flags import on
from trainer.storage import open_store

ABSENT = "127.0.0.1:9/gantry:absent"  # refused at once, where a name would be looked up first
OURS = "-l=app.kubernetes.io/managed-by=gantry"


@pytest.fixture
def doctor(launcher, cluster, namespace, bucket):
    """What the doctor says of a run of one small worker, by the name of the check."""

    def call(*words, env=None, flags=None):
        done = launcher("doctor", *(flags or on(cluster, namespace, bucket)), *words, "-o", "json", env=env)
        assert done.stdout, done.stderr
        report = json.loads(done.stdout)
        assert done.returncode == bool(report["fail"])
        levels = [each["level"] for each in report["checks"]]
        assert {level: levels.count(level) for level in ("ok", "warn", "fail")} == {
            level: report[level] for level in ("ok", "warn", "fail")
        }
        found = {}
        for each in report["checks"]:
            found.setdefault(each["check"], []).append(each)
            assert each["level"] != "fail" or each["text"]
        return found

    return call


def levels(found):
    return {check: {each["level"] for each in results} for check, results in found.items()}


def test_all_is_well_also_from_pods(doctor, cluster, namespace, bucket, kubectl):
    # Where the bucket is, pods learn from a Secret; without it they would look for it at Google.
    flags = ["--context", cluster.context, "-n", namespace, "--root", bucket, "--image", cluster.image]
    if cluster.storage_url:
        kubectl("create", "secret", "generic", "storage", f"--from-literal=host={cluster.storage_url}")
        flags += ["--env-secret", "STORAGE_EMULATOR_HOST=storage/host"]
    found = doctor("--profile", "network-policy", "--deep", flags=flags)
    bad = {check: results for check, results in found.items() if levels(found)[check] != {"ok"}}
    assert bad.keys() <= {"nodes", "tensorflow"}, bad  # other tests may have taken the node's room
    assert {
        "cluster",
        "cluster clock",
        "jobs",
        "kueue",
        "permissions",
        "namespace",
        "pod",
        "quota",
    } <= found.keys()
    assert {"gpus", "nodes", "bucket", "bucket clock", "python", "packages", "disk"} <= found.keys()
    assert {"image", "pod dns", "pod network", "pod bucket", "pod bucket clock"} <= found.keys()
    assert "restricted" in found["namespace"][0]["text"]
    for check in ("bucket", "pod bucket"):
        assert "write, read, list, precondition, delete" in found[check][0]["text"]
    nothing_is_left(kubectl, bucket)


def nothing_is_left(kubectl, bucket):
    assert kubectl("get", "jobs", "-o", "name").stdout == ""
    kubectl.wait_for(
        "the pods and their Service are gone",
        lambda: not kubectl("get", "pods,services", OURS, "-o", "name").stdout,
    )
    assert list(open_store(bucket).list()) == []


def test_what_is_amiss_is_named_with_its_fix(doctor, launcher, cluster, namespace, bucket, kubectl):
    kubectl("create", "quota", "small", "--hard=requests.memory=1Gi,limits.cpu=4")
    limits = {"type": "Container", "max": {"memory": "256Mi"}}
    kubectl.apply(
        {"apiVersion": "v1", "kind": "LimitRange", "metadata": {"name": "low"}, "spec": {"limits": [limits]}}
    )
    asked = ["--gpus", "1", "--memory", "900Gi", "--queue", "team"]
    found = doctor(*asked, "--root", "gs://no-such-bucket-of-anybody/x")
    assert {check for check, each in levels(found).items() if "fail" in each} >= {
        "bucket write", "kueue", "pod", "quota", "gpus", "nodes",
    }  # fmt: skip
    assert "256Mi" in found["pod"][0]["text"]
    assert len(found["quota"]) == 2
    assert "nvidia.com/gpu" in found["nodes"][0]["text"] or "memory" in found["nodes"][0]["text"]
    estimate = json.loads(
        launcher(
            "submit", "--preset", "mlp", *on(cluster, namespace, bucket), *asked, "--estimate", "-o", "json",
            check=True,
        ).stdout
    )  # fmt: skip
    assert [(each["where"], each["fits"]) for each in estimate["fits"]] == [
        ("quota", False),
        ("nodes", False),
    ]
    assert kubectl("get", "jobs,pods,services", "-o", "name").stdout == ""
    assert list(open_store(bucket).list()) == []


def test_what_may_not_be_asked_is_a_warning(doctor, kubectl, own_cluster, namespace):
    nobody = {"KUBECONFIG": own_cluster.user_kubeconfig("nobody")}
    found = doctor(env=nobody)
    assert levels(found)["permissions"] == {"warn", "fail"}
    assert f"kubectl apply -n {namespace} -f docs/launcher-role.yaml" in found["permissions"][0]["fix"]
    for check in ("namespace", "quota", "nodes", "gpus", "pod"):
        assert levels(found)[check] == {"warn"}, found[check]
    assert "launcher-cluster-role.yaml" in found["nodes"][0]["fix"]
    assert levels(doctor("-n", "no-such-namespace"))["namespace"] == {"fail"}


def test_an_image_that_cannot_be_pulled_and_ctrl_c(doctor, launcher, cluster, namespace, bucket, kubectl):
    began = launcher.start("doctor", *on(cluster, namespace, bucket), "--deep")
    kubectl.wait_for("its Job", lambda: kubectl("get", "jobs", OURS, "-o", "name").stdout)
    began.send_signal(signal.SIGINT)
    _, told = began.communicate(timeout=240)
    assert (began.returncode, "Traceback" in told) == (130, False), told
    nothing_is_left(kubectl, bucket)
    found = doctor("--image", ABSENT, "--deep")
    assert levels(found)["image"] == {"fail"}
    assert ABSENT in found["image"][0]["text"]
    nothing_is_left(kubectl, bucket)
