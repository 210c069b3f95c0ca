"""What a cluster cannot do, through the command line: one line, an exit code, and nothing left behind."""

import json
from pathlib import Path

import pytest

from tests.cluster.flags import on
from tests.cluster.waiting import wait_until
from trainer.storage import open_store

ROLE = Path(__file__).parents[2] / "docs/launcher-role.yaml"


@pytest.fixture
def submit(launcher, namespace, bucket, cluster):
    """Submit a run of one small worker; later words override earlier ones."""

    def call(*words, name="no"):
        return launcher("submit", "--preset", "mlp", "--name", name, *on(cluster, namespace, bucket), *words)

    return call


def refused(done, *words):
    """The one line of a refusal."""
    assert done.returncode == 2, done.stdout + done.stderr
    assert done.stderr.count("\n") == 1, done.stderr
    assert done.stderr.startswith("error: ")
    for word in words:
        assert word in done.stderr
    return done.stderr


def test_nothing_is_left_of_a_refused_submit(submit, kubectl, namespace, bucket):
    refused(submit("-n", "absent"), "absent")
    refused(submit("--set", "batch_size=15", "--workers", "2"), "batch_size is 15")
    refused(submit("--image", "gantry:latest"), "latest")
    refused(submit("--profile", "gpuu"), "gpuu", "gpu")
    refused(submit("--context", "absent"), "absent")
    refused(submit("--root", "runs"), "runs", "gs://")
    refused(submit(name="x" * 60), "name")
    refused(submit("--service-account", "-"), "service_account")
    assert kubectl("get", "jobs,services,pods", "-o", "name").stdout == ""
    assert list(open_store(bucket).list()) == []


def test_a_cluster_that_cannot_be_reached(launcher, bucket, tmp_path):
    kubeconfig = tmp_path / "config"
    kubeconfig.write_text(
        json.dumps(
            {
                "apiVersion": "v1",
                "kind": "Config",
                "current-context": "gone",
                "contexts": [{"name": "gone", "context": {"cluster": "gone", "user": "me"}}],
                "clusters": [{"name": "gone", "cluster": {"server": "https://127.0.0.1:9"}}],
                "users": [{"name": "me", "user": {"token": "t"}}],
            }
        )
    )
    done = launcher(
        "submit", "--preset", "mlp", "--image", "gantry:1", "--root", bucket,
        env={"KUBECONFIG": str(kubeconfig)},
    )  # fmt: skip
    refused(done, "gone", "https://127.0.0.1:9")


def test_the_same_name_twice(submit, launcher, bucket):
    assert submit("--set", "steps=100000", name="twice").returncode == 0
    refused(submit(name="twice"), "twice", "launcher resume", "--name")
    assert launcher("cancel", "twice", "--root", bucket, "--now").returncode == 0


def test_an_image_that_does_not_exist(submit, launcher, bucket):
    assert submit("--image", "gantry:absent", name="lost").returncode == 0

    def explanation():
        found = json.loads(launcher("status", "lost", "--root", bucket, "-o", "json").stdout)
        return found["explanation"] if found["state"] == "pending" else ""

    wait_until(lambda: "gantry:absent" in explanation(), "the reason why it is pending")
    assert "image" in explanation()


def test_a_mistake_in_the_data_fails_at_once(submit, launcher, bucket, kubectl, namespace):
    assert submit("--set", "data.source=idx:/absent", name="wrong").returncode == 0
    waited = launcher("wait", "wrong", "--root", bucket, "--timeout", "3m")
    assert waited.returncode == 1, waited.stderr
    assert "/absent" in waited.stdout
    pods = kubectl("get", "pods", "-o", "name").stdout.split()
    assert len(pods) == 1  # exit code 2 is not tried again


def test_only_the_documented_permissions(launcher, kubectl, namespace, bucket, own_cluster):
    limited = {"KUBECONFIG": own_cluster.user_kubeconfig("limited")}
    flags = ["--preset", "mlp", "--name", "bound", *on(own_cluster, namespace, bucket)]
    flags += ["--set", "steps=100000", "--profile", "network-policy"]
    before = launcher("submit", *flags, env=limited)
    refused(before, "create", "jobs", "docs/launcher-role.yaml")
    kubectl("apply", "-f", str(ROLE))
    kubectl("create", "rolebinding", "limited", "--role=gantry-launcher", "--user=limited")
    where = ["--root", bucket]
    for words in (
        ("submit", *flags),
        ("status", "bound", *where),
        ("logs", "bound", *where),
        ("list", *where, "-n", namespace),
        ("cancel", "bound", *where, "--now"),
        ("resume", "bound", *where),
        ("cancel", "bound", *where, "--now"),
        ("delete", "bound", *where, "--artifacts", "--yes"),
    ):
        done = launcher(*words, env=limited)
        assert done.returncode == 0, (words, done.stdout, done.stderr)
    assert list(open_store(bucket).list()) == []
