"""What others do to a schedule with kubectl, and what its controller does: Jobs by hand, edits, Replace."""

import json
import time
from datetime import UTC, datetime, timedelta

import pytest

from tests.cluster.fixing import running
from tests.cluster.schedules import NEVER
from tests.cluster.test_fixes import desk, fixing
from tests.cluster.waiting import wait_until
from tests.support.flags import set_flags
from trainer.run import index
from trainer.storage import open_store

__all__ = ["desk", "fixing"]
LONG = set_flags(["steps=1000000", "checkpoints.every_steps=200", "samples.every_steps=1000000"])
FROM = "--from=cronjob/every"


@pytest.fixture
def data(launcher, cron):
    """``data("status", run)``: what a command about runs says, as JSON, whatever its exit code."""
    return lambda *words: json.loads(launcher(*words, *cron.where, "-o", "json").stdout)


def _listed(data, bucket):
    return [run["run"] for run in data("list", "--root", bucket)]


def test_a_job_that_somebody_makes_of_a_schedule_is_a_run_for_every_verb(
    cron, launcher, kubectl, data, bucket
):
    cron.create("every", NEVER, "--workers", "1")
    kubectl("create", "job", "mytest", FROM)
    [run] = _listed(data, bucket)
    assert run.startswith("every-mytest-")
    # Whoever knows the Job's name alone is told the run's.
    missing = launcher("status", "mytest", "--root", bucket, *cron.where)
    assert (missing.returncode, f"Job 'mytest' is run 'gan/{run}'" in missing.stderr) == (3, True)

    done = launcher("wait", run, *cron.where, "--timeout", "5m")
    assert done.returncode == 0, done.stdout + done.stderr
    status = data("status", run)
    assert (status["state"], status["step"], status["job"]) == ("finished", 4, "mytest")
    begun = json.loads(open_store(f"{bucket}/gan/{run}").read("run.json"))
    assert (begun["schedule"], begun["scheduled"]) == ("every", None)
    record = json.loads(open_store(f"{bucket}/gan/{run}").read("cluster.json"))
    assert (record["job"], record["spec"]["name"]) == ("mytest", run)
    entry = index.read(open_store(f"{bucket}/gan"))[run]
    assert (entry.state, entry.schedule, entry.scheduled) == ("finished", "every", None)
    [fired] = cron.data("history", "every")
    assert (fired["run"], fired["state"], fired["scheduled"], fired["job"]) == (
        run,
        "finished",
        None,
        "mytest",
    )
    assert "pod mytest-0-" in launcher("logs", run, *cron.where, check=True).stdout
    assert "pod mytest-0-" in cron("logs", "every").stdout
    assert data("explain", run)["healthy"] is True

    # A second Job of that name begins from the weights of the first and is another run.
    removed = launcher("delete", run, *cron.where, check=True).stdout
    assert "Job/mytest" in removed
    assert kubectl("get", "jobs", "-o=name").stdout == ""
    warm = ["--warm-start", "latest"]
    cron("update", "every", *warm, "--yes")
    kubectl("create", "job", "mytest", FROM)
    [second] = set(_listed(data, bucket)) - {run}
    assert second.startswith("every-mytest-")
    assert launcher("wait", second, *cron.where, "--timeout", "5m").returncode == 0
    known = {each["run"]: each["warm_start"] for each in cron.data("history", "every")}
    assert list(known) == [second, run]
    assert (known[second]["run"], known[second]["step"]) == (run, 4)


