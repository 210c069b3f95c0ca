"""Contexts as kubectl would have them."""

import subprocess

import pytest
import yaml

from launcher.errors import SpecError
from launcher.kubeconfig import Context, context_names, current, paths
from tests.launcher.kubectl import KUBECTL, needs_kubectl


def kubeconfig(current_context=None, **contexts):
    """A kubeconfig whose contexts are name=(namespace, server)."""
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "users": [{"name": "me", "user": {"token": "secret"}}],
        **({"current-context": current_context} if current_context else {}),
        "clusters": [
            {"name": f"{name}-cluster", "cluster": {"server": server}}
            for name, (_, server) in contexts.items()
        ],
        "contexts": [
            {
                "name": name,
                "context": {
                    "cluster": f"{name}-cluster",
                    "user": "me",
                    **({"namespace": namespace} if namespace else {}),
                },
            }
            for name, (namespace, _) in contexts.items()
        ],
    }


@pytest.fixture
def files(desk, monkeypatch):
    """Write kubeconfigs and let KUBECONFIG list them."""

    def write(*configs):
        names = []
        for number, config in enumerate(configs):
            path = desk / f"config-{number}"
            if config is not None:
                path.write_text(config if isinstance(config, str) else yaml.safe_dump(config))
            names.append(str(path))
        monkeypatch.setenv("KUBECONFIG", ":".join(names))
        return names

    return write


def test_the_current_context_and_a_named_one(files):
    files(kubeconfig("kind", kind=("gan", "https://k:1"), gke=(None, "https://g:2")))
    assert current() == current(None) == Context("kind", "gan", "https://k:1")
    assert current("gke") == Context("gke", "default", "https://g:2")
    assert context_names() == ["gke", "kind"]


def test_of_several_files_the_first_word_counts_and_absent_ones_are_passed_over(files):
    first = kubeconfig(None, kind=("one", "https://first"))
    second = kubeconfig("gke", kind=("two", "https://second"), gke=("three", "https://g"))
    files(None, first, second)
    assert current() == Context("gke", "three", "https://g")
    assert current("kind") == Context("kind", "one", "https://first")


@needs_kubectl
def test_kubectl_reads_the_same(files):
    files(
        kubeconfig(None, kind=("one", "https://first")),
        kubeconfig("gke", kind=("two", "https://second"), gke=("three", "https://g")),
    )
    shown = subprocess.run(
        [KUBECTL, "config", "view", "--minify", "-o", "yaml"], capture_output=True, text=True, check=True
    )
    seen = yaml.safe_load(shown.stdout)
    found = current()
    assert seen["current-context"] == found.name
    assert seen["contexts"][0]["context"]["namespace"] == found.namespace
    assert seen["clusters"][0]["cluster"]["server"] == found.server


def test_without_a_kubeconfig_or_a_current_context_there_is_none(files, monkeypatch, tmp_path):
    assert current() is None
    files(kubeconfig(None, kind=("gan", "https://k")))
    assert current() is None
    files("")
    assert current() is None
    monkeypatch.delenv("KUBECONFIG")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert paths() == [tmp_path / ".kube/config"]


@pytest.mark.parametrize(
    ("config", "context", "words"),
    [
        (kubeconfig("kind", kind=("a", "b")), "knid", ["'knid'", "no such context", "did you mean 'kind'"]),
        (kubeconfig("kind", kind=("a", "b")), "xyzzy", ["'xyzzy'", "it has kind"]),
        (kubeconfig("gone", kind=("a", "b")), None, ["current context 'gone'"]),
        (None, "kind", ["context 'kind'", "does not exist"]),
        ("contexts: [", None, ["config-0", "not YAML"]),
        ("- a", None, ["config-0", "expected a mapping"]),
        ("contexts: [kind]", None, ["config-0", "contexts: expected a list of name and context"]),
    ],
)
def test_a_mistake_names_the_context_and_the_file(files, config, context, words):
    files(config)
    with pytest.raises(SpecError) as caught:
        current(context)
    text = str(caught.value)
    assert "\n" not in text
    assert "config-0" in text
    assert all(word in text for word in words), text


def test_completion_of_a_damaged_file_is_silent(files):
    files("contexts: [")
    assert context_names() == []
