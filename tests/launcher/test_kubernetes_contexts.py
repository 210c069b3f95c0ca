"""Which context a run's cluster is reached by, from a workstation that may call it otherwise."""

import json

import pytest

from launcher.backends.kubernetes.jobs.context import context_of
from launcher.backends.kubernetes.jobs.record import ClusterRecord
from launcher.errors import ClusterUnreachable

RECORD = ClusterRecord(1, "one", "team", "prod", "https://a:6443", 2, "2026-01-02T03:04:05Z", {})


@pytest.fixture
def kubeconfig(tmp_path, monkeypatch):
    """Write contexts by name and server."""

    def write(**servers):
        content = {
            "current-context": next(iter(servers), None),
            "contexts": [{"name": name, "context": {"cluster": name}} for name in servers],
            "clusters": [{"name": name, "cluster": {"server": server}} for name, server in servers.items()],
        }
        path = tmp_path / "config"
        path.write_text(json.dumps(content))
        monkeypatch.setenv("KUBECONFIG", str(path))

    return write


def test_the_context_of_the_same_name_and_cluster(kubeconfig):
    kubeconfig(other="https://a:6443", prod="https://a:6443")
    assert context_of(RECORD) == "prod"


def test_another_name_for_the_same_cluster(kubeconfig):
    kubeconfig(prod="https://b:6443", mine="https://a:6443")
    assert context_of(RECORD) == "mine"


def test_the_same_name_for_another_cluster_is_not_asked(kubeconfig):
    kubeconfig(prod="https://b:6443")
    with pytest.raises(ClusterUnreachable, match=r"submitted to https://a:6443 as context 'prod'"):
        context_of(RECORD)


def test_without_a_kubeconfig_there_is_nothing_to_choose(tmp_path, monkeypatch):
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    assert context_of(RECORD) is None
