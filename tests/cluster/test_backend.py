"""The Kubernetes backend's own functions on a real cluster: all of a submission or nothing, and refusals."""

import json
import subprocess
import threading
import time
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml

from launcher.backends.kubernetes import observe, stop, submit, transport, watch
from launcher.backends.kubernetes.api import connect
from launcher.backends.kubernetes.jobs import verdict
from launcher.backends.kubernetes.record import read_record
from launcher.errors import (
    AlreadyExists,
    ApiRejected,
    ClusterLost,
    ClusterUnreachable,
    Forbidden,
    NamespaceMissing,
    NotLoggedIn,
    RunAlive,
    RunExists,
    SpecError,
)
from launcher.render import render, to_yaml
from launcher.spec import RunSpec, make_spec
from launcher.states import FAILED, RUNNING, STOPPED, parse_time
from tests.support.proxy import Proxy
from trainer import layout
from trainer.errors import GantryError
from trainer.storage import open_store

ROLE = Path(__file__).parents[2] / "docs" / "launcher-role.yaml"
SMALL = ("batch_size=12", "xla=off", "steps=100000")


@pytest.fixture(autouse=True)
def _kubeconfig(cluster, monkeypatch):
    if cluster.kubeconfig:
        monkeypatch.setenv("KUBECONFIG", cluster.kubeconfig)


@pytest.fixture
def api(cluster, namespace):
    return connect(cluster.context, namespace)


@pytest.fixture
def spec(cluster, namespace, bucket):
    """A run of one worker that trains until it is stopped; its keywords are fields of a RunSpec."""

    def make(name, overrides=SMALL, **fields):
        env = {"STORAGE_EMULATOR_HOST": cluster.storage_url} if cluster.storage_url else {}
        asked = {
            "image": cluster.image,
            "memory": "1Gi",
            "cpu": "100m",
            "threads": 1,
            "root": bucket,
            "context": cluster.context,
            "namespace": namespace,
            "env": env,
        }
        return make_spec("mlp", overrides, name, **{**asked, **fields})

    return make


@pytest.fixture
def look(api):
    """Where a run stands, as `launcher status` would find it."""

    def call(run):
        store = open_store(run.path.url)
        record = read_record(store)
        words = json.loads(store.read(layout.STATUS)) if store.stat(layout.STATUS) else None
        return observe.join(
            observe.look(api, record.job),
            words,
            parse_time(record.submitted),
            datetime.now(UTC),
            record.workers,
        )

    return call


@pytest.fixture
def until(kubectl, look):
    """Wait until a run's observation is as wanted, and return it."""

    def wait(run, wanted, what, seconds=120):
        last = []

        def holds():
            last[:] = [look(run)]
            return wanted(last[0])

        kubectl.wait_for(f"{what}: last {last}", holds, seconds)
        return last[0]

    return wait


def files(run):
    """Names of all objects in a run's folder."""
    return [found.name for found in open_store(run.path.url).list()]


def nothing_left(kubectl, run):
    """Wait until the namespace and the run's folder are as if the run had never been."""
    kinds = "jobs,pods,services,networkpolicies"
    kubectl.wait_for("an empty namespace", lambda: not kubectl("get", kinds, "-o=name").stdout.strip())
    assert files(run) == []


def without_defaults(sent, kept):
    """What the API server keeps of an object, cut to the fields that were sent."""
    if isinstance(sent, dict):
        return {key: without_defaults(value, kept.get(key, [])) for key, value in sent.items()}
    if isinstance(sent, list) and isinstance(kept, list) and len(sent) == len(kept):
        return [without_defaults(one, other) for one, other in zip(sent, kept, strict=True)]
    return kept


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
    assert begun["config"] == run.config().model_dump(mode="json")
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
    with pytest.raises(KeyboardInterrupt):
        submit.start(run, resuming=False)
    nothing_left(kubectl, run)


