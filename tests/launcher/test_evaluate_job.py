"""An evaluation by a Job: the real client and commands, a small API server, and the trainer as its pod."""

import json
import os
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

from launcher import Place, UserError, evaluate
from launcher.backends.kubernetes.jobs.record import ClusterRecord
from launcher.cli import main
from launcher.render import render
from launcher.render.evaluation import evaluation_name, render_evaluation
from launcher.render.labels import belongs, evaluates, run_of
from launcher.runs.evaluating import Wanted
from launcher.spec.runspec import make_spec
from tests.launcher.objects_server import serving
from tests.support.runs import TINY, run_here
from trainer.data import open_source
from trainer.run import layout
from trainer.storage import open_store

FEW = ("--samples", 120, "--draws", 1)
ON = {"image": "reg/gantry:1", "namespace": "team", "context": "here", "workers": 2}


class Kubelet:
    """Runs the pod of each evaluation that is released, and says how it ended, as kubelet and controller."""

    def __init__(self, api):
        self.api, self.ran = api, []
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._work, daemon=True)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._done.set()
        self._thread.join()

    def _work(self):
        while not self._done.wait(0.05):
            with self.api.lock:
                jobs = [each for (kind, *_), each in self.api.objects.items() if kind == "Job"]
            for job in jobs:
                name = job["metadata"]["name"]
                if "-eval-" in name and not job["spec"]["suspend"] and name not in self.ran:
                    self.ran.append(name)
                    self._run(job)

    def _run(self, job):
        template, name = job["spec"]["template"], job["metadata"]["name"]
        [container] = template["spec"]["containers"]
        own = {each["name"]: each["value"] for each in container["env"] if "value" in each}
        done = subprocess.run(
            [sys.executable, "-m", "trainer", *container["args"]],
            capture_output=True,
            text=True,
            env=os.environ | own,
            check=False,
        )
        ended = {"terminated": {"exitCode": done.returncode, "reason": "Error", "message": done.stderr}}
        marks = {"batch.kubernetes.io/job-name": name}
        marks |= {"batch.kubernetes.io/controller-uid": job["metadata"]["uid"]}
        index = {"batch.kubernetes.io/job-completion-index": "0"}
        metadata = {
            "name": f"{name}-0-abcde",
            "labels": {**template["metadata"]["labels"], **marks, **index},
            "annotations": {**template["metadata"]["annotations"], **index},
        }
        phase = "Failed" if done.returncode else "Succeeded"
        status = {"phase": phase, "containerStatuses": [{"name": "trainer", "state": ended}]}
        self.api.add("Pod", {"metadata": metadata, "spec": template["spec"], "status": status})
        kind = "Failed" if done.returncode else "Complete"
        with self.api.lock:
            job["status"] = {"conditions": [{"type": kind, "status": "True", "reason": "Any"}]}


@pytest.fixture(scope="module")
def trained(gcs_server, tmp_path_factory):
    """The address of a run in a bucket that has three checkpoints."""
    folder = tmp_path_factory.mktemp("images")
    np.savez(folder / "some.npz", images=open_source("digits", None).read(np.arange(400)))
    root = f"gs://runs/{folder.name}"
    assert run_here(root, f"data.source=npz:{folder}/some.npz", sets=TINY) == 0
    return root


@pytest.fixture
def cluster(tmp_path, monkeypatch):
    with serving(tmp_path) as (api, url):
        monkeypatch.setenv("KUBECONFIG", str(tmp_path / "kubeconfig"))
        monkeypatch.chdir(tmp_path)
        yield api, url


@pytest.fixture
def run(trained, cluster, gcs_root):
    """A copy of the run, submitted to the cluster."""
    source, target = open_store(f"{trained}/e/run"), open_store(f"{gcs_root}/e/run")
    for found in source.list():
        target.write(found.name, source.read(found.name))
    spec = make_spec("mlp", TINY, "run", root=gcs_root, experiment="e", **ON)
    kept = spec.model_dump(mode="json")
    record = ClusterRecord(1, "run", "team", "here", cluster[1], 2, "2026-11-30T12:00:00+00:00", kept)
    target.write(layout.CLUSTER, record.to_json())
    return spec


@pytest.fixture
def call(capsys, run):
    """Run a command about the run in this process: its exit code and what it wrote."""

    def words(verb, *more):
        with pytest.raises(SystemExit) as ended:
            main([verb, *(["e/run"] if verb != "list" else []), "--root", run.root, *map(str, more)])
        said = capsys.readouterr()
        assert "Traceback" not in said.err
        return ended.value.code, said.out, said.err

    return words


def jobs(api):
    return {name: each for (kind, _, name), each in api.objects.items() if kind == "Job"}


def put(api, spec, **wanted):
    """An evaluation of a run that is under way, as somebody else has asked for it."""
    words = [*Wanted(**wanted).words(spec.path.url), "-o", "none"]
    job = render_evaluation(spec, evaluation_name(spec.name), words)[0]
    job["spec"]["suspend"] = False
    return api.add("Job", job)


