"""Runs beside one another: what differs, the figures, the picture, and what is refused."""

import io
import json
import os
import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from PIL import Image

from launcher.cli import main
from launcher.errors import NotInstalled, SpecError
from launcher.looking.compare import compare, draw
from launcher.looking.curves import running_means
from launcher.runs.find import Place
from trainer.config import resolve
from trainer.storage import open_store


@pytest.fixture
def run(past_run):
    """Write a run of 20 lines with overrides of its configuration and other fields of run.json."""

    def make(name, *overrides, experiment="gan", steps=200, lines=True, metrics=None, **fields):
        folder = past_run(name, experiment)
        about = json.loads((folder / "run.json").read_text())
        about["config"] = resolve("mlp", overrides).model_dump(mode="json")
        (folder / "run.json").write_text(json.dumps({**about, **fields}))
        if lines:
            (folder / "metrics").mkdir()
            found = [line(step, metrics) for step in range(steps // 20, steps + 1, steps // 20)]
            (folder / "metrics/1.jsonl").write_text("".join(json.dumps(each) + "\n" for each in found))
        return folder

    return make


def line(step, metrics=None):
    found = metrics or {"d_loss": 1 / step, "g_loss": step / 100, "d_accuracy_real": step / 200}
    return {"step": step, "images": 64 * step, **found, "images_per_second": 100.0 if step > 10 else 3.0}


def test_only_what_differs_is_told_in_the_order_of_the_runs(run, root):
    versions = {"versions": {"tensorflow": "2.21.0", "numpy": "2.4.6"}, "git_revision": "abc"}
    run("a", "optimizer.beta1=0.5", **versions, image="gantry:1", world_size=2)
    run("b", "optimizer.beta1=0.9", **{**versions, "git_revision": "def"}, image="gantry:2", world_size=2)
    warm = {"run": "a", "step": 200, "optimizer": "kept"}
    run("c", "network.generator_units=[8, 9]", **versions, warm_start=warm, data="npz:b.npz")

    found = compare(Place(root), ["a", "b", "c"])

    told = {each.key: each.values for each in found.differences}
    assert told == {
        "workers": [2, 2, 1],
        "image": ["gantry:1", "gantry:2", None],
        "network.generator_units": [[128, 256, 512, 1024]] * 2 + [[8, 9]],
        "optimizer.beta1": [0.5, 0.9, 0.5],
        "data.resolved": [None, None, "npz:b.npz"],
        "warm_started_from": [None, None, "a at step 200, optimizer kept"],
        "git_revision": ["abc", "def", "abc"],
    }


def test_a_key_that_an_older_run_does_not_have_is_its_default_and_no_difference(run, root):
    run("new")
    folder = run("old")
    about = json.loads((folder / "run.json").read_text())
    del about["config"]["recovery"], about["config"]["optimizer"]["epsilon"]
    (folder / "run.json").write_text(json.dumps(about))

    assert compare(Place(root), ["new", "old"]).differences == []


def test_a_configuration_of_a_later_version_is_compared_as_it_is(run, root):
    run("now")
    folder = run("later")
    about = json.loads((folder / "run.json").read_text())
    about["config"]["optimizer"]["lookahead"] = 5
    (folder / "run.json").write_text(json.dumps(about))

    told = {each.key: each.values for each in compare(Place(root), ["now", "later"]).differences}
    assert told == {"optimizer.lookahead": [None, 5]}


def test_figures_are_the_last_the_lowest_and_the_highest(run, root):
    run("a")
    run("b", steps=400)
    first, second = compare(Place(root), ["a", "b"]).runs

    assert (first.step, first.images, first.state) == (200, 12800, "finished")
    assert (second.step, second.images) == (400, 25600)
    assert first.images_per_second == 100.0  # the median: the first line counts TensorFlow's start
    assert first.metrics["d_loss"][:3] == (1 / 200, 1 / 200, 200)
    assert first.metrics["g_loss"][:3] == (2.0, 0.1, 10)
    assert first.metrics["g_loss"][3:] == (2.0, 200)


def test_runs_of_other_experiments_and_roots_are_told_apart(run, root, tmp_path):
    run("one", experiment="gan")
    run("one", experiment="faces")
    run("two")
    label = [each.label for each in compare(Place(root), ["gan/one", "faces/one"]).runs]
    assert label == ["gan/one", "faces/one"]
    label = [each.label for each in compare(Place(root), ["two", "faces/one"]).runs]
    assert label == ["two", "one"]

    (tmp_path / "elsewhere/gan").mkdir(parents=True)
    other = tmp_path / "elsewhere/gan/two"
    (tmp_path / "runs/gan/two").rename(other)
    found = compare(Place(root), ["gan/one", str(other)]).runs
    assert [each.root for each in found] == [root, str(tmp_path / "elsewhere")]


def test_a_run_in_a_bucket_is_compared_with_one_on_disk(run, root, gcs_root):
    folder = run("one")
    bucket = open_store(f"{gcs_root}/gan/one")
    for path in folder.rglob("*.json*"):
        bucket.write(path.relative_to(folder).as_posix(), path.read_bytes())

    found = compare(Place(root), ["one", f"{gcs_root}/gan/one"])

    assert [each.root for each in found.runs] == [root, gcs_root]
    assert [each.label for each in found.runs] == [f"{root}/gan/one", f"{gcs_root}/gan/one"]
    assert found.differences == []
    assert found.curves[0] == found.curves[1]


@pytest.mark.parametrize(
    ("names", "metrics", "words"),
    [
        (["a"], (), "runs to compare are 'a' alone: expected at least two"),
        (["a", "gan/a"], (), "gan/a is given 2 times: expected different runs"),
        (["a", "bare"], (), "run 'gan/bare' has no metrics to compare"),
        (["a", "other"], (), "runs gan/a, gan/other have no metric in common"),
        (["a", "b"], ["fid"], "--metric fid: run 'gan/a' has none; it has d_loss, g_loss"),
        (
            ["a", "torn"],
            (),
            "run 'gan/torn' has no metrics to compare, as its lines are damaged .metrics/1.jsonl line 1.",
        ),
    ],
)
def test_what_cannot_be_compared_is_refused_by_name(run, root, names, metrics, words):
    run("a")
    run("b")
    run("bare", lines=False)
    run("other", metrics={"only_mine": 1.0})
    torn = run("torn", lines=False)
    (torn / "metrics").mkdir()
    (torn / "metrics/1.jsonl").write_text('{"step": 1')

    with pytest.raises(SpecError, match=words):
        compare(Place(root), names, metrics)


def picture(found, **options):
    return Image.open(io.BytesIO(draw(found, **options))).convert("RGB")


def colours(image):
    """How many pixels are of each of matplotlib's first three colours."""
    pixels = np.asarray(image, int)
    wanted = {"blue": (31, 119, 180), "orange": (255, 127, 14), "green": (44, 160, 44)}
    return {name: int((np.abs(pixels - each).sum(-1) < 10).sum()) for name, each in wanted.items()}


def test_the_picture_has_a_panel_for_each_metric_and_a_colour_for_each_run(run, root):
    run("a")
    run("b", steps=400)
    found = compare(Place(root), ["a", "b"], ["d_loss"])
    two = compare(Place(root), ["a", "b"], ["d_loss", "g_loss"])
    low, high = picture(found), picture(two)

    assert high.width == low.width
    assert high.height > 1.5 * low.height
    for image in (low, high):
        seen = colours(image)
        assert seen["blue"] > 200
        assert seen["orange"] > 200
        assert seen["green"] == 0
    assert draw(found, by="images") != draw(found, by="steps")
    assert draw(found, kind="svg").startswith(b"<?xml")


def test_no_style_and_no_backend_of_somebody_s_changes_the_picture(run, root, desk, launcher):
    run("a")
    run("b", steps=400)
    (desk / "matplotlibrc").write_bytes(b"figure.figsize: 2, 1\n\xff")
    env = {**os.environ, "MPLBACKEND": "nonsense", "MATPLOTLIBRC": "matplotlibrc"}
    done = launcher("compare", "a", "b", "--root", root, "--metric", "d_loss", "--out", "it.png", env=env)
    assert done.returncode == 0, done
    assert (desk / "it.png").read_bytes() == draw(compare(Place(root), ["a", "b"], ["d_loss"]))


def test_a_spike_of_a_long_run_is_drawn(run, root):
    folder = run("long", lines=False)
    run("short")
    (folder / "metrics").mkdir()
    losses = [100.0 if step == 31_415 else 1.0 for step in range(1, 50_001)]
    text = "".join(f'{{"step":{n},"images":{n},"d_loss":{loss}}}\n' for n, loss in enumerate(losses, 1))
    (folder / "metrics/1.jsonl").write_text(text)

    image = np.asarray(picture(compare(Place(root), ["long", "short"], ["d_loss"])), int)

    faint = (np.abs(image - (199, 221, 236)).sum(-1) < 40).any(axis=1)  # the first colour at a quarter
    assert faint[: image.shape[0] // 4].sum() > 20  # it reaches into the upper part, where nothing else is


def test_running_means_are_over_a_fortieth():
    values = [float(n) for n in range(80)]
    assert running_means(values)[:3] == [0.0, 0.5, 1.5]
    assert running_means([3.0, 5.0]) == [3.0, 5.0]
    assert running_means([]) == []


def test_without_matplotlib_one_line_says_what_to_install(run, root, monkeypatch):
    run("a")
    run("b")
    found = compare(Place(root), ["a", "b"])
    for name in ("matplotlib", "matplotlib.figure"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(NotInstalled, match=r"matplotlib is not installed: pip install 'gantry\[look\]'"):
        draw(found)


class Done(NamedTuple):
    returncode: int
    stdout: str
    stderr: str


@pytest.fixture
def call(root, desk, capsys):
    def run(*words):
        with pytest.raises(SystemExit) as left:
            main(["compare", *words, "--root", root])
        return Done(left.value.code, *capsys.readouterr())

    return run


def test_the_command_tells_differences_and_figures_and_where_the_picture_is(run, call, desk, root):
    run("a", "batch_size=32")
    run("b", "batch_size=64")
    done = call("a", "b")

    assert (done.returncode, done.stderr) == (0, "")
    rows = [text.split() for text in done.stdout.splitlines()]
    assert ["batch_size", "32", "64"] in rows
    assert ["d_loss,", "last", "0.005", "0.005"] in rows
    assert ["g_loss,", "lowest", "0.1", "at", "10", "0.1", "at", "10"] in rows
    path = done.stdout.splitlines()[-1]
    assert path == f"{root}/gan/a/views/compare-a-b.png"
    assert Image.open(path).format == "PNG"
    assert list(desk.iterdir()) == []


def test_a_comparison_as_data_draws_only_what_is_named(run, call, desk, root):
    run("a")
    run("b")
    assert json.loads(call("a", "b", "-o", "json").stdout)["picture"] is None
    assert list(desk.iterdir()) == []
    assert not [path for path in Path(root).rglob("*") if path.name == "views"]


def test_the_table_is_told_where_no_picture_can_be(run, call, desk, root, gcs_root):
    folder = run("a")
    run("b")
    (folder / "views").write_text("mine")
    done = call("a", "b")
    assert (done.returncode, done.stderr.count("\n")) == (0, 1)
    assert "no picture: " in done.stderr
    assert "views: cannot be made a folder (file exists); --out names another place" in done.stderr
    assert "d_loss" in done.stdout
    assert "compare-" not in done.stdout
    assert (folder / "views").read_text() == "mine"

    there = [f"{gcs_root}/gan/{name}" for name in ("a", "b")]
    for url, name in zip(there, ("a", "b"), strict=True):
        for path in (Path(root) / "gan" / name).rglob("*.json*"):
            open_store(url).upload(path.relative_to(Path(root) / "gan" / name).as_posix(), path)
    done = call(*there)
    assert (done.returncode, done.stderr.count("\n")) == (0, 1)
    assert "no picture, as all of them are in buckets: --out FILE draws one" in done.stderr
    mixed = call(there[0], "b")
    assert mixed.stdout.splitlines()[-1] == f"{root}/gan/b/views/compare-a-b.png"
    assert list(desk.iterdir()) == []


def test_the_command_reports_as_data(run, call, desk):
    run("a", "batch_size=32")
    run("b", "batch_size=64")
    done = call("a", "b", "-o", "json", "--out", "both.svg", "--metric", "g_loss", "--x", "images")
    found = json.loads(done.stdout)

    assert found["picture"] == "both.svg"
    assert found["metrics"] == ["g_loss"]
    assert {"key": "batch_size", "values": [32, 64]} in found["differences"]
    assert found["runs"][0]["metrics"]["g_loss"] == {
        "last": 2.0, "lowest": 0.1, "lowest_step": 10, "highest": 2.0, "highest_step": 200,
    }  # fmt: skip
    assert (desk / "both.svg").read_bytes().startswith(b"<?xml")


def test_equal_runs_are_said_to_be_equal(run, call):
    run("a")
    run("b")
    assert "no difference" in call("a", "b").stdout


@pytest.mark.parametrize(
    ("words", "code", "line"),
    [
        (["a"], 2, "expected at least two"),
        (["a", "bare"], 2, "run 'gan/bare' has no metrics to compare"),
        (["a", "nowhere"], 3, "no run 'nowhere'"),
        (["a", "b", "--out", "x.bmp"], 2, "--out x.bmp: expected a name that ends with .png"),
        (["a", "b", "--out", "absent/x.png"], 2, "--out absent/x.png: there is no folder absent"),
        (["a", "b", "--metric", "fid"], 2, "--metric fid"),
        (["a", "b", "--x", "hours"], 2, "hours"),
    ],
)
def test_mistakes_are_one_line_and_nothing_is_written(run, call, desk, words, code, line):
    run("a")
    run("b")
    run("bare", lines=False)
    done = call(*words)
    assert done.returncode == code
    assert line in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert list(desk.iterdir()) == []
