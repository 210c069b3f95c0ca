"""All of a submission or nothing, on a real cluster."""

import json

import pytest

from launcher.backends.kubernetes.client import transport
from launcher.backends.kubernetes.client.api import connect
from launcher.backends.kubernetes.jobs import stop, submit
from launcher.backends.kubernetes.jobs.record import read_record
from launcher.backends.kubernetes.status import observe
from launcher.errors import (
    AlreadyExists,
    ApiRejected,
    ClusterLost,
    Interrupted,
    NamespaceMissing,
    RunAlive,
    RunExists,
    SpecError,
)
from launcher.render import render, to_yaml
from launcher.spec.runspec import RunSpec
from tests.cluster.backend.helpers import files, nothing_left, own, plain_proxy, without_defaults
from trainer.config import RunConfig
from trainer.errors import GantryError
from trainer.run import layout
from trainer.storage import open_store


def test_a_submission_is_what_render_prints(api, spec, kubectl):
    run = spec("exact", image="localhost/gantry:absent", workers=2, profiles=("network-policy",))
    started = submit.start(run, resuming=False)
    assert (started.job, started.attempt, started.path) == ("exact", 1, run.path)
    manifests = render(run)
    assert [manifest["kind"] for manifest in manifests] == ["Job", "Service", "NetworkPolicy"]
    manifests[0]["spec"]["suspend"] = False  # as it is set going in the end
    job = api.get("Job", "exact")
    for manifest in manifests:
        kept = api.get(manifest["kind"], manifest["metadata"]["name"])
        assert without_defaults(manifest, kept) == manifest
        if manifest["kind"] != "Job":
            (owner,) = kept["metadata"]["ownerReferences"]
            assert (owner["uid"], owner["blockOwnerDeletion"]) == (job["metadata"]["uid"], True)
    store = open_store(run.path.url)
    assert store.read(layout.MANIFESTS).decode() == to_yaml(render(run))
    record = read_record(store)
    assert RunSpec(**record.spec) == run
    assert (record.namespace, record.context, record.server) == (api.namespace, api.context, api.server)
    begun = json.loads(store.read(layout.RUN))
    assert RunConfig.model_validate(begun["config"]) == run.config()
    assert begun["image"] == run.image
    kubectl.wait_for("two pods", lambda: len(kubectl.get("pods")["items"]) == 2)


def test_the_audit_log_holds_what_render_prints(own_cluster, spec, namespace):
    run = spec("heard", image="localhost/gantry:absent")
    submit.start(run, resuming=False)
    entries = [
        entry
        for entry in own_cluster.audit.entries(namespace)
        if entry["verb"] == "create"
        and "dryRun" not in entry["requestURI"]
        and entry["user"]["username"] == "admin"
    ]
    sent = [
        entry["requestObject"] for entry in entries if entry["objectRef"]["resource"] in ("jobs", "services")
    ]
    rendered = render(run)
    assert [each["kind"] for each in sent] == ["Job", "Service"]
    for each, manifest in zip(sent, rendered, strict=True):
        assert without_defaults(manifest, each) == manifest


def test_a_child_that_is_refused_takes_all_back(api, spec, kubectl, monkeypatch):
    kubectl("create", "quota", "none", "--hard=count/services=0")
    kubectl.wait_for("the quota's count", lambda: kubectl.get("quota", "none").get("status", {}).get("used"))
    run = spec("undone")
    with pytest.raises(SpecError, match="exceeded quota"):  # known before anything is kept
        submit.start(run, resuming=False)
    nothing_left(kubectl, run)
    monkeypatch.setattr(submit, "preflight", lambda *_: None)  # as if it became full in this moment
    with pytest.raises(ApiRejected, match="exceeded quota"):
        submit.start(run, resuming=False)
    nothing_left(kubectl, run)


def test_an_interrupted_submission_takes_all_back(spec, kubectl, monkeypatch):
    def interrupt(child, job):
        raise KeyboardInterrupt

    monkeypatch.setattr(submit, "owned", interrupt)  # Ctrl-C between the Job and its Service
    run = spec("interrupted")
    with pytest.raises(Interrupted, match="what was sent has been taken back"):
        submit.start(run, resuming=False)
    nothing_left(kubectl, run)