def test_a_run_of_the_cluster_is_judged_by_a_job_and_its_figures_are_printed(call, cluster, run):
    api, _ = cluster
    with Kubelet(api) as kubelet:
        code, out, err = call("evaluate", *FEW, "--step", 8, "-o", "json")
        assert code == 0, err
        found = json.loads(out)
        assert found["step"] == 8 and found["metrics"]["fd"]["samples"] == 120
        assert found["job"] == kubelet.ran[0] and "a line of its log" in err
        store = open_store(run.path.url)
        assert json.loads(store.read("evaluations/8.json"))["evaluations"] == [found]
        code, out, err = call("evaluate", *FEW, "--step", "all", "-o", "json")
        assert [each["step"] for each in json.loads(out)] == [4, 8, 12], err
        assert json.loads(out)[1] == found  # the second Job has left it out
    assert len(jobs(api)) == 2 and not [key for key in api.objects if key[0] == "Service"]
    assert [each["run"] for each in json.loads(call("list", "-o", "json")[1])] == ["run"]
    assert json.loads(call("status", "-o", "json")[1])["job"] == "run"
    api.add("Job", render(run)[0])["status"] = {"conditions": [{"type": "Complete", "status": "True"}]}
    code, out, err = call("explain")
    assert code == 0 and "eval" not in out, out + err


def test_a_script_is_given_the_figures_and_a_mistake_of_its_pod_is_its_error(cluster, run, capfd):
    api, _ = cluster
    place = Place(root=run.root, context="here", namespace="team")
    with Kubelet(api):
        [found] = evaluate("e/run", 4, place=place, samples=120, draws=1, metrics=["fd"], cpu="250m")
        assert found["step"] == 4 and [*found["metrics"]] == ["fd"]
        with pytest.raises(UserError, match="--samples 20: expected more than the 96 features"):
            evaluate("e/run", place=place, samples=20, metrics=["fd"])
    [job, _] = jobs(api).values()
    [container] = job["spec"]["template"]["spec"]["containers"]
    assert container["resources"]["requests"]["cpu"] == "250m"
    assert capfd.readouterr().out == ""
    with pytest.raises(UserError, match="gpus: expected none where a process of this machine judges"):
        evaluate("e/run", place=place, on="here", gpus=1)


def test_what_cannot_be_judged_is_refused_before_anything_is_sent(call, cluster, trained, tmp_path):
    api, _ = cluster
    for words, said in (
        (("--step", 7), "--step 7: there are checkpoints at 4, 8, 12"),
        (("--step", "best"), "--step best: there is no best.json"),
        (("--step", "last"), "--step last: expected a checkpoint's step, or newest, all, best"),
        (("--image", "gantry"), "image is 'gantry': expected a tag or a digest"),
        (("--on", "here", "--gpus", 1), "--gpus: expected none where a process of this machine judges"),
        (("--neighbours", "a.png"), "--neighbours a.png: expected none with a pod"),
    ):
        code, out, err = call("evaluate", *words)
        assert (code, out) == (2, "") and said in err, words
    assert not jobs(api)


def test_a_pod_that_refuses_ends_it_with_its_own_line(call, cluster):
    with Kubelet(cluster[0]):
        code, out, err = call("evaluate", "--samples", 20)
    last = err.splitlines()[-1]
    assert (code, out) == (2, "") and last.startswith("error: evaluation 'run-eval-")
    assert "--samples 20: expected more than the 96 features" in last


def test_the_same_that_is_under_way_is_followed_and_another_is_not(call, cluster, run):
    api, _ = cluster
    job = put(api, run, samples=120)
    code, out, err = call("evaluate", "--samples", 120, "--detach")
    assert (code, out.strip()) == (0, job["metadata"]["name"]) and "the same command follows it" in err
    assert len(jobs(api)) == 1
    code, out, _ = call("evaluate", "--samples", 121, "--detach")
    assert code == 0 and sorted(jobs(api)) == sorted([job["metadata"]["name"], out.strip()])


def test_one_that_is_removed_is_no_figures(call, cluster, run):
    api, _ = cluster
    job = put(api, run, samples=120)

    def remove():
        time.sleep(1)
        with api.lock:
            del api.objects["Job", "team", job["metadata"]["name"]]

    threading.Thread(target=remove).start()
    code, out, err = call("evaluate", "--samples", 120)
    assert (code, out) == (1, "") and "its Job was removed before it had ended" in err


def test_cancel_ends_it_and_delete_removes_what_is_left(call, cluster, run):
    api, _ = cluster
    own = api.add("Job", render(run)[0])
    own["status"] = {"conditions": [{"type": "Complete", "status": "True"}]}
    name = put(api, run, samples=120)["metadata"]["name"]
    other = make_spec("mlp", TINY, "run", root=f"{run.root}x", experiment="e", **ON)
    theirs = put(api, other)["metadata"]["name"]
    code, _, err = call("cancel")
    assert code == 0, err
    assert f"its evaluation, Job '{name}', was ended too" in err
    assert list(jobs(api)) == ["run", theirs]
    left = put(api, run)
    left["status"] = {"conditions": [{"type": "Complete", "status": "True"}]}
    code, out, _ = call("delete")
    assert code == 0 and f"Job/{left['metadata']['name']}" in out
    assert list(jobs(api)) == [theirs]


