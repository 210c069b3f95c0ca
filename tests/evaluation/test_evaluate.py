"""Evaluations of small runs, by the command and by its function."""

import json
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

tf = pytest.importorskip("tensorflow")

from tests.support.runs import TINY, run_here  # noqa: E402
from trainer.data import open_source, require_labels  # noqa: E402
from trainer.errors import UserError  # noqa: E402
from trainer.evaluation import told  # noqa: E402
from trainer.evaluation.drawing import Drawer, draw  # noqa: E402
from trainer.evaluation.evaluate import _before, evaluate  # noqa: E402
from trainer.evaluation.features import NETWORKS  # noqa: E402
from trainer.evaluation.request import Request, check  # noqa: E402
from trainer.run import evaluations  # noqa: E402
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
    low, high = fd["interval"]
    assert low < fd["value"] < high and fd["draws"] == 3 and found["latents"].endswith("draws 3")
    assert found["metrics"]["kid"]["value"] > 10 * found["metrics"]["kid_deviation"]["value"]
    assert found["metrics"]["recall"]["name"] == f"recall[{LABEL}, k=3, N=300]"
    assert found["metrics"]["precision"]["floor"] > found["metrics"]["precision"]["at_floor"]
    assert found["metrics"]["sure"]["held_out"] > 0.95 and found["metrics"]["classes"]["floor"] == 10
    copied = found["copies"]
    assert copied["ratio"] == copied["median"] / copied["held_out_median"] and copied["samples"] == 300


def test_the_same_checkpoint_has_the_same_figures_and_the_last_weights_have_others(store):
    request = Request(samples=200, draws=1)
    once, again = (told.as_json(evaluate(store, request, lambda _: None)) for _ in range(2))
    assert once == again
    last = told.as_json(evaluate(store, Request(samples=200, draws=1, average=False), lambda _: None))
    assert (once["average"], last["average"]) == (True, False)
    assert last["metrics"]["fd"]["value"] != once["metrics"]["fd"]["value"]


def test_what_was_seen_of_real_images_is_kept_and_looked_up_by_training_and_evaluations(
    root, store, tmp_path, monkeypatch
):
    source = (f"data.source=npz:{root}/training.npz", "data.holdout=0.3", "evaluation.every_steps=4")
    figures = ("evaluation.samples=20", "evaluation.metric=kid", "metrics.every_steps=4")
    assert run_here(tmp_path, *source, *figures, sets=AVERAGED) == 0
    folder, run = open_store(str(tmp_path / "e")), open_store(str(tmp_path / "e" / "run"))
    trained = {each.name for each in folder.list("references/")}
    request = Request(samples=20, draws=1, metrics=("kid",))
    first = evaluate(run, request, lambda _: None, folder)
    own = {each.name for each in folder.list("references/")} - trained
    assert len(trained) == 3 and len(own) == 1  # the run's set was there; held-out images as a whole were not
    _before.clear()
    monkeypatch.setattr("trainer.evaluation.sets.seen_in", None)
    assert evaluate(run, request, lambda _: None, folder) == first
    folder.write(own.pop(), b"damaged")
    _before.clear()
    with pytest.raises(TypeError):  # it is looked at again
        evaluate(run, request, lambda _: None, folder)


def test_without_held_out_images_it_says_that_copying_cannot_be_told(store):
    found = evaluate(store, Request(samples=120), lambda _: None)
    text = told.as_text(found)
    assert "without --held-out copying cannot be told" in text and found.copies.ratio is None
    assert f"FD[{LABEL}, N=120]" in text and "the average of the weights, 120 samples" in text


def test_training_images_in_the_place_of_held_out_ones_are_copies(root, store):
    found = evaluate(store, Request(samples=120, held_out=f"npz:{root}/training.npz"), lambda _: None)
    assert found.copies.held_out_median == 0.0 and found.copies.ratio is None
    assert "those are training images, so copying cannot be told" in told.as_text(found)


def test_what_a_run_holds_out_is_what_it_is_compared_with_unasked(root, store):
    source = (f"data.source=npz:{root}/training.npz", "data.holdout=0.3")
    assert run_here(root, *source, sets=AVERAGED, run="holding") == 0
    found = evaluate(open_store(str(root / "e" / "holding")), Request(samples=110, draws=1), lambda _: None)
    trained, held = (int(text.split(", ")[1].split()[0]) for text in (found.reference, found.held_out))
    assert trained + held == 500 and 110 < held < 200
    assert found.figures[0].held_out_samples == 110 and 0.8 < found.copies.ratio < 5
    other = Request(samples=110, draws=1, held_out=f"npz:{root}/held.npz")
    assert evaluate(store, other, lambda _: None).held_out.startswith(f"npz:{root}/held.npz, 500 images")


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
        (("--draws", 0), "--draws 0: expected 1 or more"),
        (("--neighbours", "near.jpg"), "--neighbours near.jpg: expected a file that ends in .png"),
        (("--metric", "fid"), "--metric fid: is not known, expected some of fd, "),
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


