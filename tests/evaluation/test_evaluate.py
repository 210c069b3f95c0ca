"""Evaluations of small runs, by the command and by its function."""

import json
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

tf = pytest.importorskip("tensorflow")

from tests.support.runs import TINY, run_here  # noqa: E402
from trainer.data import open_source, require_labels  # noqa: E402
from trainer.errors import UserError  # noqa: E402
from trainer.evaluation import told  # noqa: E402
from trainer.evaluation.drawing import Drawer, draw  # noqa: E402
from trainer.evaluation.evaluate import evaluate  # noqa: E402
from trainer.evaluation.features import NETWORKS  # noqa: E402
from trainer.evaluation.request import Request, check  # noqa: E402
from trainer.sampling.generate import load  # noqa: E402
from trainer.storage import open_store  # noqa: E402

LABEL = NETWORKS["digits"].label
AVERAGED = (*TINY, "averaging.half_life_images=40", "optimizer.learning_rate=0.01")


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    digits = open_source("digits", None)
    for name, first in (("training", 0), ("held", 1)):
        np.savez(folder / f"{name}.npz", images=digits.read(np.arange(first, 5000, 10)))
    np.savez(folder / "colour.npz", images=np.zeros((9, 28, 28, 3), np.uint8))
    np.savez(folder / "few.npz", images=digits.read(np.arange(60)))
    source = f"data.source=npz:{folder}/training.npz"
    assert run_here(folder, source, sets=AVERAGED) == 0
    assert run_here(folder, "conditioning.kind=projection", run="labelled") == 0
    return folder


@pytest.fixture(scope="module")
def store(root):
    return open_store(str(root / "e" / "run"))


