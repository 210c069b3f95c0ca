"""Whose an object is, on a real API server: namesakes, other namespaces, orphans, an emptied folder."""

import json
import subprocess
import sys

import pytest

from launcher.backends.kubernetes.jobs import stop, submit
from launcher.backends.kubernetes.jobs.record import read_record
from launcher.backends.kubernetes.status.jobs import is_suspended
from launcher.errors import NotFound
from launcher.records.states import RUNNING
from tests.cluster.backend.helpers import files, own
from trainer.errors import EXIT_USER
from trainer.run import layout
from trainer.storage import open_store

ABSENT = "localhost/gantry:absent"


@pytest.fixture
def launcher(tmp_path):
    """Run the command line in a process of its own; its exit code and what it printed."""

    def call(*words, root, code=0):
        line = [sys.executable, "-m", "launcher", *map(str, words), "--root", root]
        done = subprocess.run(line, capture_output=True, text=True, timeout=300, check=False, cwd=tmp_path)
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout + done.stderr

    return call


def test_a_namesake_in_another_experiment_is_left_alone(api, spec, launcher, kubectl):
    """The Job of gan/first is gone, and faces/first runs under its name."""
    ours = spec("first", image=ABSENT)
    submit.start(ours, resuming=False)
    assert stop.cancel(own(api, ours), kill=True)
    own(api, ours).delete()
    kubectl.wait_for("the Job's end", lambda: api.get("Job", "first") is None)
    theirs = spec("first", image=ABSENT, experiment="faces")
    submit.start(theirs, resuming=False)
    before = api.get("Job", "first")
    for verb in ("status", "logs"):
        assert "cannot be pulled" not in launcher(verb, "gan/first", root=ours.root)
    launcher("cancel", "gan/first", root=ours.root, code=1)
    launcher("resume", "gan/first", "--set", "steps=100001", root=ours.root)
    launcher("delete", "gan/first", "--force", root=ours.root)
    found = api.get("Job", "first")
    assert (found["metadata"]["uid"], found["spec"]) == (before["metadata"]["uid"], before["spec"])
    refused = launcher(*_submit(ours, "faces", "first"), root=f"{ours.root}/elsewhere", code=EXIT_USER)
    assert (
        f"is of run 'faces/first' in root {ours.root}; choose another, such as --name faces-first" in refused
    )
    assert stop.delete(api, theirs.path) == ["Job/first"]


def _submit(run, experiment, name):
    place = ["--context", run.context, "-n", run.namespace]
    return [
        "submit",
        "--preset",
        "mlp",
        "--image",
        ABSENT,
        "--experiment",
        experiment,
        "--name",
        name,
        *place,
    ]


def test_the_server_refuses_a_uid_that_is_another_objects(api, spec, kubectl):
    run = spec("again", image=ABSENT)
    submit.start(run, resuming=False)
    first = api.get("Job", "again")
    assert read_record(open_store(run.path.url)).uid == first["metadata"]["uid"]
    kubectl("delete", "job", "again")
    kubectl.wait_for("its children's end", lambda: api.get("Service", "again") is None)
    for name in files(run):
        open_store(run.path.url).delete(name)
    submit.start(run, resuming=False)
    with pytest.raises(NotFound, match="Job 'again' is gone, and another has its name"):
        api.patch("Job", first, {"spec": {"suspend": True}})
    api.delete("Job", first)
    assert not is_suspended(api.get("Job", "again"))
    assert stop.delete(api, run.path) == ["Job/again"]


def test_a_settings_file_does_not_lead_a_verb_astray(api, spec, launcher, tmp_path, kubectl):
    run = spec("lim", image=ABSENT)
    submit.start(run, resuming=False)
    (tmp_path / "gantry.yaml").write_text("namespace: default\n")
    kubectl.wait_for("a pod", lambda: "cannot be pulled" in launcher("status", "lim", root=run.root))
    refused = launcher("resume", "lim", root=run.root, code=EXIT_USER)
    assert "is under way as Job 'lim'" in refused
    refused = launcher("resume", "lim", "-n", "default", root=run.root, code=EXIT_USER)
    assert f"in namespace '{run.namespace}'" in refused
    launcher("cancel", "lim", root=run.root)
    assert is_suspended(api.get("Job", "lim"))
    told = launcher("delete", "lim", root=run.root)
    assert told == f"removed from namespace '{run.namespace}' of context '{run.context}': Job/lim\n"
    assert api.get("Job", "lim") is None


def test_pods_that_lost_their_job_are_told_and_asked_to_save(api, spec, until, launcher, kubectl):
    run = spec("left")
    submit.start(run, resuming=False)
    until(run, lambda here: here.state.name == RUNNING, "the first steps")
    kubectl("delete", "job", "left", "--cascade=orphan")
    here = until(run, lambda here: "its Job was deleted" in here.state.explanation, "the orphan")
    assert here.state.name == RUNNING
    found = json.loads(launcher("explain", "left", "-o", "json", root=run.root, code=1))
    assert found["cause"] == "orphaned"
    assert "delete gan/left --force" in launcher("delete", "left", root=run.root, code=EXIT_USER)
    assert "saved at step" in launcher("cancel", "left", root=run.root)
    assert any(layout.checkpoint_step(name) is not None for name in files(run))
    assert "Service/left" in launcher("delete", "left", root=run.root)
    nothing = lambda: not kubectl("get", "jobs,pods,services", "-o=name").stdout.strip()  # noqa: E731
    kubectl.wait_for("an empty namespace", nothing)


def test_a_run_whose_folder_was_emptied_can_be_cancelled_and_deleted(api, spec, launcher, kubectl):
    run = spec("bare", image=ABSENT)
    submit.start(run, resuming=False)
    store = open_store(run.path.url)
    for name in files(run):
        store.delete(name)
    place = ["--context", run.context, "-n", run.namespace]
    assert "gan/bare: pending" in launcher("status", "bare", *place, root=run.root)
    launcher("cancel", "bare", "--now", *place, root=run.root)
    assert is_suspended(api.get("Job", "bare"))
    assert "Job/bare" in launcher("delete", "bare", *place, root=run.root)
    assert api.get("Job", "bare") is None