def test_names_that_are_taken(spec, api, kubectl, bucket):
    run = spec("same", image="localhost/gantry:absent")
    submit.start(run, resuming=False)
    with pytest.raises(RunExists, match=r"launcher resume gan/same.*launcher delete gan/same.*--name"):
        submit.start(run, resuming=False)
    elsewhere = spec("same", root=f"{bucket}/elsewhere")
    with pytest.raises(
        SpecError,
        match=r"has Job 'same', which is of run 'gan/same' in root .*, such as --name gan-same",
    ):
        submit.start(elsewhere, resuming=False)
    assert files(elsewhere) == []
    for name in (layout.RUN, layout.CLUSTER, layout.MANIFESTS):
        open_store(run.path.url).delete(name)
    with pytest.raises(RunExists, match="still has its Job 'same'; remove it with `launcher delete gan/same"):
        submit.start(run, resuming=False)
    with pytest.raises(RunAlive, match="launcher cancel gan/same"):
        submit.check_idle(own(api, run))
    kubectl("create", "service", "clusterip", "taken", "--tcp=80")
    with pytest.raises(SpecError, match="has Service 'taken', which is of somebody else's making"):
        submit.start(spec("taken"), resuming=False)


def test_a_server_side_dry_run_keeps_nothing(spec, kubectl):
    run = spec("dry", profiles=("network-policy",))
    judged = [f"{each['kind']}/{each['metadata']['name']}" for each in submit.dry_run(run)]
    assert judged == ["Job/dry", "Service/dry", "NetworkPolicy/dry"]
    nothing_left(kubectl, run)
    with pytest.raises(NamespaceMissing, match="namespace 'absent'"):
        submit.dry_run(spec("dry", namespace="absent"))


def test_a_resume_that_fails_puts_the_records_back(api, spec, kubectl, monkeypatch):
    run = spec("back", image="localhost/gantry:absent")
    submit.start(run, resuming=False)
    assert stop.cancel(own(api, run), kill=True)
    store = open_store(run.path.url)
    before = {name: store.read(name) for name in files(run)}
    kubectl("create", "quota", "none", "--hard=count/services=1")
    kubectl.wait_for("the quota's count", lambda: kubectl.get("quota", "none").get("status", {}).get("used"))
    monkeypatch.setattr(submit, "preflight", lambda *_: None)
    with pytest.raises(ApiRejected, match="exceeded quota"):
        submit.start(run, resuming=True)
    assert {name: store.read(name) for name in files(run)} == before
    names = lambda: [job["metadata"]["name"] for job in observe.jobs(api)]  # noqa: E731
    kubectl.wait_for("only the old Job", lambda: names() == ["back"])


def test_lost_answers_do_no_harm(cluster, spec, namespace, tmp_path, monkeypatch, kubectl):
    with plain_proxy(cluster, tmp_path) as (proxy, kubeconfig):
        monkeypatch.setenv("KUBECONFIG", kubeconfig)
        api = connect("proxied", namespace)
        api.read("/version")
        manifests = render(spec("lost", context="proxied", image="localhost/gantry:absent"))
        for method, resource in (("POST", "jobs"), ("POST", "services"), ("PATCH", "jobs")):
            proxy.drop_answer(method=method, contains=resource)
        job = submit.create_all(api, manifests)  # the names are taken the second time: by us
        assert job["spec"]["suspend"] is False
        assert api.made(job)
        other = connect("proxied", namespace)
        with pytest.raises(AlreadyExists):
            submit.create_all(other, manifests)
        submit.remove_all(other, manifests)
        assert api.get("Job", "lost") is not None  # not theirs to remove
        proxy.answer(503, method="DELETE", times=2)
        submit.remove_all(api, manifests)
        kubectl.wait_for("its end", lambda: api.get("Job", "lost") is None)


def test_a_submission_that_loses_the_server_tells_what_is_left(
    cluster, api, spec, kubectl, tmp_path, monkeypatch
):
    monkeypatch.setattr(transport, "PATIENCE", 1.0)
    monkeypatch.setattr(submit, "_UNDO_PATIENCE", 1.0)
    run = spec("cut", context="proxied", image="localhost/gantry:absent")
    with plain_proxy(cluster, tmp_path) as (proxy, kubeconfig):
        monkeypatch.setenv("KUBECONFIG", kubeconfig)
        proxy.answer(503, method="POST", contains="/services?fieldManager", times=None, skip=1)  # the dry run
        with pytest.raises(ClusterLost):
            submit.start(run, resuming=False)
        nothing_left(kubectl, run)
    with plain_proxy(cluster, tmp_path) as (proxy, kubeconfig):
        monkeypatch.setenv("KUBECONFIG", kubeconfig)
        proxy.answer(503, method="PATCH", times=None)
        proxy.answer(503, method="DELETE", times=None)
        with pytest.raises(GantryError, match=r"not all could be taken back.*Job 'cut' in namespace"):
            submit.start(run, resuming=False)
        assert layout.CLUSTER in files(run)  # so that `launcher delete` finds it
    assert stop.delete(api, run.path) == ["Job/cut"]
