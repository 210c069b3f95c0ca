"""Labels from the set to the networks, the grids, the samples and the export."""

import json

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from tests.support.runs import drawn, run_here
from trainer import config
from trainer.config import resolve
from trainer.data import ArraySource, open_source, prepare
from trainer.data.dataset import check_classes
from trainer.errors import ConfigError, DataError, UserError
from trainer.methods.adversarial import Judgement
from trainer.networks.keras_builder import build, call
from trainer.randomness import replica_slice
from trainer.run import record
from trainer.sampling import drawing, origin, writing
from trainer.sampling.drawing import Request
from trainer.sampling.generate import generate
from trainer.sampling.sampler import first_images, grid_labels
from trainer.storage import open_store
from trainer.survey import survey
from trainer.training.input_pipeline import ImageStream, IndexStream

SMALL = (
    "network.generator_units=[16]", "network.discriminator_units=[16]", "network.latent_size=6",
    "conditioning.kind=projection", "batch_size=20",
)  # fmt: skip
KINDS = ("concatenation", "projection", "acgan")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    root = tmp_path_factory.mktemp("run")
    assert run_here(root, *SMALL) == 0
    return open_store(str(root / "e" / "run"))


@pytest.fixture(scope="module")
def shards(tmp_path_factory):
    """The digits as shards, which can be streamed."""
    folder = tmp_path_factory.mktemp("shards")
    prepare("digits", f"tfrecord:{folder}")
    return f"tfrecord:{folder}"


@pytest.mark.parametrize("workers", [1, 2])
def test_each_image_comes_with_its_label_in_memory_and_streamed(shards, workers):
    resolved = resolve("mlp", [*SMALL, "d_repeats=2", "data.shuffle_window=1024"])
    digits = open_source("digits", None)
    rows = IndexStream(resolved, digits.count, 3, digits.labels).take(4)
    assert rows.labels.dtype == np.int32
    assert (rows.labels == digits.labels[rows.inputs]).all() and len(set(rows.labels.ravel())) > 3
    streamed = open_source(shards, None)
    for worker in range(workers):
        taken = ImageStream(streamed, resolved, worker, workers, 3).take(4)
        of_each = rows.inputs.reshape(4, 2, workers, -1)[:, :, worker].reshape(4, -1)
        assert (taken.labels == digits.labels[of_each]).all()
        assert (taken.inputs == digits.read(of_each.ravel()).reshape(taken.inputs.shape)).all()


def test_without_labels_none_are_fed():
    resolved = resolve("mlp")
    assert IndexStream(resolved, 100, 0).take(3).labels.shape == (3, 0)


@pytest.mark.parametrize("kind", KINDS)
def test_a_discriminator_reads_a_label_as_its_paper_says(kind):
    resolved = resolve("mlp", [*SMALL, f"conditioning.kind={kind}"])
    discriminator = build(resolved).discriminator
    images, labels = np.random.default_rng(0).normal(size=(5, 28, 28, 1)), np.array([0, 3, 3, 9, 1], np.int32)
    said = call(discriminator, tf.constant(images, tf.float32), tf.constant(labels), training=True).numpy()
    weights = {layer.name: [each.numpy() for each in layer.weights] for layer in discriminator.layers}
    x, one_hot = images.reshape(5, -1), np.eye(10)[labels]
    if kind == "concatenation":
        x = np.concatenate([x, one_hot], 1)
    hidden = x @ weights["hidden_1"][0] + weights["hidden_1"][1]
    hidden = np.where(hidden > 0, hidden, 0.2 * hidden)
    logit = hidden @ weights["logit"][0] + weights["logit"][1]
    if kind == "projection":  # equation 3 of Miyato and Koyama: y^T V phi(x) + psi(phi(x))
        logit += ((one_hot @ weights["embedding"][0]) * hidden).sum(1, keepdims=True)
    expected = [logit]
    if kind == "acgan":
        expected.append(hidden @ weights["classes"][0] + weights["classes"][1])
    np.testing.assert_allclose(said, np.concatenate(expected, 1), rtol=1e-4, atol=1e-4)


@given(st.lists(st.tuples(st.floats(-9, 9), st.floats(-9, 9), st.integers(0, 1)), min_size=1, max_size=5))
def test_a_class_loss_is_the_cross_entropy_of_its_softmax(rows):
    logits = np.array([(0.0, one, other) for one, other, _ in rows], np.float32)
    labels = np.array([label for *_, label in rows], np.int32)
    shares = np.exp(logits[:, 1:].astype(float))
    expected = -np.log(shares[np.arange(len(rows)), labels] / shares.sum(1))
    found = Judgement(tf.constant(logits)).class_loss(tf.constant(labels)).numpy()
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


def test_a_grid_has_a_row_for_each_class_of_real_and_generated_images():
    resolved = resolve("mlp", [*SMALL, "conditioning.classes=3", "samples.columns=4", "samples.rows=7"])
    assert resolved.grid == (3, 4)
    assert grid_labels(resolved).numpy().tolist() == [0] * 4 + [1] * 4 + [2] * 4
    labels = np.array([2, 1, 0, 0, 0, 0, 0, 1])
    assert first_images(resolved, 8, labels).tolist() == [2, 3, 4, 5, 1, 7, 1, 7, 0, 0, 0, 0]
    assert resolve("mlp").grid == (5, 5) and grid_labels(resolve("mlp")) is None


