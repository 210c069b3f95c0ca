"""``python -m trainer`` as a user types it."""

import json
import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from trainer.augment import AUGMENTATIONS
from trainer.config import preset_about, preset_names, resolve
from trainer.data import open_source
from trainer.losses import LOSSES
from trainer.networks.sizes import sizes
from trainer.regularizers import REGULARIZERS


def trainer(*arguments, env=None):
    return subprocess.run(
        [sys.executable, "-m", "trainer", *arguments],
        env=os.environ | (env or {}), capture_output=True, text=True, timeout=150,
    )  # fmt: skip


def refused(result, *parts):
    """One line, exit code 2, no traceback."""
    assert result.returncode == 2, result
    assert result.stderr.startswith("error: ") and result.stderr.count("\n") == 1, result.stderr
    assert all(part in result.stderr for part in parts), result.stderr


def test_presets_are_listed():
    result = trainer("presets")
    assert result.returncode == 0
    assert [line.split()[0] for line in result.stdout.splitlines()] == preset_names()
    assert "took 1.4 min on 2 cores" in result.stdout
    assert re.search(r"^dcgan64 .* about \d\d h on 2 cores$", result.stdout, re.MULTILINE)


def test_presets_are_a_list_of_what_they_train_and_cost():
    found = {each["name"]: each for each in json.loads(trainer("presets", "-o", "json").stdout)}
    assert list(found) == preset_names()
    keys = {"name", "description", "data", "cost", "trained_here", "stateful"}
    assert all(set(each) == keys and each["cost"]["minutes"] > 0 for each in found.values())
    assert found["demo"]["cost"] == {"images": 204_800, "minutes": 1.4, "measured": True, "cores": 2}
    assert found["dcgan64"]["cost"]["measured"] is False and found["dcgan64"]["data"] == "images:data"
    [stateful] = [each for each in found.values() if each["stateful"]]
    assert stateful["trained_here"]
    kinds = {name: sum(count > 0 for count in sizes(resolve(name)).state.values()) for name in found}
    assert kinds[stateful["name"]] == max(kinds[name] for name in found if found[name]["trained_here"])


@pytest.mark.parametrize("name", preset_names())
def test_a_preset_that_was_trained_is_shown_where_it_says(name):
    if trained := preset_about(name).trained:
        page = Path(__file__).parents[2] / trained.shown
        assert f"`{name}`" in page.read_text(encoding="utf-8")


def test_parts_are_listed_by_group_with_their_papers():
    as_text, as_json = trainer("parts"), trainer("parts", "-o", "json")
    groups = json.loads(as_json.stdout)
    names = {group: [part["name"] for part in those] for group, those in groups.items()}
    assert names["losses"] == list(LOSSES) and names["regularizers"] == [
        *REGULARIZERS,
        "spectral_norm",
        "packing",
    ]
    assert names["augmentations"] == [*AUGMENTATIONS, "flip"]
    assert names["networks"] == ["mlp", "dcgan", "sngan", "r3gan"] and names["averaging"] == ["ema"]
    assert names["optimizers"] == ["adam", "gradient_accumulation"]
    for group, those in groups.items():
        assert all(part["line"] and f"  {part['name']} " in as_text.stdout for part in those)
        without = group in ("metrics", "modalities")
        assert without or all("arXiv" in part["paper"] for part in those), group


