"""Contexts as kubectl would have them."""

import os
import subprocess
import threading
from pathlib import Path

import pytest
import yaml

from launcher.backends.kubernetes.jobs.context import context_of
from launcher.backends.kubernetes.jobs.record import ClusterRecord
from launcher.errors import CannotAsk, SpecError
from launcher.spec.kubeconfig import (
    Context,
    access,
    check_context,
    context_names,
    contexts,
    current,
    paths,
)
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


def test_what_a_file_says_is_no_reason_to_end_a_command_that_can_do_without(files):
    files("contexts: [")
    with pytest.raises(CannotAsk):
        current()
    check_context("any")  # told where a cluster is asked
    files(kubeconfig("kind", kind=("a", "b")))
    with pytest.raises(SpecError, match=r"'knid'.*did you mean 'kind'"):
        check_context("knid")


@pytest.fixture
def parsed(monkeypatch):
    """Count how often YAML is parsed."""
    loads, load = [], yaml.load
    monkeypatch.setattr(yaml, "load", lambda *words: loads.append(words) or load(*words))
    return loads


def test_a_file_of_many_contexts_is_parsed_once(files, parsed):
    many = {f"c{number}": ("gan", f"https://{number}") for number in range(100)}
    files(kubeconfig("c7", **many), kubeconfig(None, other=("x", "https://other")))
    record = ClusterRecord(1, "one", "gan", "c50", "https://50", 2, "2026-01-02T03:04:05Z", {})
    threads = [threading.Thread(target=current) for _ in range(8)]
    for thread in threads:
        thread.start()
    assert context_of(record) == "c50"
    assert len(contexts()) == 101
    assert access("c99").cluster["server"] == "https://99"
    for thread in threads:
        thread.join()
    assert len(parsed) == 2  # files


def test_a_file_that_changes_is_read_anew_whatever_its_times_and_size_say(files, parsed):
    [name] = files(kubeconfig("kind", kind=("gan", "https://k:1")))
    path = Path(name)
    before = path.stat()
    assert current().server == "https://k:1"
    path.write_text(path.read_text().replace("k:1", "k:2"))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert current().server == "https://k:2"
    assert current().server == "https://k:2"
    assert len(parsed) == 2


def test_a_pipe_of_the_shell_is_read_once(desk, launcher):
    """``KUBECONFIG=<(…)``, which kubectl takes, too."""
    text = yaml.safe_dump(kubeconfig("piped", piped=("gan", "http://127.0.0.1:9")))
    reader, writer = os.pipe()
    os.write(writer, text.encode())
    os.close(writer)
    environment = {**os.environ, "KUBECONFIG": f"/dev/fd/{reader}"}
    done = launcher("cron", "list", env=environment, pass_fds=[reader], cwd=desk)
    os.close(reader)
    assert done.returncode == 2
    assert done.stderr.startswith("error: no cluster reachable: context 'piped' at http://127.0.0.1:9: ")


def test_paths_are_relative_to_the_file_that_has_them(desk, monkeypatch):
    for number, folder in enumerate(("one", "two/sub")):
        config = kubeconfig(None, **{f"c{number}": (None, "https://s")})
        config["users"] = [
            {
                "name": "me" if number else "other",
                "user": {
                    "client-certificate": "x.crt",
                    "client-key": "/abs/x.key",
                    "tokenFile": "../t",
                    "exec": {"command": "./plug", "args": ["./left"]},
                },
            },
            {"name": "bare", "user": {"exec": {"command": "gcloud-plugin"}}},
        ]
        config["clusters"][0]["cluster"]["certificate-authority"] = "ca.crt"
        (desk / folder).mkdir(parents=True)
        (desk / folder / "config").write_text(yaml.safe_dump(config))
    monkeypatch.setenv("KUBECONFIG", "one/config:two/sub/config")
    found = access("c1")
    assert found.cluster["certificate-authority"] == str(desk / "two/sub/ca.crt")
    assert found.user["client-certificate"] == str(desk / "two/sub/x.crt")
    assert found.user["client-key"] == "/abs/x.key"
    assert found.user["tokenFile"] == str(desk / "two/sub/../t")
    assert found.user["exec"] == {"command": str(desk / "two/sub/plug"), "args": ["./left"]}


def test_completion_of_a_damaged_file_is_silent(files):
    files("contexts: [")
    assert context_names() == []