def command(*words):
    return subprocess.run(
        [sys.executable, "-m", "trainer", "evaluate", *map(str, words)],
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_command_prints_every_figure_with_its_name_count_floor_and_reference(root):
    held = f"npz:{root}/held.npz"
    done = command(
        "--run-dir", root / "e" / "run", "--step", 8, "--samples", 300, "--held-out", held, "-o", "json"
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert (found["step"], found["average"]) == (8, True)
    fd = found["metrics"]["fd"]
    assert fd["name"] == f"FD[{LABEL}, N=300]" and fd["samples"] == 300 and fd["features"] == LABEL
    assert fd["reference"].startswith(f"npz:{root}/training.npz, 500 images, crc32c ")
    assert fd["floor_samples"] == 250 and fd["held_out_samples"] == 300
    assert 0 < fd["floor"] < fd["at_floor"] and 0 < fd["held_out"] < fd["value"]  # 12 steps are nothing
    assert found["metrics"]["recall"]["name"] == f"recall[{LABEL}, k=3, N=300]"
    assert found["metrics"]["precision"]["floor"] > found["metrics"]["precision"]["at_floor"]
    assert found["metrics"]["sure"]["held_out"] > 0.95 and found["metrics"]["classes"]["floor"] == 10
    copied = found["copies"]
    assert copied["ratio"] == copied["median"] / copied["held_out_median"] and copied["samples"] == 300


def test_the_same_checkpoint_has_the_same_figures_and_the_last_weights_have_others(store):
    request = Request(samples=200)
    once, again = (told.as_json(evaluate(store, request, lambda _: None)) for _ in range(2))
    assert once == again
    last = told.as_json(evaluate(store, Request(samples=200, average=False), lambda _: None))
    assert (once["average"], last["average"]) == (True, False)
    assert last["metrics"]["fd"]["value"] != once["metrics"]["fd"]["value"]


def test_without_held_out_images_it_says_that_copying_cannot_be_told(store):
    found = evaluate(store, Request(samples=120), lambda _: None)
    text = told.as_text(found)
    assert "without --held-out copying cannot be told" in text and found.copies.ratio is None
    assert f"FD[{LABEL}, N=120]" in text and "the average of the weights, 120 samples" in text


def test_training_images_in_the_place_of_held_out_ones_are_copies(root, store):
    found = evaluate(store, Request(samples=120, held_out=f"npz:{root}/training.npz"), lambda _: None)
    assert found.copies.held_out_median == 0.0 and found.copies.ratio is None
    assert "those are training images, so copying cannot be told" in told.as_text(found)


def test_a_reference_of_ones_own_is_compared_with_and_named(root, store):
    found = evaluate(store, Request(samples=120, reference=f"npz:{root}/held.npz"), lambda _: None)
    assert found.reference.startswith(f"npz:{root}/held.npz, 500 images")
    assert found.figures[0].floor_samples == 120 and found.figures[0].at_floor == found.figures[0].value


def test_the_first_images_are_the_same_whatever_their_number(store):
    config = check(store, Request()).config
    loaded = load(store, config, None, True)
    many, few = (np.concatenate([*draw(config, loaded, count, None)]) for count in (600, 300))
    assert many.dtype == np.uint8 and many.shape == (600, 28, 28, 1)
    assert (many[:300] == few).all() and len({image.tobytes() for image in many}) == 600


def test_labels_are_drawn_as_often_as_the_training_set_has_them(root):
    store = open_store(str(root / "e" / "labelled"))
    config = check(store, Request()).config
    uneven = np.repeat([1, 4, 9], [700, 250, 50])
    drawer = Drawer(config, load(store, config, None, True).generator, uneven)
    found = np.concatenate([drawer.labels(block) for block in range(40)])
    shares = np.bincount(found, minlength=10) / len(found)
    assert set(np.flatnonzero(shares)) == {1, 4, 9}
    np.testing.assert_allclose(shares[[1, 4, 9]], [0.7, 0.25, 0.05], atol=0.02)
    labels = require_labels(open_source("digits", None))
    assert len(next(draw(config, load(store, config, None, True), 7, labels))) == 7
    assert evaluate(store, Request(samples=100), lambda _: None).step == 12


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--samples", 96), "--samples 96: expected more than the 96 features of digits@"),
        (("--reference", "zip:x"), "--reference zip:x: unknown kind 'zip'"),
        (("--run-dir", "{root}/e/none"), "/e/none: there is no run.json"),
        (("--step", 7), "--step 7: there are checkpoints at 4, 8, 12"),
    ],
)
def test_what_cannot_be_is_refused_in_a_line(root, words, said):
    words = [str(word).replace("{root}", str(root)) for word in words]
    done = command("--run-dir", root / "e" / "run", "--samples", 100, *words)
    assert done.returncode == 2 and not done.stdout
    *_, last = done.stderr.splitlines()
    assert last.startswith("error: ") and said in last, last
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("request_", "said"),
    [
        (
            Request(samples=100, held_out="npz:{root}/colour.npz"),
            "images are 28x28x3, expected 28x28x1 as the",
        ),
        (Request(samples=100, held_out="npz:{root}/gone.npz"), "^--held-out npz:{root}/gone.npz: "),
        (
            Request(samples=100, reference="npz:{root}/few.npz"),
            "few.npz: 60 images, expected more than the 96",
        ),
    ],
)
def test_sets_that_do_not_fit_are_refused_by_name(root, store, request_, said):
    here = {
        field: text.replace("{root}", str(root))
        for field in ("held_out", "reference")
        if (text := getattr(request_, field))
    }
    with pytest.raises(UserError, match=said.replace("{root}", str(root))):
        evaluate(store, replace(request_, **here), lambda _: None)


def test_a_run_of_images_that_no_network_takes_is_refused(tmp_path):
    np.savez(tmp_path / "small.npz", images=np.zeros((9, 8, 8, 1), np.uint8))
    sizes = ("image.height=8", "image.width=8", f"data.source=npz:{tmp_path}/small.npz")
    assert run_here(tmp_path, *sizes) == 0
    done = command("--run-dir", tmp_path / "e" / "run")
    assert done.returncode == 2 and "image 8x8x1: no feature network takes it" in done.stderr