def test_a_run_of_other_images_is_judged_without_a_network_and_two_sets_of_the_same_are_at_a_floor(tmp_path):
    shades = np.random.RandomState(0).randint(0, 256, (90, 8, 9, 3)).astype(np.uint8)
    np.savez(tmp_path / "small.npz", images=shades)
    sizes = ("image.height=8", "image.width=9", "image.channels=3", f"data.source=npz:{tmp_path}/small.npz")
    assert run_here(tmp_path, *sizes) == 0
    store = open_store(str(tmp_path / "e" / "run"))
    picture = tmp_path / "near.png"
    found = evaluate(
        store, Request(samples=45, features="none", draws=1, neighbours=str(picture)), lambda _: None
    )
    (figure,) = found.figures
    assert figure.name == "sliced W1[laplacian 8, grey levels, N=45]" and figure.interval is None
    assert figure.value == figure.at_floor > 1.5 * figure.floor > 0
    with Image.open(picture) as grid:  # 8 rows of six samples, each with its neighbour
        assert grid.mode == "RGB" and grid.width > grid.height


def test_the_interval_is_that_of_draws_that_go_on_from_one_another(store):
    request = Request(samples=300, metrics=["fd", "precision"])
    found = evaluate(store, request, lambda _: None)
    alone = evaluate(store, replace(request, draws=1), lambda _: None)
    for figure, first in zip(found.figures, alone.figures, strict=True):
        low, high = figure.interval
        assert figure.draws == 3 and low <= first.value <= high and low <= figure.value <= high
    assert found.figures[0].interval[0] < found.figures[0].interval[1] and alone.figures[0].interval is None
    config = check(store, Request()).config
    loaded = load(store, config, None, True)
    both = np.concatenate([*draw(config, loaded, 512, None, 0), *draw(config, loaded, 512, None, 1)])
    assert (both == np.concatenate([*draw(config, loaded, 1024, None)])).all()


def test_two_evaluations_are_compared_only_where_all_but_the_step_is_the_same(store):
    few = Request(samples=110, metrics=["sure"], draws=1)
    first, last, more, plain = (
        told.as_json(evaluate(store, request, lambda _: None))
        for request in (
            replace(few, step=8),
            few,
            replace(few, samples=120, draws=2),
            replace(few, features="none", metrics=[], average=False),
        )
    )
    assert first["step"] != last["step"] and evaluations.incomparable(first, last) == ""
    assert evaluations.provenance(first) == evaluations.provenance(last)
    assert evaluations.incomparable(first, more) == (
        "not comparable, they differ in samples: 110 and 120; "
        "latents: stream 'evaluation', draws 1 and stream 'evaluation', draws 2"
    )
    said = evaluations.incomparable(first, plain)
    assert "weights: the average and the last" in said
    assert f"features: {LABEL} and laplacian 28-14-7" in said


def test_a_second_checkpoint_has_the_floors_of_the_first_and_its_own_figures(store):
    request = Request(step=8, samples=110, metrics=["fd", "recall"], draws=1)
    first = evaluate(store, request, lambda _: None)
    second = evaluate(store, replace(request, step=12), lambda _: None)
    again = evaluate(store, request, lambda _: None)
    assert first == again and first.figures[0].floor == second.figures[0].floor
    assert first.figures[0].value != second.figures[0].value and second.figures[0].draws == 1
    few = evaluate(store, replace(request, samples=100), lambda _: None)
    assert few.figures[0].floor != first.figures[0].floor and few.figures[0].floor_samples == 100


def test_stacked_digits_have_modes(tmp_path):
    draws, digits = np.random.RandomState(0), open_source("digits", None)
    stacks = np.concatenate([digits.read(draws.permutation(5000)[:1300]) for _ in range(3)], axis=3)
    np.savez(tmp_path / "stacks.npz", images=stacks)
    assert run_here(tmp_path, "image.channels=3", f"data.source=npz:{tmp_path}/stacks.npz") == 0
    request = Request(samples=600, features="digits", metrics=["modes", "kl"], draws=2)
    modes, kl = evaluate(open_store(str(tmp_path / "e" / "run")), request, lambda _: None).figures
    assert modes.name == f"modes[{LABEL} of each channel, N=600]"
    assert modes.value < 100 and 400 < modes.floor < 500  # 451 of 1,000 are drawn by 600 on average
    assert kl.value > 2 * kl.floor > 0 and kl.floor_samples == 600
