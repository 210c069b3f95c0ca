"""Schedules on a real cluster: firings of the controller and by hand, two at once, one that cannot start."""

import json
from datetime import UTC, datetime
from pathlib import Path

from tests.cluster.schedules import NEVER
from tests.cluster.waiting import wait_until
from trainer.storage import open_store

REPOSITORY = Path(__file__).parents[2]


def test_schedules_fire_by_themselves_and_by_hand_and_are_remembered(
    cron, launcher, kubectl, namespace, bucket
):
    # First what takes a minute: these two fire as soon as the next one begins.
    cron.create("tick", "* * * * *", "--workers", "1")
    cron.create("wedged", "* * * * *", "--image", "gantry:absent", "--deadline", "5")
    cron.create(
        "twice", NEVER, "--time-zone", "Europe/Paris", "--workers", "2", "--profile", "network-policy"
    )
    runs = [cron("trigger", "twice").stdout.strip() for _ in range(2)]
    assert len(set(runs)) == 2

    # One Service for both, and known by their Jobs' names before they have written anything.
    owned = kubectl.get("services,networkpolicies", "-l", "gantry/schedule=twice")["items"]
    assert sorted(each["kind"] for each in owned) == ["NetworkPolicy", "Service"]
    assert {each["metadata"]["ownerReferences"][0]["name"] for each in owned} == {"twice"}
    seen = json.loads(launcher("status", runs[0], *cron.where, "-o", "json", check=True).stdout)
    assert (seen["root"], seen["world_size"], seen["backend"]) == (bucket, 2, "kubernetes")
    assert set(runs) <= {run["run"] for run in json.loads(launcher("list", *cron.where, "-o", "json").stdout)}

    _can_be_changed(cron, kubectl)

    wait_until(lambda: cron.data("show", "tick")["status"]["last_scheduled"], "a firing of the controller")
    cron("suspend", "tick")
    assert [each["suspended"] for each in cron.data("list") if each["name"] == "tick"] == [True]
    _ends_by_its_deadline(cron, kubectl)

    for run in runs:
        done = launcher("wait", run, "--root", bucket, "--timeout", "10m")
        assert done.returncode == 0, done.stdout + done.stderr
    tick = cron.data("history", "tick")[-1]
    assert launcher("wait", tick["run"], "--root", bucket, "--timeout", "10m").returncode == 0
    _met_nobody_else(bucket, runs)
    _is_remembered(cron, kubectl, bucket, runs, tick["run"])


def _can_be_changed(cron, kubectl):
    """Compare, refuse without a terminal, change, and find no difference any more."""
    assert cron("diff", "twice", check=False).returncode == 0
    new = ["--set", "steps=5", "--starting-deadline", "60"]
    changes = json.loads(cron("diff", "twice", *new, "-o", "json", check=False).stdout)
    assert {change["path"] for change in changes} == {
        "spec.startingDeadlineSeconds",
        "spec.jobTemplate.spec.template.spec.containers[name=trainer].args",
        "spec.jobTemplate.spec.template.spec.containers[name=trainer].env[name=GANTRY_CONFIG].value",
    }
    refused = cron("update", "twice", *new, check=False)
    assert (refused.returncode, refused.stderr.count("\n")) == (2, 1)
    assert "--yes" in refused.stderr
    assert cron("diff", "twice", *new, check=False).returncode == 1
    cron("update", "twice", *new, "--yes")
    assert cron("diff", "twice", check=False).returncode == 0
    assert "steps=5" in cron.data("show", "twice")["spec"]["overrides"]

    # Another's hand, and a profile that is taken away again with what it brought.
    kubectl("patch", "cronjob", "twice", "--type=merge", '-p={"spec":{"concurrencyPolicy":"Allow"}}')
    kubectl("label", "cronjob", "twice", "gantry.test/other=1")
    assert cron("diff", "twice", check=False).returncode == 1
    cron("update", "twice", "--yes", "--concurrency-policy", "Forbid")
    assert cron("diff", "twice", check=False).returncode == 0
    labels = kubectl.get("cronjob", "twice")["metadata"]["labels"]
    assert "gantry.test/other" not in labels


def _ends_by_its_deadline(cron, kubectl):
    """A firing whose image is not there has failed after its deadline, and its schedule is free again."""
    wait_until(lambda: cron.data("show", "wedged")["status"]["last_scheduled"], "the wedged firing")
    cron("suspend", "wedged")  # one is enough
    wait_until(lambda: not kubectl.get("cronjob", "wedged")["status"].get("active"), "its end")
    failed = [each for each in cron.data("history", "wedged") if each["state"] == "failed"]
    assert failed
    assert all("deadline of 5 s" in each["explanation"] for each in failed)


def _met_nobody_else(bucket, runs):
    """Both have their own results, in which no pod of the other's is named, and the same bits."""
    results = []
    for run in runs:
        store = open_store(f"{bucket}/gan/{run}")
        begun = json.loads(store.read("run.json"))
        assert (begun["schedule"], begun["scheduled"], begun["world_size"]) == ("twice", None, 2)
        job = json.loads(store.read("cluster.json"))["job"]
        for worker in (0, 1):
            pieces = store.list(f"logs/1/worker-{worker}.")
            log = b"".join(store.read(piece.name) for piece in pieces).decode()
            assert f"pod {job}-{worker}-" in log
            assert "generation 1: all 2 workers have met" in log
            assert "generation 2" not in log
        results.append(json.loads(store.read("result.json"))["metrics"])
    kept = [{key: value for key, value in each.items() if key != "images_per_second"} for each in results]
    assert kept[0] == kept[1]