def test_a_failure_while_it_is_sent_leaves_nothing(call, cluster, monkeypatch):
    api, _ = cluster
    real = api.answer

    def refuse(method, path, query, body):
        if method == "PATCH":
            return 403, {"kind": "Status", "code": 403, "reason": "Forbidden", "message": "not you"}
        return real(method, path, query, body)

    monkeypatch.setattr(api, "answer", refuse)
    code, out, err = call("evaluate", "--samples", 120)
    assert (code, out, err) == (1, "", "error: not you\n")
    assert not jobs(api)


def test_nothing_takes_it_for_the_run_and_its_pod_is_a_workers_alone():
    spec = make_spec(
        "mlp",
        TINY,
        "one",
        root="gs://bucket/gan",
        **{
            **ON,
            "workers": 1,
            "env": {"LEVEL": "$2"},
            "google_service_account": "a@b.iam.gserviceaccount.com",
        },
    )
    name = evaluation_name("one")
    job, account = render_evaluation(spec, name, ["evaluate", "--run-dir", "gs://bucket/gan/$x"])
    for each in (job, account, {"metadata": job["spec"]["template"]["metadata"]}):
        assert evaluates(each, spec.path) and not belongs(each, spec.path) and run_of(each) is None
        assert "gantry/attempt" not in each["metadata"]["labels"]
    worker = render(spec)[0]["spec"]["template"]["spec"]
    pod = job["spec"]["template"]["spec"]
    assert pod["serviceAccountName"] == account["metadata"]["name"] == name
    assert pod["volumes"] == worker["volumes"] and pod["securityContext"] == worker["securityContext"]
    [container], [theirs] = pod["containers"], worker["containers"]
    assert container["resources"] == theirs["resources"] and container["args"][2] == "gs://bucket/gan/$$x"
    names = {each["name"] for each in container["env"]}
    assert {"LEVEL", "GANTRY_EVALUATION", "GANTRY_JOB"} <= names
    assert not names & {"GANTRY_ATTEMPT", "GANTRY_WORKERS", "GANTRY_SERVICE", "GANTRY_CONFIG"}
    assert job["spec"]["backoffLimit"] == 3 and "subdomain" not in pod
    assert len(evaluation_name("a" * 63)) <= 61


def test_gpus_are_the_workers_alone_unless_asked_for(call, cluster, run):
    api, _ = cluster
    store = open_store(run.path.url)
    record = json.loads(store.read(layout.CLUSTER))
    record["spec"] |= {"gpus": 2, "profiles": ["gpu", "nccl", "spot"]}
    store.write(layout.CLUSTER, json.dumps(record).encode())
    for words, limits, profile in (((), None, False), (("--gpus", 1), 1, True)):
        code, out, err = call("evaluate", "--detach", "--samples", 200 + len(words), *words)
        assert code == 0, err
        pod = jobs(api)[out.strip()]["spec"]["template"]["spec"]
        [container] = pod["containers"]
        assert container["resources"]["limits"].get("nvidia.com/gpu") == limits
        assert any(each["name"] == "NCCL_DEBUG" for each in container["env"]) is profile
        assert "nodeAffinity" in pod["affinity"]  # of spot, which costs it nothing
    assert not [key for key in api.objects if key[0] == "PodDisruptionBudget"]


def test_a_run_that_had_no_pods_is_sent_there_as_the_settings_say(call, cluster, run, tmp_path):
    api, _ = cluster
    open_store(run.path.url).delete(layout.CLUSTER)
    code, out, err = call("evaluate", "--on", "cluster", "--detach")
    assert (code, out) == (2, "") and "image is not given" in err
    (tmp_path / "gantry.yaml").write_text("image: reg/gantry:7\ncpu: 250m\n")
    code, out, err = call("evaluate", "--on", "cluster", "--detach")
    assert code == 0, err
    [container] = jobs(api)[out.strip()]["spec"]["template"]["spec"]["containers"]
    assert container["image"] == "reg/gantry:7" and container["resources"]["requests"]["cpu"] == "250m"


def test_a_run_in_a_folder_is_not_sent_to_a_cluster(cluster, capsys, tmp_path):
    assert run_here(tmp_path / "runs", "steps=4") == 0
    with pytest.raises(SystemExit) as ended:
        main(["evaluate", "run", "--on", "cluster", "--root", str(tmp_path / "runs")])
    err = capsys.readouterr().err
    assert ended.value.code == 2 and "expected one in a bucket, as pods reach no other; --on here" in err


def test_ctrl_c_leaves_it_running_and_says_how_to_come_back(cluster, run):
    api, _ = cluster
    words = ["evaluate", "e/run", "--root", run.root, "--samples", "120"]
    process = subprocess.Popen(
        [sys.executable, "-m", "launcher", *words], stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    said = process.stderr.readline()
    assert said.startswith("judged by Job run-eval-")
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (130, "")
    [name] = jobs(api)
    assert f"the evaluation goes on as Job {name}; the same command follows it" in err
    assert jobs(api)[name]["spec"]["suspend"] is False