def test_names_that_are_taken(spec, api, kubectl, bucket):
    run = spec("same", image="localhost/gantry:absent")
    submit.start(run, resuming=False)
    with pytest.raises(RunExists, match=r"launcher resume same.*launcher delete same.*--name"):
        submit.start(run, resuming=False)
    elsewhere = spec("same", root=f"{bucket}/elsewhere")
    with pytest.raises(SpecError, match=r"has another 'same' among its jobs; choose another --name"):
        submit.start(elsewhere, resuming=False)
    assert files(elsewhere) == []
    for name in (layout.RUN, layout.CLUSTER, layout.MANIFESTS):
        open_store(run.path.url).delete(name)
    with pytest.raises(RunExists, match="still has its Job 'same'; remove it with `launcher delete same"):
        submit.start(run, resuming=False)
    with pytest.raises(RunAlive, match="launcher cancel same"):
        submit.check_idle(api, "same", run.path)
    kubectl("create", "service", "clusterip", "taken", "--tcp=80")
    with pytest.raises(SpecError, match="has another 'taken' among its services"):
        submit.start(spec("taken"), resuming=False)


def test_a_server_side_dry_run_keeps_nothing(spec, kubectl):
    run = spec("dry", profiles=("network-policy",))
    assert submit.dry_run(run) == ["Job/dry", "Service/dry", "NetworkPolicy/dry"]
    nothing_left(kubectl, run)
    with pytest.raises(NamespaceMissing, match="namespace 'absent'"):
        submit.dry_run(spec("dry", namespace="absent"))


def test_the_documented_role_is_what_it_takes(own_cluster, spec, kubectl, namespace, monkeypatch):
    monkeypatch.setenv("KUBECONFIG", own_cluster.user_kubeconfig("limited"))
    run = spec("bound", image="localhost/gantry:absent", profiles=("network-policy",))
    with pytest.raises(Forbidden) as refused:
        submit.start(run, resuming=False)
    for each in (
        "create jobs.batch",
        "get pods/log",
        "list events",
        "create networkpolicies.networking.k8s.io",
    ):
        assert each in str(refused.value)
    assert "docs/launcher-role.yaml" in str(refused.value)
    assert files(run) == []
    role, binding = yaml.safe_load_all(ROLE.read_text())
    binding["subjects"] = [{"kind": "User", "name": "limited", "apiGroup": "rbac.authorization.k8s.io"}]
    kubectl.apply(role, binding)
    api = connect(own_cluster.context, namespace)
    submit.start(run, resuming=False)
    assert [job["metadata"]["name"] for job in observe.jobs(api)] == ["bound"]
    assert observe.look(api, "bound").job is not None
    assert watch.wait(api, "bound", 0.1).end == "late"
    assert stop.cancel(api, "bound", kill=True)
    assert submit.start(run, resuming=True).job == "bound-r2"
    assert stop.cancel(api, "bound-r2", kill=True)
    assert stop.delete(api, run.path) == ["Job/bound-r2"]


def test_users_that_the_cluster_does_not_know(own_cluster, namespace, tmp_path, monkeypatch):
    known = yaml.safe_load(Path(own_cluster.kubeconfig).read_text())

    def error(user, **cluster):
        config = {**known, "users": [{"name": known["users"][0]["name"], "user": user}]}
        config["clusters"] = [
            {**known["clusters"][0], "cluster": {**known["clusters"][0]["cluster"], **cluster}}
        ]
        path = tmp_path / "config"
        path.write_text(yaml.safe_dump(config))
        monkeypatch.setenv("KUBECONFIG", str(path))
        with pytest.raises((NotLoggedIn, ClusterUnreachable)) as refused:
            connect(own_cluster.context, namespace).list("Job")
        assert "\n" not in str(refused.value)
        assert own_cluster.context in str(refused.value)
        return str(refused.value)

    assert "log in again" in error({"token": "nonsense"})
    assert "log in again" in error({})
    plugin = {"apiVersion": "client.authentication.k8s.io/v1", "interactiveMode": "Never"}
    assert "exec" in error({"exec": {**plugin, "command": "false"}})
    admin = known["users"][0]["user"]
    assert "refused" in error(admin, server="https://127.0.0.1:1")
    assert "not trusted" in error(admin, **{"certificate-authority": "/etc/ssl/certs/ca-certificates.crt"})
    assert "absent.crt" in error(admin, **{"certificate-authority": "/absent.crt"})


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"image": "localhost/gantry:absent"}, ["localhost/gantry:absent", "cannot be pulled"]),
        ({"memory": "900Gi"}, ["has no node", "memory"]),
        ({"gpus": 1}, ["has no node", "nvidia.com/gpu"]),
        ({"service_account": "absent"}, ["service account 'absent'"]),
    ],
)
def test_what_keeps_a_run_pending_is_told(spec, until, fields, words):
    run = spec("stuck", **fields)
    submit.start(run, resuming=False)
    here = until(run, lambda here: all(word in here.state.explanation for word in words), words)
    assert here.state.name == "pending"
    assert here.live


