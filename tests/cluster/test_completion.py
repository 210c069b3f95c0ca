"""Completion asks the cluster: schedules by our label alone, runs by their Jobs where no root is named."""

from tests.cluster.waiting import wait_until

OURS = {"app.kubernetes.io/managed-by": "gantry", "app.kubernetes.io/name": "gantry"}
POD = {
    "template": {
        "spec": {
            "restartPolicy": "Never",
            "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
            "containers": [
                {
                    "name": "trainer",
                    "image": "registry.invalid/none:1",
                    "securityContext": {
                        "allowPrivilegeEscalation": False,
                        "capabilities": {"drop": ["ALL"]},
                    },
                }
            ],
        }
    }
}


def schedule(name, labels):
    """A schedule that never fires."""
    return {
        "apiVersion": "batch/v1",
        "kind": "CronJob",
        "metadata": {"name": name, "labels": labels},
        "spec": {"schedule": "@yearly", "suspend": True, "jobTemplate": {"spec": POD}},
    }


def job(name, run, experiment):
    """A Job of a run that never begins."""
    labels = OURS | {"app.kubernetes.io/instance": run, "app.kubernetes.io/part-of": experiment}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name, "labels": labels, "annotations": {"gantry/root": "gs://bucket/gan"}},
        "spec": {"suspend": True, **POD},
    }


def test_names_from_the_cluster(launcher, kubectl, namespace):
    kubectl.apply(
        schedule("weekly", OURS),
        schedule("nightly", OURS),
        schedule("somebody-elses", {"app.kubernetes.io/managed-by": "helm"}),
        job("one", "one", "gan"),
        job("one-r2", "one", "gan"),
        job("two", "two", "digits"),
    )

    def offered(command):
        line = f"launcher {command.format(place=f'-n {namespace}')}"
        environment = {"_LAUNCHER_COMPLETE": "complete_bash", "COMP_WORDS": line}
        done = launcher(env=environment | {"COMP_CWORD": str(line.count(" "))})
        assert done.stderr == ""
        return done.stdout.split()

    for command, names in (
        ("cron show {place} ", ["nightly", "weekly"]),
        ("status {place} ", ["one", "two"]),
        ("logs {place} digits/", ["digits/two"]),
        ("explain {place} ", ["nightly", "one", "two", "weekly"]),
    ):
        # A cluster that is busy with others may take longer than the patience of a shell.
        wait_until(lambda: offered(command) == names, f"{names} for {command}", 180)  # noqa: B023
