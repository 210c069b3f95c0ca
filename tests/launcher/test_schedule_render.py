"""A schedule's manifests: ``k8s/cronjob`` as kustomize and the schemas see it, and with values in it."""

import copy
import json
import shutil
import subprocess
from datetime import UTC, datetime

import kubernetes_validate
import pytest
import yaml

from launcher.backends.kubernetes.jobs.record import record_of
from launcher.render import to_yaml
from launcher.render.cronjob import Cluster, Timing, render_schedule
from launcher.render.kustomize import load
from launcher.render.labels import (
    belongs,
    firing_due,
    firing_run,
    firing_time,
    of_run,
    run_of,
    schedules_of,
)
from launcher.schedules.triggering import base36, manual_job
from launcher.spec import templates
from launcher.spec.runspec import RunSpec, make_spec
from tests.launcher.kubectl import KUBECTL, needs_kubectl
from trainer.pod.scheduled_run import identify
from trainer.run.layout import RunPath

PROFILES = templates.profile_names()
HERE = Cluster("gan", "kind", "https://cluster")
MINUTES = 29_926_299  # 2026-11-25 03:39 UTC


def rendered(timing=None, **values):
    given = {"root": "gs://bucket/gan", "image": "registry/gantry:0.1.0", "namespace": "gan", "workers": 2}
    if "workload-identity" in values.get("profiles", ()):
        given["google_service_account"] = "gantry@project.iam.gserviceaccount.com"
    spec = make_spec("mlp", values.pop("sets", ["steps=9"]), "nightly", **{**given, **values})
    return render_schedule(spec, timing or Timing("0 3 * * 1"), HERE)


def by_kind(objects):
    return {each["kind"]: each for each in objects}


def pod_of(cron):
    return cron["spec"]["jobTemplate"]["spec"]["template"]


def environment(cron):
    return {each["name"]: each.get("value") for each in pod_of(cron)["spec"]["containers"][0]["env"]}


