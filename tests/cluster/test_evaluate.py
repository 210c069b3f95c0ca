"""A run of a real cluster judged there, by a Job whose pods are killed while it works."""

import json

from tests.cluster import disturbances
from tests.cluster.flags import on
from tests.cluster.waiting import wait_until
from tests.support.flags import set_flags
from tests.support.teams import PLAIN
from trainer.run import judged
from trainer.storage import open_store

SETS = set_flags(PLAIN)
ALL = ["--step", "all", "--samples", "4000", "--draws", "1"]


def test_an_evaluation_whose_pods_are_killed_ends_with_its_figures(
    launcher, kubectl, namespace, bucket, cluster
):
    flags = on(cluster, namespace, bucket)
    launcher("submit", "--preset", "mlp", "--name", "judged", *SETS, *flags, check=True)
    assert launcher("wait", "judged", "--root", bucket, "--timeout", "5m").returncode == 0
    store = open_store(f"{bucket}/gan/judged")
    steps = judged.complete(store)
    assert len(steps) > 2

    following = launcher.start("evaluate", "judged", "--root", bucket, *ALL, "-o", "json")
    job, first = _pod(kubectl, set())
    again = launcher("evaluate", "judged", "--root", bucket, *ALL, "--detach", check=True)
    assert again.stdout.strip() == job  # the same is not judged twice at once
    listed = json.loads(launcher("list", "--root", bucket, "-n", namespace, "-o", "json").stdout)
    assert [(run["run"], run["state"], run["job"]) for run in listed] == [("judged", "finished", "judged")]
    wait_until(lambda: list(store.list("evaluations/")), "the first figures")
    disturbances.delete(kubectl, first, grace=True)
    _, second = _pod(kubectl, {first})
    disturbances.delete(kubectl, second, grace=False)
    out, err = following.communicate(timeout=280)
    assert following.returncode == 0, err
    found = json.loads(out)
    assert [each["step"] for each in found] == steps
    assert all(each["metrics"]["fd"]["samples"] == 4000 and each["job"] == job for each in found)
    assert "was judged in this way" in err  # by the pod before
    objects = kubectl.get("jobs,services,pods")["items"]
    ours = [each for each in objects if "gantry/evaluation" in (each["metadata"].get("labels") or {})]
    assert {each["kind"] for each in ours} == {"Job", "Pod"}

    detached = launcher("evaluate", "judged", "--root", bucket, "--samples", "4000", "--detach", check=True)
    cancelled = launcher("cancel", "judged", "--root", bucket)
    assert cancelled.returncode == 0, cancelled.stderr
    assert f"its evaluation, Job '{detached.stdout.strip()}', was ended too" in cancelled.stderr
    deleted = launcher("delete", "judged", "--root", bucket, check=True)
    assert f"Job/{job}" in deleted.stdout
    assert not kubectl.get("jobs")["items"]


def test_what_its_pod_refuses_is_its_line_and_exit_code_2(launcher, namespace, bucket, cluster):
    flags = on(cluster, namespace, bucket)
    launcher("submit", "--preset", "mlp", "--name", "refused", *SETS, *flags, check=True)
    assert launcher("wait", "refused", "--root", bucket, "--timeout", "5m").returncode == 0
    done = launcher("evaluate", "refused", "--root", bucket, "--held-out", "npz:/absent.npz")
    assert (done.returncode, done.stdout) == (2, ""), done.stderr
    last = done.stderr.splitlines()[-1]
    assert last.startswith("error: evaluation 'refused-eval-") and "--held-out npz:/absent.npz" in last


def _pod(kubectl, before):
    """The Job and the name of the evaluation's pod that runs and is none of those before."""

    def look():
        pods = kubectl("get", "pods", "-l", "gantry/evaluation", "-o", "json").stdout
        for each in json.loads(pods)["items"]:
            name, labels = each["metadata"]["name"], each["metadata"]["labels"]
            if name not in before and each["status"]["phase"] == "Running":
                return labels["batch.kubernetes.io/job-name"], name
        return None

    return wait_until(look, "a pod that judges")