def test_a_job_by_hand_that_has_not_begun_is_cancelled_and_goes_on_as_a_run(
    cron, launcher, kubectl, data, bucket
):
    cron.create("every", NEVER, "--image", "gantry:absent")
    # A date is a name as well as any, and so is what begins like a Job of `launcher cron trigger`.
    for job in ("every-20261130", "every-tsunami"):
        kubectl("create", "job", job, FROM)
    runs = _listed(data, bucket)
    assert sorted(run[: run.rindex("-")] for run in runs) == ["every-20261130", "every-tsunami"]
    run = next(run for run in runs if run.startswith("every-tsunami-"))
    wait_until(lambda: data("status", run)["workers"], "its pod")
    assert data("status", run)["state"] == "pending"
    cancelled = launcher("cancel", run, *cron.where)
    assert cancelled.returncode == 0, cancelled.stderr
    assert kubectl("get", "jobs", "-o=name").stdout == "job.batch/every-20261130\n"
    assert json.loads(open_store(f"{bucket}/gan/{run}").read("cluster.json"))["job"] == "every-tsunami"
    again = launcher("resume", run, *cron.where, "--root", bucket, "--image", "gantry:other")
    assert again.returncode == 0, again.stderr
    assert data("status", run)["attempt"] == 2
    assert launcher("cancel", run, *cron.where, "--now").returncode == 0
    assert data("status", next(each for each in runs if each != run))["job"] == "every-20261130"
    # What the schedule owns goes with it, whoever made it, and nothing is said to be gone that is not.
    gone = cron("delete", "every", "--yes").stdout
    assert gone == "removed from the cluster: CronJob/every, Job/every-20261130\n"
    assert kubectl("get", "jobs", "-o=name").stdout == f"job.batch/{run}-r2\n"


def test_a_run_that_is_called_like_a_firing_is_none_to_any_verb(
    cron, launcher, kubectl, data, namespace, bucket
):
    cron.create("every", NEVER, "--image", "gantry:absent")
    name = "every-20260101-0300"
    words = ["--preset", "mlp", "--image", "gantry:absent", "--root", bucket, *cron.where]
    assert launcher("submit", *words, "--name", name, "--detach").returncode == 0
    assert cron.data("history", "every") == []
    assert cron.data("show", "every")["status"]["active"] == []
    assert cron("logs", "every", check=False).returncode == 3
    job = data("status", name)["job"]
    # A firing is deleted to cancel it, so that its schedule is free; a person's run is suspended and stays.
    assert launcher("cancel", name, *cron.where).returncode == 0
    assert kubectl.get("job", job)["spec"]["suspend"] is True
    cron("delete", "every", "--yes")
    assert kubectl.get("job", job)["spec"]["suspend"] is True


EDITS = {
    "schedule": "0 4 * * *",
    "timeZone": "Europe/Paris",
    "suspend": True,
    "concurrencyPolicy": "Allow",
    "startingDeadlineSeconds": 999,
    "successfulJobsHistoryLimit": 1,
    "failedJobsHistoryLimit": 2,
}
IMAGE = "spec.jobTemplate.spec.template.spec.containers[name=trainer].image"


