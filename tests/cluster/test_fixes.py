"""What explain prints is run as it stands, one command of each kind; what it promises is there afterwards.

``make test-fixes`` runs these and all others (the other files of this name), and writes docs/fixes.md.
"""

import json

import pytest

from tests.cluster.explain_stage import submitters_role
from tests.cluster.fixing import Fixing, running
from tests.cluster.flags import on
from tests.support.flags import set_flags
from trainer.storage import open_store

pytestmark = pytest.mark.prints

SMALL = ["batch_size=12", "xla=off", "steps=6", "checkpoints.every_steps=6", "samples.every_steps=6"]
FEW = ["--preset", "mlp", "--threads", "1", "--memory", "1Gi", *set_flags([*SMALL, "metrics.every_steps=6"])]
ABSENT = ["--image", "localhost/gantry:none", "--image-pull-policy", "Never"]


class Desk:
    """The commands about runs of one namespace and bucket."""

    def __init__(self, launcher, cluster, namespace, bucket):
        self._launcher, self._flags, self._bucket = launcher, on(cluster, namespace, bucket), bucket
        self._cluster = cluster
        self.where = ["--context", cluster.context, "-n", namespace, "--root", bucket]

    def submit(self, name, *words):
        """Submit a small run; words that are given win."""
        self._launcher("submit", "--name", name, *FEW, *self._flags, *words, check=True)

    def submit_unjudged(self, kubectl, name, *words):
        """The same by somebody who may not have a pod judged, which is what finds out that none is let in."""
        kubectl.apply(*submitters_role())
        env = {"KUBECONFIG": self._cluster.user_kubeconfig("nobody")}
        self._launcher("submit", "--name", name, *FEW, *self._flags, *words, env=env, check=True)

    def __call__(self, verb, name, *words):
        return self._launcher(verb, name, *self.where, *words)

    def data(self, verb, name):
        return json.loads(self(verb, name, "-o", "json").stdout)

    def record(self, name):
        """What was recorded of a run's submission."""
        return json.loads(open_store(f"{self._bucket}/gan/{name}").read("cluster.json"))

    def other(self, *known):
        """The one run beside those that are known."""
        found = json.loads(self._launcher("list", *self.where, "-o", "json").stdout)
        (name,) = {each["run"] for each in found} - set(known)
        return name


@pytest.fixture
def desk(launcher, own_cluster, namespace, bucket):
    return Desk(launcher, own_cluster, namespace, bucket)


@pytest.fixture
def fixing(cluster, desk, tmp_path):
    return Fixing(cluster, desk.where, tmp_path)


def test_resume(fixing, desk):
    desk.submit("one", *ABSENT)
    desk("cancel", "one")
    commands = fixing("one", "cancelled")
    assert commands[0][:3] == ["launcher", "resume", "gan/one"]
    fixing.run(commands)
    now = desk.data("status", "one")
    assert (now["state"], now["attempt"]) == ("pending", 2)
    fixing.tell(commands, "the second attempt waits for its image")
    desk("cancel", "one")


def test_resume_in_the_place_of_what_cannot_begin(fixing, desk):
    desk.submit("one", *ABSENT)
    commands = fixing("one", "image-missing")
    assert commands[0][:3] == ["launcher", "resume", "gan/one"] and "--replace" in commands[0]
    fixing.run(commands)
    ended = desk.data("wait", "one")
    assert (ended["state"], ended["attempt"], ended["step"]) == ("finished", 2, 6)
    fixing.tell(commands, "the first attempt is stopped, the second is finished")


def test_rerun_with_a_change_loses_nothing(fixing, desk, kubectl):
    kubectl("create", "secret", "generic", "hub", "--from-literal=token=abc")
    more = ["--env-secret", "HUB_TOKEN=hub/token", "--env", "MY_TOKEN=none of a kind"]
    more += ["--env-plain", "MY_TOKEN", "--ttl", "600", "--deadline", "2", "--grace", "45"]
    desk.submit("late", *ABSENT, *more, "--profile", "spot")
    commands = fixing("late", "deadline")
    assert commands[0][:3] == ["launcher", "rerun", "gan/late"]
    fixing.run(commands)
    again = desk.other("late")
    old, new = desk.record("late")["spec"], desk.record(again)["spec"]
    assert new.pop("active_deadline_seconds") == 2 * old.pop("active_deadline_seconds") == 4
    assert (new.pop("name"), old.pop("name")) == (again, "late")
    assert new == old
    job = kubectl.get("job", desk.record(again)["job"])
    names = {each["name"]: each for each in job["spec"]["template"]["spec"]["containers"][0]["env"]}
    assert names["HUB_TOKEN"]["valueFrom"]["secretKeyRef"] == {"name": "hub", "key": "token"}
    assert job["spec"]["ttlSecondsAfterFinished"] == 600
    fixing.tell(commands, "a new run with twice the deadline, and every other field as it was")


def test_rerun_in_the_place_of_one_that_lives(fixing, desk, kubectl):
    hard = {"hard": {"requests.cpu": "300m"}}
    kubectl.apply({"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "team"}, "spec": hard})
    kubectl.wait_for("the quota", lambda: kubectl.get("quota", "team").get("status", {}).get("hard"))
    desk.submit_unjudged(kubectl, "one", "--cpu", "400m")
    commands = fixing("one", "quota")
    assert commands[0][:5] == ["launcher", "rerun", "gan/one", "--cpu", "0.3"] and "--replace" in commands[0]
    # What would be refused is refused before anything is stopped.
    refused = fixing.launcher(*commands[0][1:], "--env-secret", "HUB_TOKEN=absent/token")
    assert refused.returncode == 2
    assert "Secret 'absent'" in refused.stderr
    assert desk.data("status", "one")["state"] == "pending"
    fixing.run(commands)
    assert desk.data("status", "one")["state"] == "stopped"
    again = desk.other("one")
    assert desk.record(again)["spec"]["cpu"] == "0.3"
    assert running(kubectl, again)
    fixing.tell(commands, "the old run is stopped, the new one's pod runs")
    desk("cancel", again, "--now")


def test_kubectl(fixing, desk, kubectl):
    desk.submit("one", "--env-secret", "HUB_TOKEN=absent/token")
    commands = fixing("one", "secret-missing")
    assert commands[0][0] == "kubectl"
    fixing.run(commands)
    assert kubectl.get("secret", "absent")["data"]
    assert running(kubectl, "one")
    fixing.tell(commands, "the run's pod runs")
    desk("cancel", "one", "--now")


def test_apply_leaves_to_others_what_is_theirs(fixing, desk, kubectl):
    desk.submit_unjudged(kubectl, "one", *ABSENT, "--service-account", "absent")
    fixing("one", "service-account-missing")
    done = desk("explain", "one", "--apply", "--yes")
    assert (done.returncode, done.stderr) == (1, "not applied: it is a command of kubectl\n")
    kubectl("create", "serviceaccount", "absent")
    desk("cancel", "one")
    fixing("one", "cancelled")
    done = desk("explain", "one", "--apply", "--yes")
    assert done.returncode == 0, done.stderr
    assert desk.data("status", "one")["attempt"] == 2
    desk("cancel", "one")


def test_cron(fixing, cron, kubectl):
    cron.create("nightly", "0 0 29 2 *", "--suspended")
    commands = fixing("nightly", "schedule-suspended")
    assert commands[0][:3] == ["launcher", "cron", "resume"]
    fixing.run(commands)
    assert kubectl.get("cronjob", "nightly")["spec"]["suspend"] is False
    fixing.tell(commands, "the schedule fires")
