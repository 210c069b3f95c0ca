"""Runs whose pods get a container from somebody else: one that never ends, none, and a native sidecar."""

import json
import shlex
import threading

import pytest

from launcher.backends.kubernetes.status.jobs import verdict
from tests.cluster.explain_stage import cluster_wide
from tests.cluster.fixing import tell
from tests.cluster.flags import on
from tests.cluster.mesh import mesh
from tests.cluster.pods import pod
from tests.support.flags import set_flags
from tests.support.teams import PLAIN

DECLINES = ("--pod-label", "sidecar.istio.io/inject=false")


@pytest.fixture
def meshed(own_cluster, kubectl, namespace):
    """The namespace, in which pods get a container; until that is so, none is made."""
    probe = pod(own_cluster, "probe")
    probe["metadata"]["labels"]["app.kubernetes.io/instance"] = "probe"

    def injects():
        done = kubectl("create", "--dry-run=server", "-o=json", "-f", "-", stdin=json.dumps(probe))
        return "istio-proxy" in done.stdout

    with cluster_wide(kubectl, *mesh(namespace, own_cluster)):
        kubectl.wait_for("the policy", injects)
        yield namespace


@pytest.fixture
def begin(launcher, own_cluster, meshed, bucket):
    """``begin("run", …)`` submits a run of one worker."""

    def submit(name, *more):
        flags = [*set_flags(PLAIN), *on(own_cluster, meshed, bucket), "--threads", "1", "--memory", "1400Mi"]
        launcher("submit", "--preset", "mlp", "--name", name, *flags, *more, check=True)

    return submit


@pytest.fixture
def asked(launcher, bucket):
    """``asked("status", run)``: what a command says in JSON."""

    def ask(verb, run, code=0):
        done = launcher(verb, run, "--root", bucket, "-o", "json")
        assert done.returncode == code, done.stdout + done.stderr
        return json.loads(done.stdout)

    return ask


def test_a_finished_run_is_finished_whatever_a_mesh_keeps_of_its_pods(
    launcher, kubectl, namespace, begin, asked, bucket
):
    begin("held")
    following = launcher.start("logs", "held", "--root", bucket, "-f")
    read = []
    reader = threading.Thread(target=lambda: read.extend(following.communicate(timeout=240)))
    reader.start()
    assert launcher("wait", "held", "--root", bucket, "--timeout", "4m").returncode == 0
    reader.join(60)
    assert following.returncode == 0, read
    assert "worker-0 | finished 60 steps" in read[0]

    now = asked("status", "held")
    assert (now["state"], now["step"]) == ("finished", 60)
    assert "container 'istio-proxy', not the trainer's, still runs in its pod" in now["explanation"]
    assert [(each["exit_code"], each["held_by"]) for each in now["workers"]] == [(0, ["istio-proxy"])]
    job = kubectl.get("job", "held")  # which knows nothing of all this
    assert (verdict(job), job["status"]["active"]) == (None, 1)
    listed = json.loads(launcher("list", "--root", bucket, "-n", namespace, "-o", "json").stdout)
    assert [(run["run"], run["state"]) for run in listed] == [("held", "finished")]
    found = asked("explain", "held", code=1)
    assert found["cause"] == "foreign-container"
    assert "sidecar.istio.io/inject=false keeps it out" in found["sentence"]

    # More steps are no business of the pods that are left.
    again = launcher("resume", "held", "--root", bucket)
    assert again.returncode == 2, again.stdout + again.stderr
    assert "is finished at step 60: to train it further" in again.stderr
    launcher("resume", "held", "--root", bucket, "--set", "steps=80", check=True)
    assert launcher("wait", "held", "--root", bucket, "--timeout", "4m").returncode == 0
    now = asked("status", "held")
    assert (now["state"], now["step"], now["attempt"]) == ("finished", 80, 2)

    cancelled = asked("cancel", "held")
    assert cancelled["state"] == "finished"
    assert kubectl.get("job", "held-r2")["spec"]["suspend"]
    kubectl.wait_for("the pods to go", lambda: not kubectl.get("pods")["items"], 240)
    assert asked("status", "held")["state"] == "finished"
    assert asked("explain", "held")["healthy"]


@pytest.mark.prints
def test_the_way_out_that_is_printed_ends_the_pods_and_no_more(
    launcher, kubectl, namespace, begin, asked, bucket
):
    begin("left")
    assert launcher("wait", "left", "--root", bucket, "--timeout", "4m").returncode == 0
    found = asked("explain", "left", code=1)
    fix = shlex.split(found["fix"])
    assert fix[:3] == ["launcher", "delete", "gan/left"]
    launcher(*fix[1:], check=True)
    assert kubectl("get", "jobs,pods", "-o=name").stdout == ""
    now = asked("status", "left")
    assert (now["state"], now["step"], now["explanation"]) == ("finished", 60, "")
    where = ["--context", "", "-n", namespace, "--root", bucket]
    tell(found["cause"], found["fix"], where, "Job and pods are gone, the run is finished as it was")
    assert asked("explain", "left")["healthy"]


def test_injection_is_declined_and_a_native_sidecar_needs_nothing(launcher, kubectl, begin, asked, bucket):
    begin("declined", *DECLINES)
    begin("native")
    for run in ("declined", "native"):
        assert launcher("wait", run, "--root", bucket, "--timeout", "4m").returncode == 0
        # A native sidecar that does not hear a SIGTERM is killed after the pod's grace, 60 s.
        kubectl("wait", "--for=condition=complete", f"job/{run}", "--timeout=240s", timeout=260)
        now = asked("status", run)
        assert (now["state"], now["explanation"], now["workers"][0]["held_by"]) == ("finished", "", [])
        assert asked("explain", run)["healthy"]
    pods = {
        pod["metadata"]["labels"]["app.kubernetes.io/instance"]: pod for pod in kubectl.get("pods")["items"]
    }
    assert [each["name"] for each in pods["declined"]["spec"]["containers"]] == ["trainer"]
    assert [each["name"] for each in pods["native"]["spec"]["initContainers"]] == ["istio-proxy"]
