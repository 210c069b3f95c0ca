"""``launcher diff`` against live objects: nothing right after a submit, then what was edited or is given."""

import json

import pytest

from tests.cluster.flags import on


@pytest.fixture
def diff(launcher):
    """A difference as JSON; its exit code says whether there is one."""

    def call(*words):
        done = launcher("diff", *words, "-o", "json")
        assert done.returncode in (0, 1), done.stderr
        found = json.loads(done.stdout)
        assert done.returncode == bool(found)
        return {(each["object"], each["path"]): (each["old"], each["new"]) for each in found}

    return call


def test_a_run_from_its_submit_to_its_last_trace(launcher, diff, cluster, namespace, bucket, kubectl):
    # No node has a GPU, and so no pod runs: the Job and its children are all that is looked at.
    where = ["--root", bucket, "-n", namespace, "--context", cluster.context]
    flags = [*on(cluster, namespace, bucket), "--profile", "network-policy", "--profile", "spot"]
    launcher(
        "submit", "--preset", "mlp", "--name", "one", "--workers", "2", "--gpus", "1", *flags, check=True
    )
    assert diff("one", *where) == {}

    trainer = "spec.template.spec.containers[name=trainer]"
    assert diff("one", *where, "--memory", "9Gi", "--ttl", "60", "--env", "A=$(B)") == {
        ("Job/one", "spec.ttlSecondsAfterFinished"): (86400, 60),
        ("Job/one", f"{trainer}.env[name=A]"): (None, {"name": "A", "value": "$$(B)"}),
        ("Job/one", f"{trainer}.resources.limits.memory"): ("8Gi", "9Gi"),
        ("Job/one", f"{trainer}.resources.requests.memory"): ("8Gi", "9Gi"),
    }
    text = launcher("diff", "one", *where, "--memory", "9Gi")
    assert text.returncode == 1
    assert "-            memory: 8Gi\n+            memory: 9Gi\n" in text.stdout

    kubectl("patch", "service", "one", "--type=merge", '-p={"spec":{"publishNotReadyAddresses":false}}')
    kubectl("delete", "networkpolicy", "one")
    found = diff("one", *where)
    assert found.pop(("NetworkPolicy/one", ""))[0] is None
    assert found == {("Service/one", "spec.publishNotReadyAddresses"): (None, True)}

    kubectl("delete", "job", "one")  # its record in the run's folder is left
    kubectl.wait_for("the Job is gone", lambda: kubectl("get", "job", "one", check=False).returncode)
    gone = launcher("diff", "one", *where)
    assert (gone.returncode, gone.stdout) == (0, "")
    assert "manifests.yaml" in gone.stderr
    assert diff("one", *where, "--ttl", "60") == {("Job/one", "spec.ttlSecondsAfterFinished"): (86400, 60)}


def test_a_schedule_by_the_same_command(launcher, diff, cluster, namespace, bucket, kubectl):
    where = ["-n", namespace, "--context", cluster.context, "--root", bucket]
    words = ["--schedule", "0 3 1 1 *", "--preset", "mlp", *on(cluster, namespace, bucket)]
    launcher("cron", "create", "nightly", *words, check=True)
    assert diff("nightly", *where) == {}
    [(name, path)] = diff("nightly", *where, "--ttl", "60")
    assert (name, path) == ("CronJob/nightly", "spec.jobTemplate.spec.ttlSecondsAfterFinished")
    by_hand = '{"spec":{"jobTemplate":{"spec":{"backoffLimit":9}}}}'
    kubectl("patch", "cronjob", "nightly", "--type=merge", f"-p={by_hand}")
    assert diff("nightly", *where) == {("CronJob/nightly", "spec.jobTemplate.spec.backoffLimit"): (9, 3)}
    absent = launcher("diff", "absent", *where)
    assert (absent.returncode, absent.stderr.count("\n")) == (3, 1)
    assert "no run 'absent'" in absent.stderr
    assert "no schedule 'absent'" in absent.stderr