@needs_kubectl
def test_the_folder_is_what_kustomize_reads(tmp_path):
    shutil.copytree(templates.folder(), tmp_path / "k8s")
    done = subprocess.run([KUBECTL, "kustomize", tmp_path / "k8s/cronjob"], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    ours = [manifest.data for manifest in load(templates.folder() / "cronjob")]
    assert by_kind(yaml.safe_load_all(done.stdout)) == by_kind(ours)


def test_its_template_is_the_job_of_a_run():
    """The two files say the same twice, as kustomize cannot put one into the other."""
    cron = by_kind(manifest.data for manifest in load(templates.folder() / "cronjob"))["CronJob"]
    job = by_kind(manifest.data for manifest in load(templates.folder()))["Job"]
    spec = json.loads(json.dumps(job["spec"]).replace("gantry-demo", "gantry-weekly"))
    mine = copy.deepcopy(cron["spec"]["jobTemplate"]["spec"])
    assert mine.pop("activeDeadlineSeconds") == 86400
    assert (mine.pop("ttlSecondsAfterFinished"), spec.pop("ttlSecondsAfterFinished")) == (604800, 86400)
    mine["template"]["metadata"]["labels"].pop("gantry/schedule")
    own, other = mine["template"]["spec"], spec["template"]["spec"]
    own["topologySpreadConstraints"][0]["labelSelector"]["matchLabels"].pop("gantry/schedule")
    [container], [theirs] = own["containers"], other["containers"]
    assert container["env"].pop() == {"name": "GANTRY_RECORD", "value": ""}
    uid = {"fieldRef": {"fieldPath": "metadata.labels['batch.kubernetes.io/controller-uid']"}}
    assert container["env"].pop() == {"name": "GANTRY_JOB_UID", "valueFrom": uid}
    assert container["args"] == ["--schedule" if word == "--run" else word for word in theirs["args"]]
    container["args"] = theirs["args"]
    assert mine == spec


CASES = {
    "plain": {},
    **{profile: {"profiles": [profile]} for profile in PROFILES},
    "all": {"profiles": PROFILES, "queue": "team", "gpus": 1, "active_deadline_seconds": 60},
}


@pytest.mark.parametrize("values", CASES.values(), ids=CASES.keys())
def test_rendered_schedules_pass_the_schemas(values):
    for manifest in yaml.safe_load_all(to_yaml(rendered(**values))):
        kubernetes_validate.validate(manifest, "1.36", strict=True)


def test_every_object_is_named_after_the_schedule_and_chooses_its_pods_alone():
    cron, *children = rendered(profiles=PROFILES, queue="team")
    assert {each["metadata"]["name"] for each in children} == {"nightly"}
    labels = pod_of(cron)["metadata"]["labels"]
    selectors = [children[0]["spec"]["selector"]]
    selectors += [
        (each["spec"].get("selector") or each["spec"]["podSelector"])["matchLabels"]
        for each in children
        if each["kind"] in ("NetworkPolicy", "PodDisruptionBudget")
    ]
    assert len(selectors) == 3
    for selector in selectors:
        assert selector["gantry/schedule"] == "nightly"
        assert selector.items() <= labels.items()
    budget = by_kind(children)["PodDisruptionBudget"]["spec"]
    assert (budget["minAvailable"], budget["selector"]["matchLabels"]["gantry/workers"]) == (1, "2")
    assert pod_of(cron)["spec"]["subdomain"] == pod_of(cron)["spec"]["serviceAccountName"] == "nightly"


def test_a_queue_is_the_jobs_and_not_the_schedule_s():
    cron = rendered(queue="team")[0]
    template = cron["spec"]["jobTemplate"]
    assert template["metadata"]["labels"]["kueue.x-k8s.io/queue-name"] == "team"
    assert template["spec"]["suspend"] is True
    assert "kueue.x-k8s.io/queue-name" not in cron["metadata"]["labels"]
    assert rendered()[0]["spec"]["jobTemplate"]["spec"]["suspend"] is False


def test_timing_and_specification_are_on_the_schedule():
    timing = Timing("@daily", "Europe/Paris", "Replace", 60, 1, 2, suspended=True)
    cron = rendered(timing, env={"A": "$x"})[0]
    said = {key: value for key, value in cron["spec"].items() if key != "jobTemplate"}
    assert said == {
        "schedule": "@daily",
        "timeZone": "Europe/Paris",
        "concurrencyPolicy": "Replace",
        "startingDeadlineSeconds": 60,
        "successfulJobsHistoryLimit": 1,
        "failedJobsHistoryLimit": 2,
        "suspend": True,
    }
    kept = json.loads(cron["metadata"]["annotations"]["gantry/spec"])
    again = RunSpec(**kept)
    assert (again.name, again.env, again.overrides) == ("nightly", {"A": "$x"}, ("steps=9",))
    assert render_schedule(again, timing, HERE)[0] == cron


def fired(job, **values):
    """A Job as the controller makes it from the template."""
    template = rendered(**values)[0]["spec"]["jobTemplate"]
    metadata = {
        **template["metadata"],
        "name": job,
        "namespace": "gan",
        "uid": "0b1f2c3d",
        "creationTimestamp": "2026-11-25T03:39:01Z",
    }
    return {"metadata": metadata, "spec": template["spec"]}


def test_trainer_and_launcher_know_a_firing_by_the_same_name():
    job = f"nightly-{MINUTES}"
    by_trainer = identify(None, "nightly", {"GANTRY_JOB": job})
    assert run_of(fired(job)) == RunPath("gs://bucket/gan", "gan", by_trainer.run)
    assert by_trainer.run == firing_run("nightly", job, "u") == "nightly-20261125-0339"
    assert firing_due("nightly", job).isoformat() == by_trainer.scheduled
    words = pod_of(rendered()[0])["spec"]["containers"][0]["args"]
    assert words[words.index("--schedule") + 1] == "nightly"
    assert "--run" not in words


def test_a_firing_belongs_to_its_run_and_neither_to_the_schedule_s_namesake_nor_another_firing():
    job, path = fired(f"nightly-{MINUTES}"), RunPath("gs://bucket/gan", "gan", "nightly-20261125-0339")
    assert belongs(job, path)
    assert not belongs(job, path._replace(name="nightly"))
    assert not belongs(fired(f"nightly-{MINUTES + 1}"), path)
    assert not belongs(fired("nightly-other"), path)
    assert "instance in (nightly-20261125-0339,nightly,nightly-20261125)" in of_run(path)
    assert schedules_of("a--b-c") == ["a", "a--b"]
    assert firing_time("nightly", "nightly-20261125-0339") == datetime(2026, 11, 25, 3, 39, tzinfo=UTC)
    assert firing_time("nightly", "nightly-20261125-033901") == datetime(2026, 11, 25, 3, 39, 1, tzinfo=UTC)
    assert firing_time("night", "nightly-20261125-0339") is None
    assert firing_time("nightly", "nightly-20261325-0339") is None


def test_the_record_that_a_firing_writes_can_be_told_from_its_job():
    record = record_of(fired(f"nightly-{MINUTES}", env={"A": "$(B) $$"}))
    assert (record.job, record.server, record.context) == (f"nightly-{MINUTES}", "https://cluster", "kind")
    assert record.spec["name"] == "nightly-20261125-0339"
    assert record.spec["env"] == {"A": "$(B) $$"}
    RunSpec(**record.spec)


def test_a_job_that_somebody_names_is_a_run_of_its_own_to_its_pods_and_to_the_launcher():
    job = fired("mytest")
    environ = {"GANTRY_JOB": "mytest", "GANTRY_JOB_UID": "0b1f2c3d"}
    told = identify(None, "nightly", environ)
    assert run_of(job) == RunPath("gs://bucket/gan", "gan", told.run)
    assert told.run.startswith("nightly-mytest-")
    assert (told.schedule, told.scheduled) == ("nightly", None)
    labels = {"batch.kubernetes.io/job-name": "mytest", "batch.kubernetes.io/controller-uid": "0b1f2c3d"}
    pod = {
        "metadata": {
            **job["metadata"],
            "name": "mytest-0-x7k2p",
            "uid": "another",
            "labels": {**job["metadata"]["labels"], **labels},
        },
        "spec": job["spec"]["template"]["spec"],
    }
    assert belongs(pod, run_of(job))
    assert (record_of(job).job, record_of(job).spec["name"]) == ("mytest", told.run)
    again = fired("mytest")
    again["metadata"]["uid"] = "4e5f6a7b"
    assert run_of(again) != run_of(job)


def test_a_firing_by_hand_is_told_its_run():
    cron = rendered()[0]
    cron["metadata"]["uid"] = "u"
    job = manual_job(cron, 60 * MINUTES + 7)
    assert job["metadata"]["name"] == f"nightly-t{base36(60 * MINUTES + 7)}"
    assert run_of(job).name == "nightly-20261125-033907"
    assert firing_due("nightly", job["metadata"]["name"]) is None
    [container] = job["spec"]["template"]["spec"]["containers"]
    assert container["args"][-2:] == ["--run", "nightly-20261125-033907"]
    told = identify("nightly-20261125-033907", "nightly", {"GANTRY_JOB": job["metadata"]["name"]})
    assert (told.schedule, told.scheduled) == ("nightly", None)
    assert job["metadata"]["annotations"]["cronjob.kubernetes.io/instantiate"] == "manual"
    assert "--run" not in pod_of(cron)["spec"]["containers"][0]["args"]
    kubernetes_validate.validate(job, "1.36", strict=True)


@pytest.mark.parametrize("number", [0, 35, 36, 1_795_577_947])
def test_base_36(number):
    assert int(base36(number), 36) == number
