"""Jobs that do not go on for want of a word: never let go, suspended by somebody, held to too few pods."""

import json
import os
import shlex
import subprocess
import sys

import pytest

from tests.cluster.fixing import tell
from tests.cluster.waiting import wait_until

# None of these runs trains: nobody answers at the registry.
AWAY = ("--image", "127.0.0.1:9/gantry:1", "--preset", "mlp", "--cpu", "10m", "--memory", "128Mi")
# The launcher dies in the instant in which it would let the Job go.
DIES = """
import os, sys
from launcher.backends.kubernetes.client.api import Api
Api.patch = lambda *given, **more: os._exit(9)
from launcher.cli import main
main(sys.argv[1:])
"""


pytestmark = pytest.mark.prints


@pytest.fixture
def place(cluster, namespace, bucket):
    return ["--context", cluster.context, "-n", namespace, "--root", bucket]


@pytest.fixture
def asked(launcher, place):
    """``asked("status", run)``: what a command says in JSON."""

    def ask(verb, run, code=0):
        done = launcher(verb, run, *place, "-o", "json")
        assert done.returncode == code, done.stdout + done.stderr
        return json.loads(done.stdout)

    return ask


def test_a_submission_that_was_cut_off_is_told_and_the_way_on_goes_on(
    launcher, kubectl, place, asked, cluster
):
    words = ["submit", "--name", "half", *AWAY, *place]
    environment = os.environ | ({"KUBECONFIG": cluster.kubeconfig} if cluster.kubeconfig else {})
    done = subprocess.run([sys.executable, "-c", DIES, *words], env=environment, capture_output=True)
    assert done.returncode == 9, done.stderr
    launcher("submit", "--name", "byhand", *AWAY, *place, check=True)
    kubectl.wait_for("a pod", lambda: kubectl.get("pods")["items"])
    kubectl("patch", "job", "byhand", "--type=merge", "-p", '{"spec":{"suspend":true}}')

    wait_until(lambda: asked("status", "half")["state"] != "starting", "the time of a submission to pass")
    now = asked("status", "half")
    assert now["state"] == "interrupted"
    assert "was cut off" in now["explanation"]
    assert launcher("wait", "half", *place).returncode == 1
    found = asked("explain", "half", code=1)
    assert found["cause"] == "half-submitted"

    wait_until(lambda: asked("status", "byhand")["state"] == "stopped", "the other's pod to go")
    other = asked("explain", "byhand", code=1)
    assert (other["cause"], "with kubectl-patch" in other["sentence"]) == ("suspended", True)

    for explained, job in ((found, "half-r2"), (other, "byhand-r2")):
        fix = shlex.split(explained["fix"])
        assert fix[:2] == ["launcher", "resume"]
        launcher(*fix[1:], check=True)
        assert not kubectl.get("job", job)["spec"]["suspend"]
        assert kubectl("get", "service", job, "-o=name").stdout
        tell(explained["cause"], explained["fix"], place, "the next attempt's Job is let go")
    kubectl.wait_for("the old Jobs to go", lambda: len(kubectl.get("jobs")["items"]) == 2)


def test_a_job_that_may_have_too_few_pods_is_told_from_a_restart(launcher, kubectl, place, asked):
    # No node has 50 processors: its pods stay where they are, and nothing else is amiss before they start.
    nowhere = ("--cpu", "50")
    launcher("submit", "--name", "few", "--workers", "2", *AWAY, *nowhere, *place, check=True)
    kubectl("patch", "job", "few", "--type=merge", "-p", '{"spec":{"parallelism":1}}')
    now = asked("status", "few")
    told = "its Job may have 1 pod at a time, and its 2 workers need one each (spec.parallelism is 1)"
    assert (now["state"], now["explanation"]) == ("pending", told)
    listed = json.loads(launcher("list", *place, "-o", "json").stdout)
    assert [(run["state"], run["explanation"]) for run in listed] == [("pending", told)]
    found = asked("explain", "few", code=1)
    assert (found["cause"], "by kubectl-patch" in found["sentence"]) == ("too-few-pods", True)
    fix = shlex.split(found["fix"])
    assert fix[0] == "kubectl"
    kubectl(*fix[1:])
    assert kubectl.get("job", "few")["spec"]["parallelism"] == 2
    tell(found["cause"], found["fix"], place, "the Job may have a pod for each worker")
    assert "spec.parallelism" not in asked("status", "few")["explanation"]
