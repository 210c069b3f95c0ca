"""The script that trains the feature network, as a toy."""

import re
import sys

import numpy as np
import pytest

keras = pytest.importorskip("keras")

from tests.data.test_idx import idx  # noqa: E402
from trainer.data import open_source, require_labels  # noqa: E402
from trainer.evaluation import train_digits  # noqa: E402
from trainer.evaluation.features import NETWORKS, of_weights, weights_of  # noqa: E402


@pytest.fixture(scope="module")
def some():
    digits = open_source("digits", NETWORKS["digits"].shape)
    ids = np.arange(0, 5000, 10)
    return digits.read(ids), require_labels(digits)[ids]


def test_folded_weights_see_what_the_model_sees(some):
    images, labels = some
    model = train_digits.train(images, labels, 2, 0)
    seen = of_weights(NETWORKS["digits"], train_digits.folded(model))(images[:50])
    inside = keras.Model(model.inputs, [model.layers[-3].output, model.outputs[0]])
    features, logits = inside(images[:50].astype(np.float32) / 255.0, training=False)
    np.testing.assert_allclose(seen.features, features, rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(seen.shares, keras.ops.softmax(logits), rtol=1e-3, atol=1e-5)


def test_the_script_writes_weights_that_can_be_read_and_says_their_sum(some, tmp_path, monkeypatch, capsys):
    images, labels = some
    for kind, part in (("train", slice(0, 250)), ("t10k", slice(400, 500))):
        (tmp_path / f"{kind}-images-idx3-ubyte").write_bytes(idx(images[part, ..., 0]))
        (tmp_path / f"{kind}-labels-idx1-ubyte").write_bytes(idx(labels[part].astype(np.uint8)))
    out = tmp_path / "weights.npz"
    monkeypatch.setattr(sys, "argv", ["train_digits", str(tmp_path), "--out", str(out), "--epochs", "1"])
    train_digits.main()
    said = capsys.readouterr().out
    found = re.search(r"sha256 (\w{64})\n", said)
    assert found and re.search(r"right on the test set: \d+\.\d\d%", said)
    weights = weights_of(NETWORKS["digits"]._replace(weights=str(out), sha256=found[1]))
    assert {name: value.shape for name, value in weights.items()} == {
        name: value.shape for name, value in weights_of(NETWORKS["digits"]).items()
    }


def test_images_are_moved_by_two_pixels_at_most(some):
    image = np.zeros((200, 28, 28, 1), np.uint8)
    image[:, 14, 10] = 7
    moved = train_digits._shifted(image, np.random.RandomState(0))
    assert moved.shape == image.shape and (moved.sum(axis=(1, 2, 3)) == 7).all()
    rows, columns = (np.unique(axis) for axis in np.nonzero(moved[..., 0])[1:])
    assert rows.tolist() == [12, 13, 14, 15, 16] and columns.tolist() == [8, 9, 10, 11, 12]