def test_a_quota_that_is_used_up_is_told(spec, until, kubectl):
    kubectl("create", "quota", "small", "--hard=pods=0")
    run = spec("over")
    submit.start(run, resuming=False)
    until(run, lambda here: "quota is used up: small" in here.state.explanation, "the quota")


def test_a_namespace_that_refuses_the_pods_is_told(spec, until, tmp_path):
    root = Path(__file__).parents[2] / "k8s"
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
    waited = watch.wait(api, "wrong", 120)
    assert waited.end == "stopped"
    assert verdict(waited.job).reason == "PodFailurePolicy"
    here = until(run, lambda here: not here.busy, "the end of its pods")
    assert here.state.name == FAILED
    assert "/absent" in here.state.explanation
    assert here.workers[0].exit_code == 2


def test_too_little_memory_is_told(api, spec, until):
    run = spec("tight", memory="128Mi", backoff_limit=0)
    submit.start(run, resuming=False)
    assert watch.wait(api, "tight", 120).end == "stopped"
    here = until(run, lambda here: here.state.name == FAILED, "the failure")
    assert "ran out of memory (its limit is 128Mi)" in here.state.explanation


def test_cancel_saves_and_keeps_the_job_and_resume_goes_on(api, spec, until, kubectl):
    run = spec("kept", workers=2)
    submit.start(run, resuming=False)
    until(run, lambda here: here.state.name == RUNNING, "the first steps")
    with pytest.raises(RunAlive):
        submit.start(run, resuming=True)
    assert stop.cancel(api, "kept")
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


def test_a_resume_that_fails_puts_the_records_back(api, spec, kubectl, monkeypatch):
    run = spec("back", image="localhost/gantry:absent")
    submit.start(run, resuming=False)
    assert stop.cancel(api, "back", kill=True)
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
    submit.start(spec("short", image="localhost/gantry:absent"), resuming=False)
    assert watch.wait(api, "short", 0.5).end == "late"
    timers = [
        threading.Timer(1, stop.request_stop, (connect(api.context, api.namespace), "short")),
        threading.Timer(1, api.delete, ("Job", "short")),
    ]
    timers[0].start()
    assert watch.wait(api, "short", 60).end == "stopped"  # suspended
    api.patch("Job", "short", {"spec": {"suspend": False}})
    timers[1].start()
    assert watch.wait(api, "short", 60).end == "gone"
    assert watch.wait(api, "short", 60).end == "gone"  # there is none


@contextmanager
def plain_proxy(cluster, folder):
    """The API server behind a proxy that can lose answers; the proxy and a kubeconfig that leads to it."""
    front = subprocess.Popen(
        ["kubectl", f"--context={cluster.context}", "proxy", "--port=0"], stdout=subprocess.PIPE, text=True
    )
    try:
        address = front.stdout.readline().strip().rpartition(" ")[2]
        with Proxy(f"http://{address}") as proxy:
            path = folder / "proxied"
            path.write_text(
                yaml.safe_dump(
                    {
                        "current-context": "proxied",
                        "contexts": [{"name": "proxied", "context": {"cluster": "proxied", "user": "me"}}],
                        "clusters": [{"name": "proxied", "cluster": {"server": proxy.url}}],
                        "users": [{"name": "me", "user": {}}],
                    }
                )
            )
            yield proxy, str(path)
    finally:
        front.kill()
        front.communicate()


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