def test_what_others_edit_is_shown_and_put_back_and_a_lost_annotation_is_no_dead_end(cron, launcher, kubectl):
    cron.create("every", NEVER, "--workers", "2", "--env", "A=1")
    assert cron("diff", "every", check=False).returncode == 0
    kubectl("patch", "cronjob", "every", "--type=merge", f"-p={json.dumps({'spec': EDITS})}")
    kubectl("set", "image", "cronjob/every", "trainer=gantry:theirs")
    changes = json.loads(cron("diff", "every", "-o", "json", check=False).stdout)
    assert {change["path"] for change in changes} == {IMAGE, *(f"spec.{field}" for field in EDITS)}
    assert "others have edited" in cron("show", "every").stderr
    cron("update", "every", "--yes")
    spec = kubectl.get("cronjob", "every")["spec"]
    assert all(spec[field] != value for field, value in EDITS.items())
    assert cron("diff", "every", check=False).returncode == 0
    # What this launcher changes is asked for, and no edit.
    cron("suspend", "every")
    assert cron("diff", "every", check=False).returncode == 0

    kubectl("set", "image", "cronjob/every", "trainer=gantry:theirs")
    kubectl("annotate", "cronjob", "every", "gantry/spec-", "gantry/root-")
    shown = cron("show", "every")
    assert "launcher cron update every -n" in shown.stderr
    told = cron("diff", "every", check=False)
    assert "image gantry:theirs" in told.stderr
    taken = cron("update", "every", "--yes")
    assert "image gantry:theirs" in taken.stderr and "workers 2" in taken.stderr
    assert cron.data("show", "every")["spec"]["image"] == "gantry:theirs"
    assert cron("diff", "every", check=False).stderr == ""

    # As kubectl replace leaves it behind: no label and no annotation of ours.
    bare = kubectl.get("cronjob", "every")
    for key in ("labels", "annotations"):
        bare["metadata"].pop(key)
    kubectl("replace", "-f", "-", stdin=json.dumps(bare))
    refused = cron("show", "every", check=False)
    assert (refused.returncode, "kubectl -n" in refused.stderr) == (2, True)
    namespace = bare["metadata"]["namespace"]
    labels = ["app.kubernetes.io/managed-by=gantry", "gantry/schedule=every"]
    assert f"kubectl -n {namespace} label --overwrite cronjob every {' '.join(labels)}" in refused.stderr
    kubectl("label", "--overwrite", "cronjob", "every", *labels)
    cron("update", "every", "--yes")
    assert cron("diff", "every", check=False).returncode == 0
    assert cron.data("show", "every")["status"]["experiment"] == "gan"


@pytest.mark.prints
def test_a_firing_that_was_replaced_says_by_whom(cron, fixing, kubectl, data, bucket):
    cron.create("every", "* * * * *", "--suspended", "--concurrency-policy", "Replace", *LONG)
    # As if it had been away for two minutes, so that the last firing starts at once.
    root = ("--root", bucket)  # a Job that is gone tells nobody where its run is
    before = (datetime.now(UTC) - timedelta(minutes=2)).isoformat(timespec="seconds")
    status = json.dumps({"status": {"lastScheduleTime": before}})
    kubectl("patch", "cronjob", "every", "--subresource=status", "--type=merge", f"-p={status}")
    # A minute that ends before it is suspended would bring the next one, which replaces it.
    wait_until(lambda: time.time() % 60 < 40, "time enough in a minute")
    cron("resume", "every")
    first = wait_until(lambda: cron.data("show", "every")["status"]["active"], "the first firing")[0]
    cron("suspend", "every")  # however long it takes to begin, none is due before it has
    wait_until(lambda: data("status", first, *root)["checkpoint_step"], "a checkpoint")
    cron("resume", "every")

    def other():
        return [run for run in cron.data("show", "every")["status"]["active"] if run != first]

    second = wait_until(other, "the firing that replaces it")[0]
    cron("suspend", "every")
    wait_until(lambda: data("status", first, *root)["state"] in ("stopped", "interrupted"), "its end")
    seen = data("status", first, *root)
    assert seen["replaced_by"] == second
    assert f"replaced it by firing '{second}'" in seen["explanation"]
    told = data("explain", first, *root)
    assert (told["cause"], f"'{second}'" in told["sentence"]) == ("replaced", True)
    fired = {each["run"]: each["explanation"] for each in cron.data("history", "every")}
    assert f"replaced it by firing '{second}'" in fired[first]
    # Later, when the cluster has forgotten its events, the times still tell.
    kubectl("delete", "events", "--all")
    assert data("status", first, *root)["replaced_by"] == second
    assert data("status", second, *root)["replaced_by"] is None
    commands = fixing(first, "replaced")
    fixing.run(commands)
    again = data("status", first, *root)
    assert (again["attempt"], again["replaced_by"]) == (2, None)
    assert running(kubectl, again["job"], 180, "Succeeded")
    fixing.tell(commands, "the second attempt's pod runs")
    cron("delete", "every", "--yes")