def test_presets_and_configurations_need_neither_tensorflow_nor_numpy():
    code = (
        "import sys, trainer.cli; print(sorted({'tensorflow', 'keras', 'numpy', 'PIL'} & sys.modules.keys()))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert result.stdout.strip() == "[]", result


def test_the_resolved_configuration_is_printed_as_yaml_and_json():
    arguments = ["config", "--preset", "mlp", "--set", "optimizer.beta1=0.9"]
    as_yaml, as_json = trainer(*arguments), trainer(*arguments, "-o", "json")
    assert yaml.safe_load(as_yaml.stdout) == json.loads(as_json.stdout)
    assert json.loads(as_json.stdout)["optimizer"]["beta1"] == 0.9


def test_describe_counts_the_pages_networks():
    result = trainer("describe", "--preset", "mlp", "-o", "json")
    found = json.loads(result.stdout)
    assert found["generator"]["parameters"] == 1_506_448
    assert found["discriminator"]["parameters"] == 1_460_225
    g, d = (
        2 * (100 * 128 + 128 * 256 + 256 * 512 + 512 * 1024 + 1024 * 784),
        2 * (784 * 1024 + 1024 * 512 + 512 * 256 + 256),
    )
    assert found["flop_per_image"] == 2 * (3 * d - 2 * 784 * 1024) + 2 * d + 3 * g - 2 * 100 * 128
    assert found["memory_bytes_per_replica"]["weights"] == 4 * (1_506_448 + 1_460_225)
    run = found["run"]
    assert (run["images"], run["steps"], run["cores"], run["measured"]) == (640_000, 10_000, 2, False)
    assert run["seconds_per_1000_images"] == pytest.approx(60_000 * run["minutes"] / run["images"], abs=1e-3)
    assert found["proposed"] == {
        "regularizers.r1.weight": "0.0012",
        "regularizers.r1.every": "16",
        "averaging.half_life_images": "20000",
        "evaluation.every_steps": "550",
    }
    text = trainer("describe", "--preset", "dcgan64", "--replicas", "2")
    assert "18,858,883 parameters" in text.stdout and text.stderr == ""
    assert "a run: 6,400,000 images in 50,000 steps" in text.stdout and "h on 2 cores" in text.stdout
    assert "ema is off" in text.stdout and "--set averaging.half_life_images=40000" in text.stdout


TRAIN = ["train", "--preset", "mlp", "--experiment", "e", "--run", "r", "--root"]


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (
            ["train", "--preset", "mpl", "--root", "{root}", "--experiment", "e", "--run", "r"],
            ["mpl", "'mlp'"],
        ),
        ([*TRAIN, "{root}", "--set", "optimiser.beta1=1"], ["optimiser.beta1", "optimizer.beta1"]),
        ([*TRAIN, "{root}", "--set", "batch_size=0"], ["batch_size", "0"]),
        ([*TRAIN, "{root}", "--set", "steps"], ["--set steps", "key=value"]),
        (
            ["train", "--preset", "mlp", "--root", "{root}", "--experiment", "E", "--run", "r"],
            ["experiment 'E'"],
        ),
        ([*TRAIN, "s3://bucket"], ["s3://bucket", "gs://"]),
        ([*TRAIN, "{root}", "--set", "data.source=idx:absent"], ["/absent does not exist"]),
        (["sample", "--run-dir", "{root}", "--out", "{root}/grid.png"], ["run.json"]),
        (["sample", "--run-dir", "{root}", "--out", "{root}/grid.gif"], ["grid.gif", ".png"]),
        (["describe", "--preset", "mlp", "--replicas", "3"], ["batch_size 64", "3"]),
        (["data", "show", "idx:absent"], ["idx:absent"]),
    ],
)
def test_bad_input_is_one_line_and_writes_nothing(tmp_path, arguments, parts):
    refused(trainer(*[argument.format(root=tmp_path) for argument in arguments]), *parts)
    assert not list(tmp_path.iterdir())


def test_the_root_may_stand_in_the_environment(tmp_path):
    root = str(tmp_path / "file")
    (tmp_path / "file").touch()
    refused(trainer(*TRAIN[:-1], env={"GANTRY_ROOT": root}), f"root {root}", "expected a folder")
    assert "--root" in trainer(*TRAIN[:-1], env={"GANTRY_ROOT": ""}).stderr


@pytest.mark.parametrize(
    ("config", "parts"),
    [
        ("{", ["TF_CONFIG", "not JSON"]),
        ({"worker": ["127.0.0.1:{port}", "127.0.0.1:1"]}, ["port {port}", "in use"]),
        ({"worker": ["a:1", "b:1", "c:1"]}, ["batch_size 64", "3"]),
    ],
)
def test_a_bad_tf_config_is_one_line_and_writes_nothing(tmp_path, config, parts):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        if isinstance(config, dict):
            config = json.dumps({"cluster": config, "task": {"type": "worker", "index": 0}})
        result = trainer(*TRAIN, str(tmp_path), env={"TF_CONFIG": config.replace("{port}", port)})
        refused(result, *[part.replace("{port}", port) for part in parts])
    assert not list(tmp_path.iterdir())


def test_images_named_in_the_help_can_be_drawn_from_a_run(undisturbed, tmp_path):
    run = undisturbed(1).url
    grid = trainer("sample", "--run-dir", run, "--step", "20", "--out", str(tmp_path / "grid.png"))
    assert grid.returncode == 0, grid.stderr
    # The run's seed and its first 25 latents: the grid of that step, bit by bit.
    assert (tmp_path / "grid.png").read_bytes() == undisturbed(1).read("samples/20.png")
    refused(
        trainer("sample", "--run-dir", run, "--step", "7", "--out", str(tmp_path / "x.png")),
        "--step 7",
        "20, 40, 60",
    )


def test_every_command_has_help_with_an_example():
    assert open_source("digits", (28, 28, 1)).count == 5000
    for command in (
        ["presets"],
        ["config"],
        ["describe"],
        ["train"],
        ["worker"],
        ["sample"],
        ["project"],
        ["export"],
        ["evaluate"],
        ["data", "prepare"],
        ["data", "show"],
    ):
        result = trainer(*command, "--help")
        assert result.returncode == 0
        assert "Example" in result.stdout, command
