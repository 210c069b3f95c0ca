"""Who may connect, what it takes, and what happens when the API server goes away."""

import json
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml

from launcher.backends.kubernetes.client import api as api_module
from launcher.backends.kubernetes.client.api import connect
from launcher.backends.kubernetes.jobs import stop, submit
from launcher.backends.kubernetes.status import observe, watch
from launcher.errors import (
    ClusterLost,
    ClusterUnreachable,
    Forbidden,
    NotLoggedIn,
)
from launcher.render import render
from tests.cluster.backend.helpers import files, own, plain_proxy
from tests.cluster.explain_stage import cluster_wide
from tests.cluster.flags import on
from tests.launcher.api_server import Plugin

ROLE = Path(__file__).parents[3] / "docs" / "launcher-role.yaml"


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
    assert observe.look(own(api, run)).job is not None
    assert watch.wait(own(api, run), 0.1).end == "late"
    assert stop.cancel(own(api, run), kill=True)
    assert submit.start(run, resuming=True).job == "bound-r2"
    assert stop.cancel(own(api, run, 2), kill=True)
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


def _users_kubeconfig(own_cluster, path, user):
    """The cluster's kubeconfig with other credentials."""
    known = yaml.safe_load(Path(own_cluster.kubeconfig).read_text())
    known["users"][0]["user"] = user
    path.write_text(yaml.safe_dump(known))
    return {"KUBECONFIG": str(path)}


def test_one_submit_runs_a_plugin_once(launcher, own_cluster, namespace, bucket, tmp_path):
    known = yaml.safe_load(Path(own_cluster.kubeconfig).read_text())
    soon = (datetime.now(UTC) + timedelta(seconds=20)).isoformat()
    token = known["users"][0]["user"]["token"]
    plugin = Plugin(tmp_path / "plugin").gives(token, expirationTimestamp=soon)
    env = _users_kubeconfig(own_cluster, tmp_path / "config", plugin.user())
    flags = [*on(own_cluster, namespace, bucket), "--image", "localhost/gantry:absent"]
    launcher("submit", "--preset", "mlp", "--name", "once", *flags, env=env, check=True)
    assert len(plugin.runs) == 1
    launcher("delete", "once", "--force", "--root", bucket, env=env, check=True)


def test_a_token_that_has_expired_is_a_note_where_the_folder_has_the_answer(
    launcher, own_cluster, namespace, bucket, spec, tmp_path
):
    run = spec("kept", image="localhost/gantry:absent")
    submit.start(run, resuming=False)
    env = _users_kubeconfig(own_cluster, tmp_path / "config", {"token": "expired"})
    listed = launcher("list", "--root", bucket, env=env, check=True)
    assert "kept" in listed.stdout
    assert listed.stderr.startswith("note: the table is of the files alone: context")
    told = launcher("status", "kept", "--root", bucket, env=env, check=True).stdout
    assert "the cluster cannot be asked" in told
    assert "log in again" in told
    refused = launcher("cancel", "kept", "--root", bucket, env=env)
    assert (refused.returncode, refused.stdout, refused.stderr.count("\n")) == (2, "", 1)
    stop.cancel(own(connect(own_cluster.context, namespace), run), kill=True)


def test_a_broken_webhook_is_judged_at_once(launcher, own_cluster, namespace, bucket, spec, kubectl):
    rule = {"apiGroups": ["batch"], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["jobs"]}
    broken = {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingWebhookConfiguration",
        "metadata": {"name": namespace},
        "webhooks": [
            {
                "name": "jobs.gantry.test",
                "clientConfig": {"url": "https://127.0.0.1:1/"},
                "rules": [rule],
                "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}},
                "failurePolicy": "Fail",
                "sideEffects": "None",
                "admissionReviewVersions": ["v1"],
                "timeoutSeconds": 2,
            }
        ],
    }
    run = spec("broken", image="localhost/gantry:absent")
    with cluster_wide(kubectl, broken):

        def refused():
            done = launcher(
                "submit", "--preset", "mlp", "--name", "broken", *on(own_cluster, namespace, bucket)
            )
            if done.returncode == 0:  # the API server has not read of the webhook yet
                launcher("delete", "broken", "--root", bucket, "--artifacts", "--yes", "--force")
            return done if done.returncode else None

        done = kubectl.wait_for("a refusal", refused)
        assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1), done.stderr
        assert 'failed calling webhook "jobs.gantry.test"' in done.stderr
        assert "connection refused" in done.stderr
    assert files(run) == []


