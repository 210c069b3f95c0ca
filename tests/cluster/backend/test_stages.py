"""What becomes of a run on a real cluster and is told: pending, failed, cancelled, resumed, deleted."""

import re
import threading
from pathlib import Path

import pytest

from launcher.backends.kubernetes.client.api import connect
from launcher.backends.kubernetes.jobs import stop, submit
from launcher.backends.kubernetes.status import observe, watch
from launcher.backends.kubernetes.status.jobs import verdict
from launcher.errors import RunAlive, SpecError
from launcher.records.states import FAILED, RUNNING, STOPPED
from launcher.spec.runspec import RunSpec
from tests.cluster.backend.helpers import files, own
from trainer.run import layout
from trainer.storage import open_store


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"image": "localhost/gantry:absent"}, ["localhost/gantry:absent", "cannot be pulled"]),
        ({"memory": "900Gi"}, ["has no node", "memory"]),
        ({"gpus": 1}, ["has no node", "nvidia.com/gpu"]),
    ],
)
def test_what_keeps_a_run_pending_is_told(spec, until, fields, words):
    run = spec("stuck", **fields)
    submit.start(run, resuming=False)
    here = until(run, lambda here: all(word in here.state.explanation for word in words), words)
    assert here.state.name == "pending"
    assert here.live


def test_a_service_account_that_is_not_there_is_told_before_anything_is_sent(spec, kubectl):
    run = spec("stuck", service_account="absent")
    with pytest.raises(SpecError, match='serviceaccount "absent" not found'):
        submit.start(run, resuming=False)
    assert files(run) == []


@pytest.fixture
def unjudged(monkeypatch):
    """As for a user who may not have a pod judged."""
    monkeypatch.setattr(submit, "preflight", lambda *_: None)


def test_a_quota_that_is_used_up_is_told(spec, until, kubectl, unjudged):
    kubectl("create", "quota", "small", "--hard=pods=0")
    run = spec("over")
    submit.start(run, resuming=False)
    until(run, lambda here: "quota is used up: small" in here.state.explanation, "the quota")


def test_a_namespace_that_refuses_the_pods_is_told(spec, until, tmp_path, unjudged):
    root = Path(__file__).parents[3] / "k8s"
    for path in root.rglob("*.yaml"):
        copy = tmp_path / "k8s" / path.relative_to(root)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_text(path.read_text().replace("runAsNonRoot: true", "runAsNonRoot: false"))
    run = spec("rude", manifests=str(tmp_path / "k8s"))
    submit.start(run, resuming=False)
    until(run, lambda here: "Pod Security" in here.state.explanation, "the refusal")


def test_a_mistake_fails_at_once_and_is_told(api, spec, until):
    run = spec("wrong", overrides=("data.source=idx:/absent",))
    submit.start(run, resuming=False)
    waited = watch.wait(own(api, run), 300)
    assert waited.end == "stopped"
    assert verdict(waited.job).reason == "PodFailurePolicy"
    here = until(run, lambda here: not here.busy, "the end of its pods")
    assert here.state.name == FAILED
    assert "/absent" in here.state.explanation
    assert here.workers[0].exit_code == 2


def test_too_little_memory_is_told(api, spec, until):
    # With control groups of the first version the kernel kills the trainer alone, again and again.
    once = ("recovery.restarts_without_progress=1",)
    run = spec("tight", memory="128Mi", backoff_limit=0, overrides=once)
    submit.start(run, resuming=False)
    assert watch.wait(own(api, run), 300).end == "stopped"
    here = until(run, lambda here: here.state.name == FAILED, "the failure")
    assert re.search(r"ran out of memory.* 128 ?Mi", here.state.explanation), here.state.explanation


def test_cancel_saves_and_keeps_the_job_and_resume_goes_on(api, spec, until, kubectl):
    run = spec("kept", workers=2)
    submit.start(run, resuming=False)
    until(run, lambda here: here.state.name == RUNNING, "the first steps")
    with pytest.raises(RunAlive):
        submit.start(run, resuming=True)
    assert stop.cancel(own(api, run))
    here = until(run, lambda here: not here.busy, "its end")
    assert here.state.name == STOPPED
    assert api.get("Job", "kept")["spec"]["suspend"] is True
    assert any(layout.checkpoint_step(name) is not None for name in files(run))
    fewer = RunSpec(**{**run.model_dump(), "workers": 1})
    started = submit.start(fewer, resuming=True)
    assert (started.job, started.attempt) == ("kept-r2", 2)
    assert [job["metadata"]["name"] for job in observe.jobs(api)] == ["kept-r2"]  # the suspended one is gone
    assert "kept-r2" in open_store(run.path.url).read(layout.MANIFESTS).decode()
    until(run, lambda here: here.state.name == RUNNING and len(here.workers) == 1, "the second attempt")
    assert stop.delete(api, run.path) == ["Job/kept-r2"]
    kinds = "jobs,pods,services"
    kubectl.wait_for("an empty namespace", lambda: not kubectl("get", kinds, "-o=name").stdout.strip())
    assert layout.RUN in files(run)


def test_delete_leaves_a_namesake_of_another_root_alone(api, spec, bucket, kubectl):
    run = spec("mine", image="localhost/gantry:absent")
    submit.start(run, resuming=False)
    theirs = run.path._replace(root=f"{bucket}/elsewhere")
    assert stop.delete(api, theirs) == []
    assert stop.delete(api, run.path) == ["Job/mine"]
    kubectl.wait_for(
        "an empty namespace", lambda: not kubectl("get", "jobs,services", "-o=name").stdout.strip()
    )


def test_wait_ends_with_the_job(api, spec):
    run = spec("short", image="localhost/gantry:absent")
    submit.start(run, resuming=False)
    job = own(api, run)
    assert watch.wait(job, 0.5).end == "late"
    timers = [
        threading.Timer(1, stop.request_stop, (own(connect(api.context, api.namespace), run),)),
        threading.Timer(1, job.delete),
    ]
    timers[0].start()
    assert watch.wait(job, 60).end == "stopped"  # suspended
    api.patch("Job", job.job(), {"spec": {"suspend": False}})
    timers[1].start()
    assert watch.wait(job, 60).end == "gone"
    assert watch.wait(job, 60).end == "gone"  # there is none
