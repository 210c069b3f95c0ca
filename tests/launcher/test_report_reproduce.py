"""The line of a report that asks for the same run again."""

import dataclasses
import json
import shlex

import pytest
import typer

from launcher.backends.kubernetes.jobs.record import ClusterRecord
from launcher.cli import app
from launcher.commands.options import RunFlags
from launcher.looking.report.reproduce import reproducible, submit_line
from launcher.records.run_folder import find_run
from launcher.spec.runspec import make_spec
from tests.launcher.run_folder import put, write_run


def read_back(line):
    """The specification that the command line makes of a line, without running it."""
    words = shlex.split(line)
    assert words[:2] == ["launcher", "submit"]
    command = typer.main.get_command(app).commands["submit"]
    given = command.make_context("submit", words[2:]).params
    return RunFlags(**{field.name: given[field.name] for field in dataclasses.fields(RunFlags)}).spec()


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"workers": 4, "threads": 2, "experiment": "digits", "root": "a folder/of 'runs'"},
        {"overrides": ("steps=7", "data.source=images:/a b/$HOME", "network.generator_units=[8, 16]")},
        {
            "image": "registry/gantry:1.0",
            "root": "gs://bucket/gan",
            "workers": 2,
            "gpus": 1,
            "cpu": "500m",
            "memory": "8Gi",
            "namespace": "team",
            "profiles": ("spot",),
            "queue": "gpu-queue",
            "env": {"LEVEL": "2", "NAME": "two words", "MY_TOKEN": "none of a kind"},
            "env_plain": ("MY_TOKEN",),
            "env_secrets": {"HF_TOKEN": "hub/token"},
            "backoff_limit": 0,
            "ttl_seconds_after_finished": 60,
            "active_deadline_seconds": 3600,
            "grace_seconds": 90,
        },
        {"backend": "kubernetes", "root": "gs://bucket/p", "image": "reg/b:1", "image_pull_policy": "Never"},
    ],
)
def test_the_line_asks_for_the_same_run(desk, values):
    spec = make_spec("mlp", name="one", **{"root": "runs", **values})
    again = read_back(submit_line(spec.model_dump(mode="json")))
    assert again.model_dump(exclude={"name"}) == spec.model_dump(exclude={"name"})


def test_a_run_of_a_cluster_is_asked_for_as_it_was_submitted(tmp_path):
    write_run(tmp_path / "gan/one")
    spec = make_spec("mlp", name="one", root="gs://bucket/gan", image="reg/b:1", env={"LEVEL": "2"})
    values = spec.model_dump(mode="json")
    values["env"]["API_TOKEN"] = "hunter2-and-more"  # a record of before such names were refused
    record = ClusterRecord(1, "one", "team", "kind", "https://cluster", 1, "2026-01-02T03:04:05", values)
    put(tmp_path / "gan/one", "cluster.json", record.to_json().decode())
    line = submit_line(reproducible(find_run(str(tmp_path), "one"), {}))
    assert "--root gs://bucket/gan --image reg/b:1 --env LEVEL=2 --env API_TOKEN=..." in line
    assert "hunter2" not in line


def test_a_run_that_was_trained_by_hand(tmp_path):
    folder = write_run(tmp_path / "gan/one")
    run = json.loads((folder / "run.json").read_text())
    line = submit_line(reproducible(find_run(str(tmp_path), "one"), run))
    assert line == (
        "launcher submit --preset mlp --set steps=200 --set metrics.every_steps=5 "
        f"--root {tmp_path} --workers 2"
    )


def test_no_line_where_nothing_says_how_it_was_asked_for(tmp_path):
    put(tmp_path / "gan/one", "status.json", {"state": "starting"})
    assert submit_line(reproducible(find_run(str(tmp_path), "one"), {})) is None
