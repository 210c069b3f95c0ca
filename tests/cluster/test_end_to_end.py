"""A run on a real cluster as a user types it, and the same run on this machine: the same bits."""

import json

from tests.cluster.flags import on
from tests.cluster.waiting import wait_until
from tests.support.flags import set_flags
from tests.support.teams import PLAIN, outcome
from trainer.storage import open_store

# Threads are given, as the number decides in which order sums are taken: the bits depend on it.
SAME = ["--preset", "mlp", "--workers", "2", "--threads", "1", "--name", "same"]
SETS = set_flags(PLAIN)


def test_a_run_on_the_cluster_has_the_bits_of_a_local_one(launcher, namespace, bucket, cluster, tmp_path):
    submitted = launcher("submit", *SAME, *SETS, *on(cluster, namespace, bucket))
    assert submitted.returncode == 0, submitted.stderr
    assert submitted.stdout == "same\n"

    following = launcher.start("logs", "same", "--root", bucket, "-f")
    steps = set()

    def status():
        found = json.loads(launcher("status", "same", "--root", bucket, "-o", "json").stdout)
        steps.add(found["step"])
        return found

    wait_until(lambda: status()["state"] == "running", "workers that train")
    waited = launcher("wait", "same", "--root", bucket, "--timeout", "5m")
    assert waited.returncode == 0, waited.stdout + waited.stderr
    out, err = following.communicate(timeout=240)
    assert following.returncode == 0, err
    assert "worker-0 | pod same-0-" in out
    assert "worker-1 | pod same-1-" in out
    assert out.count("worker-0 | finished 60 steps") == 1
    found = status()
    assert (found["state"], found["step"], found["checkpoint_step"]) == ("finished", 60, 60)
    assert [worker["exit_code"] for worker in found["workers"]] == [0, 0]

    local = launcher("submit", *SAME, *SETS, "--root", str(tmp_path / "runs"), "--backend", "local")
    assert local.returncode == 0, local.stderr
    to = tmp_path / "out"
    brought = launcher("artifacts", "download", "same", "--root", bucket, "--to", str(to))
    assert brought.returncode == 0, brought.stderr
    assert outcome(open_store(str(to)), 60) == outcome(open_store(str(tmp_path / "runs/gan/same")), 60)
    assert (to / "export/generator.keras").stat().st_size > 1_000_000

    # After the cluster has forgotten the run, its folder still knows everything.
    deleted = launcher("delete", "same", "--root", bucket)
    assert deleted.returncode == 0, deleted.stderr
    assert status()["state"] == "finished"
    stored = launcher("logs", "same", "--root", bucket)
    assert "finished 60 steps" in stored.stdout
    assert sorted(stored.stdout.splitlines()) == sorted(out.splitlines())
    (tmp_path / "damaged").write_text("contexts: [")
    for words in (["wait"], ["logs", "-f"]):  # which need no cluster to see that it has finished
        done = launcher(*words, "same", "--root", bucket, env={"KUBECONFIG": str(tmp_path / "damaged")})
        assert done.returncode == 0, done.stderr
        assert "not YAML" in done.stdout + done.stderr
    listed = json.loads(launcher("list", "--root", bucket, "-o", "json").stdout)
    assert [(run["run"], run["state"], run["backend"]) for run in listed] == [
        ("same", "finished", "kubernetes")
    ]


def test_cancel_saves_and_resume_goes_on_with_another_number_of_workers(
    launcher, kubectl, namespace, bucket, cluster
):
    begin = [
        "--preset",
        "mlp",
        "--workers",
        "2",
        "--threads",
        "1",
        "--name",
        "long",
        "--set",
        "batch_size=12",
    ]
    begin += ["--set", "steps=100000", "--set", "checkpoints.every_steps=200", "--set", "xla=off"]
    submitted = launcher("submit", *begin, *on(cluster, namespace, bucket))
    assert submitted.returncode == 0, submitted.stderr

    def status():
        return json.loads(launcher("status", "long", "--root", bucket, "-o", "json").stdout)

    wait_until(lambda: (status()["step"] or 0) > 0, "a first step")
    # While the cluster has its Job, a run is found with no root named.
    unnamed = launcher("status", "long", "-n", namespace, "-o", "json")
    assert json.loads(unnamed.stdout)["root"] == bucket, unnamed.stderr
    listed = json.loads(launcher("list", "-n", namespace, "-o", "json").stdout)
    assert [(run["run"], run["state"]) for run in listed] == [("long", "running")]
    pods = [pod["metadata"]["name"] for pod in kubectl.get("pods")["items"]]
    for pod in pods:  # it is to be there still when it has ended
        kubectl("patch", "pod", pod, '-p={"metadata":{"finalizers":["gantry.test/keep"]}}')
    cancelled = launcher("cancel", "long", "--root", bucket, "-o", "json")
    assert cancelled.returncode == 0, cancelled.stderr
    stopped = json.loads(cancelled.stdout)
    assert stopped["state"] == "stopped"
    assert stopped["checkpoint_step"] == stopped["step"] > 0
    assert launcher("wait", "long", "--root", bucket).returncode == 1
    # The Job does not count the pods of its suspension, so that only they themselves tell.
    assert [kubectl.finished(pod) for pod in pods] == [0, 0]
    for pod in pods:
        kubectl("patch", "pod", pod, "--type=merge", '-p={"metadata":{"finalizers":null}}')

    more = stopped["step"] + 100_000  # it cannot end by itself before it is looked at
    resumed = launcher("resume", "long", "--root", bucket, "--workers", "1", "--set", f"steps={more}")
    assert resumed.returncode == 0, resumed.stderr
    wait_until(lambda: status()["state"] == "running", "the second attempt")
    wait_until(lambda: status()["step"] > stopped["step"], "steps of the second attempt")
    again = status()
    assert (again["attempt"], again["job"], len(again["workers"])) == (2, "long-r2", 1)
    assert launcher("cancel", "long", "--root", bucket).returncode == 0
    gone = launcher("delete", "long", "--root", bucket, "--artifacts", "--yes")
    assert gone.returncode == 0, gone.stderr
    assert launcher("status", "long", "--root", bucket).returncode == 3