def test_a_watch_that_is_told_its_version_is_too_old(cluster, api, spec, namespace, tmp_path, monkeypatch):
    submit.start(spec("old", image="localhost/gantry:absent"), resuming=False)
    with plain_proxy(cluster, tmp_path) as (proxy, kubeconfig):
        monkeypatch.setenv("KUBECONFIG", kubeconfig)
        proxied, waited = connect("proxied", namespace), []
        proxy.answer(410, method="GET", contains="watch=true", times=None)
        thread = threading.Thread(target=lambda: waited.append(watch.wait(proxied, "old", 60)))
        thread.start()
        stop.request_stop(api, "old")
        thread.join(60)
        assert waited[0].end == "stopped"  # seen by listing again


def test_a_server_that_stays_away_ends_in_one_line(cluster, namespace, tmp_path, monkeypatch, capsys):
    with plain_proxy(cluster, tmp_path) as (proxy, kubeconfig):
        monkeypatch.setenv("KUBECONFIG", kubeconfig)
        reached, fresh = connect("proxied", namespace), connect("proxied", namespace)
        reached.read("/version")
        reached.transport.patience = 1.0
        proxy.answer(503, times=None)
        with pytest.raises(
            ClusterLost, match=r"^the API server at http://\S+ has not answered for 1 s: status 503"
        ):
            reached.list("Job")
        assert capsys.readouterr().err.count("\n") == 1
        with pytest.raises(ClusterUnreachable, match="context 'proxied' at http://"):
            fresh.list("Job")


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


def test_credentials_of_a_plugin_are_renewed_when_they_are_refused(
    own_cluster, namespace, tmp_path, monkeypatch
):
    known = yaml.safe_load(Path(own_cluster.kubeconfig).read_text())
    user = known["users"][0]
    token, plugin, calls = user["user"]["token"], tmp_path / "plugin", tmp_path / "calls"
    answer = {"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential"}
    old, new = (json.dumps({**answer, "status": {"token": each}}) for each in ("expired", token))
    plugin.write_text(
        f"#!/bin/sh\necho >> {calls}\n[ $(wc -l < {calls}) = 1 ] && echo '{old}' || echo '{new}'\n"
    )
    plugin.chmod(0o755)
    user["user"] = {
        "exec": {"apiVersion": answer["apiVersion"], "command": str(plugin), "interactiveMode": "Never"}
    }
    path = tmp_path / "config"
    path.write_text(yaml.safe_dump(known))
    monkeypatch.setenv("KUBECONFIG", str(path))
    api = connect(own_cluster.context, namespace)
    assert api.list("Job")["items"] == []
    assert api.list("Pod")["items"] == []
    assert calls.read_text() == "\n\n"


def test_an_api_server_that_goes_away(own_cluster, api, spec, capsys):
    """For 20 s, under a wait and in the middle of a submission."""
    submit.start(spec("through", image="localhost/gantry:absent"), resuming=False)
    waited, submitted = [], []
    other = connect(api.context, api.namespace)
    manifests = render(spec("meanwhile", image="localhost/gantry:absent"))
    for each in (api, other):
        each.create(manifests[0], dry_run=True)  # both have had a first answer
    threads = [
        threading.Thread(target=lambda: waited.append(watch.wait(api, "through", 180))),
        threading.Thread(target=lambda: submitted.append(submit.create_all(other, manifests))),
    ]
    threads[0].start()
    with own_cluster.api_server.away(20):
        threads[1].start()
    threads[1].join(120)
    assert submitted[0]["spec"]["suspend"] is False
    assert not waited
    stop.request_stop(other, "through")
    threads[0].join(60)
    assert waited[0].end == "stopped"
    assert capsys.readouterr().err.count("does not answer") == 2  # once for each
    began = time.monotonic()
    with own_cluster.api_server.away(0), pytest.raises(ClusterUnreachable, match=api.context):
        connect(api.context, api.namespace).list("Job")
    assert time.monotonic() - began < 60  # first contact is not patient