def _is_remembered(cron, kubectl, bucket, runs, tick):
    """The history is the same when the Jobs are gone, and goes on when the schedule is."""
    before = cron.data("history", "twice")
    assert [each["run"] for each in before] == [*reversed(runs)]
    assert all(each["scheduled"] is None and each["state"] == "finished" for each in before)
    assert all("d_loss" in each["metrics"] for each in before)
    kubectl("delete", "jobs", "--all", "--cascade=foreground")
    told = cron.data("history", "twice")
    assert [{**each, "job": None} for each in before] == told

    # A busy machine may have let it fire twice before it was suspended.
    [fired] = [each for each in cron.data("history", "tick") if each["run"] == tick]
    assert (fired["state"], fired["step"]) == ("finished", 4)
    due = datetime.fromisoformat(fired["scheduled"])
    assert tick == f"tick-{due:%Y%m%d-%H%M}"
    assert due <= datetime.now(UTC)
    record = json.loads(open_store(f"{bucket}/gan/{tick}").read("run.json"))
    assert (record["schedule"], record["scheduled"]) == ("tick", fired["scheduled"])

    gone = cron("delete", "twice")
    assert gone.stdout == "removed from the cluster: CronJob/twice\n"
    assert kubectl("get", "services,networkpolicies", "-l", "gantry/schedule=twice", "-o=name").stdout == ""
    left = cron.data("history", "twice", "--root", bucket)
    assert [(each["run"], each["state"]) for each in left] == [(run, "finished") for run in reversed(runs)]
    assert cron("show", "twice", check=False).returncode == 3


def test_a_firing_that_has_not_begun_is_cancelled_and_frees_its_name(cron, launcher, kubectl, bucket):
    cron.create("stuck", NEVER, "--image", "gantry:absent")
    run = cron("trigger", "stuck").stdout.strip()
    wait_until(lambda: kubectl.get("pods")["items"], "its pod")
    pending = json.loads(launcher("status", run, *cron.where, "-o", "json", check=True).stdout)
    assert pending["state"] == "pending"
    # With a firing that runs, nothing is removed unasked.
    kept = cron("delete", "stuck", check=False)
    assert kept.returncode == 2
    assert run in kept.stderr
    cancelled = launcher("cancel", run, *cron.where)
    assert cancelled.returncode == 0, cancelled.stderr
    assert kubectl("get", "jobs", "-o=name").stdout == ""
    # Its folder is the record: another image is all it takes to go on.
    assert json.loads(launcher("status", run, "--root", bucket, "-o", "json", check=True).stdout)["job"]
    again = launcher("resume", run, "--root", bucket, "--image", "gantry:other")
    assert again.returncode == 0, again.stderr
    assert kubectl("get", "jobs", "-o=name").stdout == f"job.batch/{run}-r2\n"
    assert launcher("cancel", run, "--root", bucket, "--now").returncode == 0
    cron("delete", "stuck")


def test_nothing_is_left_of_a_refused_schedule_and_others_are_left_alone(cron, kubectl, namespace, bucket):
    def refused(*words, create=None):
        done = cron.create(*create, *words, check=False) if create else cron(*words, check=False)
        assert (done.returncode, done.stdout) == (2, ""), done.stderr
        assert done.stderr.count("\n") == 1, done.stderr
        return done.stderr

    assert "fires some day" in refused(create=("a", "0 0 30 2 *"))
    assert "Europe/Paris" in refused("--time-zone", "Europe/Pariss", create=("a", NEVER))
    assert "at most" in refused(create=("x" * 42, NEVER))
    assert "'absent'" in refused("--service-account", "absent", "-n", "absent", create=("a", NEVER))
    # A name that the children need is taken: the CronJob that was there for a moment is gone again.
    kubectl("create", "service", "clusterip", "taken", "--clusterip=None")
    assert "'taken' among its services" in refused(create=("taken", NEVER))
    assert kubectl("get", "cronjobs,networkpolicies", "-o=name").stdout == ""
    assert list(open_store(bucket).list()) == []

    kubectl("create", "cronjob", "theirs", "--image=gantry:1", f"--schedule={NEVER}")
    for words in (
        ("suspend",),
        ("resume",),
        ("trigger",),
        ("delete", "--yes"),
        ("update", "--yes"),
        ("show",),
    ):
        assert "this launcher did not make" in refused(words[0], "theirs", *words[1:])
    assert "this launcher did not make" in refused(create=("theirs", NEVER))
    assert kubectl.get("cronjob", "theirs")["spec"]["suspend"] is False

    cron.create("own", NEVER)
    assert "cron update own" in refused(create=("own", NEVER))
    for words in (("suspend", "ow"), ("delete", "ow", "--yes"), ("history", "ow")):
        missing = cron(*words, check=False)
        assert (missing.returncode, "the nearest are own" in missing.stderr) == (3, True), missing.stderr
    kubectl("apply", "--dry-run=server", "-k", str(REPOSITORY / "k8s/cronjob"))
