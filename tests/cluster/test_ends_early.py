"""Runs of a real cluster that end before their last step: a game that is over, and nothing better to come."""

import json

from tests.cluster.flags import on
from tests.cluster.waiting import wait_until
from tests.support.flags import set_flags
from tests.support.runs import TINY
from tests.support.teams import SMALL
from tests.trainer.test_rollback import STOP
from trainer.storage import open_store

STILL = (
    *SMALL,
    "steps=2000",
    "evaluation.every_steps=20",
    "evaluation.samples=300",
    "optimizer.generator.learning_rate=1e-12",
    "network.discriminator_units=[8]",
)


def test_a_game_that_is_over_fails_its_job_at_once(launcher, kubectl, namespace, bucket, cluster):
    flags = ["--workers", "2", *on(cluster, namespace, bucket)]
    launcher("submit", "--preset", "mlp", "--name", "over", *set_flags((*TINY, *STOP)), *flags, check=True)
    assert launcher("wait", "over", "--root", bucket, "--timeout", "5m").returncode == 1

    def ending():  # which follows the run's own word by a second
        [job] = kubectl.get("jobs")["items"]
        failed = [each for each in job["status"].get("conditions", ()) if each["type"] == "Failed"]
        return (job, *failed) if failed else None

    job, failed = wait_until(ending, "the Job's end")
    assert failed["reason"] == "PodFailurePolicy" and "exit code 3" in failed["message"]
    assert job["status"]["failed"] <= 2  # one pod of each index, and none in its place
    assert (
        json.loads(launcher("status", "over", "--root", bucket, "-o", "json").stdout)["state"] == "collapsed"
    )
    explained = launcher("explain", "over", "--root", bucket, "-o", "json")
    assert (explained.returncode, json.loads(explained.stdout)["cause"]) == (1, "collapsed")


def test_a_run_ends_when_nothing_better_comes(launcher, namespace, bucket, cluster):
    flags = on(cluster, namespace, bucket)
    more = ["--stop-when-no-better", "2", *set_flags(STILL)]
    launcher("submit", "--preset", "mlp", "--name", "still", *more, *flags, check=True)
    assert launcher("wait", "still", "--root", bucket, "--timeout", "5m").returncode == 0
    result = json.loads(open_store(f"{bucket}/gan/still").read("result.json"))
    assert result["steps"] == result["best"]["step"] + 40 < 2000 == result["early"]["steps"]
    found = json.loads(launcher("status", "still", "--root", bucket, "-o", "json").stdout)
    assert (found["state"], found["best"]["step"]) == ("finished", result["best"]["step"])
