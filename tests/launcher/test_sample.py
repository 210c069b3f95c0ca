"""``launcher sample``: new images of a run that is found as every verb finds one."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from launcher.cli import main
from launcher.runs import sampling, trainer_here
from tests.support.runs import drawn, run_here
from trainer.sampling.drawing import Request
from trainer.storage import open_store


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    root = tmp_path_factory.mktemp("runs")
    assert run_here(root, run="first") == 0
    return str(root)


@pytest.fixture
def call(root, capfd):
    def words(*given):
        with pytest.raises(SystemExit) as ended:
            main(["sample", *map(str, given), "--root", root])
        said = capfd.readouterr()
        assert "Traceback" not in said.err
        return ended.value.code, said.out, said.err

    return words


def test_seeds_are_drawn_into_a_file_of_the_runs_name_that_is_free(call, root, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("first.png").write_bytes(b"somebody's")
    code, out, err = call("latest", "--seeds", "3,0", "--step", 8, "-o", "json")
    assert code == 0, err
    assert json.loads(out) == {
        "run": "first", "experiment": "e", "path": "first-2.png", "images": 2, "step": 8, "seeds": [3, 0],
        "classes": None, "truncation": None, "walk": None,
    }  # fmt: skip
    assert Path("first.png").read_bytes() == b"somebody's"
    images = drawn(open_store(f"{root}/e/first"), Request(seeds=(3, 0)), 8)
    with Image.open("first-2.png") as picture:
        pixels = np.asarray(picture)
    times = pixels.shape[1] // (2 + 2 * 30)
    assert np.array_equal(pixels[::times, ::times][2:30, 32:60], images[1, ..., 0])


def test_what_is_wrong_is_one_line_of_the_trainers_or_of_ours(call, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert call("frist")[0] == 3
    code, out, err = call("first", "--seeds", "0-3", "--class", 3)
    assert (code, out) == (2, "") and err.startswith("error: --class 3: the generator takes no labels")
    monkeypatch.setattr(trainer_here.importlib.util, "find_spec", lambda name: None)
    code, out, err = call("first", "--seeds", "0-3")
    assert (code, out) == (2, "") and err == (
        "error: images are drawn by TensorFlow here: pip install 'gantry[trainer]'\n"
    )
    assert not list(tmp_path.iterdir())


def test_every_option_reaches_the_trainer_as_it_was_typed():
    wanted = sampling.Wanted(8, False, True, "-1", None, 3, 0.5, "-x", 7, 12.5)
    assert wanted.words("runs/e/first", Path("a b.gif")) == [
        "sample", "--run-dir=runs/e/first", "--out=a b.gif", "--step=8", "--seeds=-1", "--count=3",
        "--truncation=0.5", "--walk=7", "--fps=12.5", "--class=-x", "--last-weights",
    ]  # fmt: skip
    assert sampling.Wanted(best=True).words("x", Path("y"))[3:] == ["--best"]