def test_a_list_is_the_same_in_pages(api, kubectl, monkeypatch):
    monkeypatch.setattr(api_module, "_PAGE", 2)
    names = [f"page-{number}" for number in range(5)]
    kubectl.apply(
        *(
            {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": each, "labels": {"page": "yes"}}}
            for each in names
        )
    )
    listed = api.list("ConfigMap", "page=yes")
    assert [each["metadata"]["name"] for each in listed["items"]] == names
    kubectl("delete", "configmap", names[3])
    events = api.watch("ConfigMap", "page=yes", listed["metadata"]["resourceVersion"], 30)
    seen = next(
        (event["type"], event["object"]["metadata"]["name"])
        for event in events
        if event["type"] != "BOOKMARK"
    )
    assert seen == ("DELETED", names[3])


def test_a_watch_that_is_told_its_version_is_too_old(cluster, api, spec, namespace, tmp_path, monkeypatch):
    run = spec("old", image="localhost/gantry:absent")
    submit.start(run, resuming=False)
    with plain_proxy(cluster, tmp_path) as (proxy, kubeconfig):
        monkeypatch.setenv("KUBECONFIG", kubeconfig)
        proxied, waited = connect("proxied", namespace), []
        proxy.answer(410, method="GET", contains="watch=true", times=None)
        thread = threading.Thread(target=lambda: waited.append(watch.wait(own(proxied, run), 60)))
        thread.start()
        stop.request_stop(own(api, run))
        thread.join(60)
        assert waited[0].end == "stopped"  # seen by listing again


def test_a_server_that_stays_away_ends_in_one_line(cluster, namespace, tmp_path, monkeypatch, capsys):
    with plain_proxy(cluster, tmp_path) as (proxy, kubeconfig):
        monkeypatch.setenv("KUBECONFIG", kubeconfig)
        reached, fresh = connect("proxied", namespace), connect("proxied", namespace)
        reached.read("/version")
        reached.transport.patience = 5.0  # for more than two tries, of which nothing is said
        proxy.answer(503, times=None)
        with pytest.raises(
            ClusterLost, match=r"^the API server at http://\S+ has answered with errors for 5 s: status 503"
        ):
            reached.list("Job")
        assert capsys.readouterr().err.count("\n") == 1
        fresh.transport.first_patience = 0.5
        with pytest.raises(ClusterUnreachable, match="context 'proxied' at http://"):
            fresh.list("Job")


@pytest.mark.alone
def test_an_api_server_that_goes_away(outage, api, spec, capsys, kubectl):
    """For a minute, under a wait and in the middle of a submission."""
    run = spec("through", image="localhost/gantry:absent")
    submit.start(run, resuming=False)
    waited, submitted = [], []
    other = connect(api.context, api.namespace)
    manifests = render(spec("meanwhile", image="localhost/gantry:absent"))
    for each in (api, other):
        each.create(manifests[0], dry_run=True)  # both have had a first answer
    threads = [
        threading.Thread(target=lambda: waited.append(watch.wait(own(api, run), 900))),
        threading.Thread(target=lambda: submitted.append(submit.create_all(other, manifests))),
    ]
    threads[0].start()
    with outage():
        threads[1].start()
        # First contact is not patient: else it would come through.
        with pytest.raises(ClusterUnreachable, match=api.context):
            connect(api.context, api.namespace).list("Job")
    threads[1].join(120)
    assert submitted[0]["spec"]["suspend"] is False
    assert not waited
    stop.request_stop(own(other, run))
    threads[0].join(60)
    assert waited[0].end == "stopped"
    assert capsys.readouterr().err.count("does not answer") >= 2  # once for each
