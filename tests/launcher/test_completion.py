"""Completion as the shell asks for it: names of runs, quickly, and silence where there is nothing to say."""

import os
import socket
import subprocess
import sys
import threading

import pytest

from tests.launcher.run_folder import put
from tests.launcher.waiting import wait_until
from trainer.run import index
from trainer.storage import open_store


@pytest.fixture
def complete(desk):
    """What the launcher offers a shell for the last word of a line."""

    def call(line, shell="bash", **environment):
        words = line.split(" ")
        asked = {
            "bash": {"COMP_WORDS": line, "COMP_CWORD": str(len(words) - 1)},
            "zsh": {"_TYPER_COMPLETE_ARGS": line},
            "fish": {"_TYPER_COMPLETE_ARGS": line, "_TYPER_COMPLETE_FISH_ACTION": "get-args"},
        }[shell]
        done = subprocess.run(
            [
                sys.executable,
                "-c",
                "import sys; sys.argv[0] = 'launcher'; from launcher.cli import app; app()",
            ],
            env=os.environ
            | {"_LAUNCHER_COMPLETE": f"complete_{shell}", "PYTHONPATH": os.environ["PYTEST_ROOT"]}
            | asked
            | environment,
            cwd=desk,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.stderr == ""
        return done.stdout.split()

    return call


@pytest.fixture(autouse=True)
def source(request, monkeypatch):
    monkeypatch.setenv("PYTEST_ROOT", str(request.config.rootpath))


@pytest.fixture
def runs(desk):
    for path in ("gan/first", "gan/second", "gan/both", "digits/both", "digits/seven"):
        put(desk / "runs" / path, "run.json", {"format": 1})


def test_names_of_runs(runs, complete):
    assert complete("launcher status ") == ["digits/both", "first", "gan/both", "second", "seven"]
    assert complete("launcher logs se") == ["second", "seven"]
    assert complete("launcher tensorboard first se") == ["second", "seven"]
    assert complete("launcher status dig") == ["digits/both", "digits/seven"]
    assert complete("launcher artifacts download gan/") == ["gan/both", "gan/first", "gan/second"]


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_other_shells(runs, complete, shell):
    assert any("first" in word for word in complete("launcher status fi", shell))


def test_the_root_of_the_line_and_of_the_environment(runs, complete, desk):
    (desk / "runs").rename(desk / "others")
    assert complete("launcher status fi") == []
    assert complete("launcher status --root others fi") == ["first"]
    assert complete("launcher status fi", GANTRY_ROOT="others") == ["first"]


def test_what_is_wrong_is_not_said_while_one_types(complete, desk):
    assert complete("launcher status x", GANTRY_ROOT="s3://nowhere") == []
    (desk / "gantry.yaml").write_text("rooot: [")
    assert complete("launcher status x") == []


def test_runs_of_a_bucket_come_from_its_index_and_its_folders(complete, gcs_root):
    store = open_store(gcs_root)
    store.write("gan/fresh/run.json", b"{}")
    store.write("gan/first/run.json", b'{"format": 1, "created": "2026-01-02T03:04:05+00:00", "config": {}}')
    index.rebuild(open_store(f"{gcs_root}/gan"))
    store.delete("gan/first/run.json")  # the index alone knows it now
    wait_until(  # a busy machine may take longer than the patience of a shell
        lambda: complete("launcher status f", GANTRY_ROOT=gcs_root) == ["first", "fresh"], "both names"
    )


def test_a_bucket_that_does_not_answer_offers_nothing(complete):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        held = []
        threading.Thread(target=lambda: held.append(silent.accept()), daemon=True).start()
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        assert complete("launcher status f", GANTRY_ROOT="gs://b/p", STORAGE_EMULATOR_HOST=url) == []
        assert held  # it was asked
