"""Ctrl-C while a cluster is asked: one line that says what was sent, however often it is pressed."""

import signal
import socket
import subprocess
import sys
import time

import pytest
import yaml

FLAGS = ["--preset", "mlp", "--image", "registry/gantry:test", "--root", "gs://bucket/gan", "--memory", "1Gi"]


@pytest.fixture
def silent(desk, monkeypatch):
    """A port at which somebody listens who never says a word: the API server's and that of storage."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(60)
        address = f"127.0.0.1:{listener.getsockname()[1]}"
        config = {
            "apiVersion": "v1", "kind": "Config", "current-context": "c",
            "users": [{"name": "u", "user": {}}],
            "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u", "namespace": "team"}}],
            "clusters": [{"name": "c", "cluster": {"server": f"https://{address}"}}],
        }  # fmt: skip
        (desk.parent / "kubeconfig").write_text(yaml.safe_dump(config))
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", f"http://{address}")
        yield listener


@pytest.mark.parametrize("times", [1, 2, 5])
@pytest.mark.parametrize("words", ["submit --name one", "cron create one --schedule @weekly"])
def test_nothing_was_sent(silent, desk, words, times):
    command = [sys.executable, "-P", "-m", "launcher", *words.split(), *FLAGS]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=desk)
    caller, _ = silent.accept()
    for _ in range(times):
        process.send_signal(signal.SIGINT)
        time.sleep(0.05)
    out, err = process.communicate(timeout=120)
    caller.close()
    assert out == ""
    if times == 1:
        assert (process.returncode, err) == (130, "error: interrupted: nothing was sent\n")
    assert process.returncode in (130, -signal.SIGINT)
    assert "Traceback" not in err and err.count("\n") <= 1