def test_a_class_is_drawn_by_number_or_name_and_all_in_turn(run):
    about = drawing.of_run(record.read(run))
    assert json.loads(run.read("run.json"))["data"]["classes"] == list(map(str, range(10)))
    every = Request(count=20)
    assert drawing.places(about, every, 20).labels.tolist() == [*range(10), *range(10)]
    assert [drawing.places(about, Request(count=n), n).columns for n in (20, 9)] == [10, None]
    threes, fours = (drawn(run, Request(count=5, of_class=text)) for text in ("3", "4"))
    assert not np.array_equal(threes, fours)  # of the same latents
    assert np.array_equal(threes, drawn(run, Request(count=5, of_class="3")))
    whole = drawn(run, every)
    assert np.array_equal(whole[3], drawn(run, Request(count=4, of_class="3"))[3])
    way = drawn(run, Request(count=5, interpolate=(1, 2), of_class="3"))
    assert way.shape == threes.shape


def test_seeds_are_crossed_with_classes_each_image_the_same_whatever_the_others_are(run, tmp_path):
    sheet = generate(origin.find(run.url), Request(seeds=(3, 0, 9)))
    assert sheet.images.shape[0] == 30 and sheet.places.columns == 3
    assert sheet.places.names[:4] == ("seed3-class0", "seed0-class0", "seed9-class0", "seed3-class1")
    for place, seed, of_class in ((0, 3, "0"), (14, 9, "4"), (28, 0, "9")):
        assert np.array_equal(sheet.images[place], drawn(run, Request(seeds=(seed,), of_class=of_class))[0])
    writing.write(sheet.images, tmp_path / "each", names=sheet.places.names)
    assert sorted(path.stem for path in (tmp_path / "each").iterdir()) == sorted(sheet.places.names)


def test_a_file_alone_draws_the_same_images_and_knows_its_classes(run):
    """Of Keras' own layers, in the same batches: half a grey level is the other layers' rounding."""
    for request_ in (Request(seeds=(1, 2)), Request(count=12), Request(count=3, of_class="7")):
        of_run, of_file = drawn(run, request_), drawn(open_store(f"{run.url}/export"), request_)
        assert np.abs(of_run.astype(int) - of_file).max() <= 1
    with pytest.raises(UserError, match="--class ten: expected a number from 0 to 9"):
        drawn(open_store(f"{run.url}/export"), Request(of_class="ten"))


def test_a_name_goes_before_a_number(run):
    known = record.read(run)
    known.values["data"]["classes"] = [*"abcdefgh", "1", "0"]
    about = drawing.of_run(known)
    assert [drawing.class_number(about, text) for text in ("b", "1", "0", "7")] == [1, 8, 9, 7]


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        (Request(of_class="ten"), "--class ten: expected a number from 0 to 9, or one of 0, 1, 2"),
        (Request(of_class="10"), "--class 10: expected a number from 0 to 9"),
        (Request(interpolate=(1, 2)), "--interpolate: expected --class with it"),
        (Request(seeds=(1, 2), walk=3), "--walk: expected --class with it"),
        (Request(seeds=tuple(range(1001))), "--seeds: 1001 with 10 classes, expected at most 10000"),
    ],
)
def test_a_class_that_is_not_there_is_refused(run, request_, message):
    with pytest.raises(UserError, match=message):
        drawn(run, request_)


def test_a_set_without_the_labels_is_refused_before_anything_is_written(tmp_path):
    images = np.zeros((30, 28, 28, 1), np.uint8)
    np.savez(tmp_path / "bare.npz", images=images)
    with pytest.raises(DataError, match="the set has no labels, expected one for each image"):
        run_here(tmp_path, *SMALL, f"data.source=npz:{tmp_path}/bare.npz")
    with pytest.raises(DataError, match=r"there are 10 classes, expected 4: set conditioning\.classes=10"):
        run_here(tmp_path, *SMALL, "conditioning.classes=4")
    with pytest.raises(ConfigError, match=r"data\.labels is none, expected auto with conditioning\.kind"):
        resolve("mlp", [*SMALL, "data.labels=none"])
    assert [path.name for path in tmp_path.iterdir()] == ["bare.npz"]


def test_who_submits_is_told_of_another_number_of_classes():
    with pytest.raises(DataError, match="there are 10 classes, expected 4"):
        survey(resolve("mlp", [*SMALL, "conditioning.classes=4"]))
    [line, *_] = survey(resolve("mlp", SMALL)).lines(resolve("mlp", SMALL))
    assert line == "data.source digits: 5000 images of 28x28x1 of 10 classes"


def test_without_conditioning_nothing_asks_for_labels():
    bare = ArraySource("bare", np.zeros((3, 28, 28, 1), np.uint8))
    check_classes(resolve("mlp"), bare)


def test_two_replicas_take_the_labels_of_their_images():
    labels = tf.range(8)
    assert [replica_slice(labels, replica, 2).numpy().tolist() for replica in (0, 1)] == [
        [0, 1, 2, 3],
        [4, 5, 6, 7],
    ]


def test_a_run_of_before_has_no_labels():
    values = resolve("mlp").model_dump(mode="json")
    del values["conditioning"]
    assert config.validate(values, "run.json") == resolve("mlp")
