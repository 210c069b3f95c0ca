"""Keras's sets, without a network: one line that says so; with one, the training images."""

import numpy as np
import pytest

from tests.data.conftest import assert_one_line
from trainer.data import open_source
from trainer.errors import DataError


def test_a_failed_download_is_one_line(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    for variable in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(variable, "http://127.0.0.1:9")  # nobody listens there
    monkeypatch.setenv("no_proxy", "")
    with pytest.raises(DataError) as error:
        open_source("keras:mnist", None)
    assert_one_line(error, "data.source keras:mnist: Keras could not download", "mnist.npz")
    said = capsys.readouterr()
    assert "not in" in said.err and "downloading it" in said.err
    assert said.out == ""


@pytest.mark.parametrize(("which", "shape"), [("mnist", (28, 28)), ("cifar10", (32, 32, 3))])
def test_what_keras_gives_becomes_a_source(monkeypatch, which, shape):
    import keras

    images = np.random.default_rng(0).integers(0, 256, (20, *shape), np.uint8)
    labels = np.arange(20, dtype=np.uint8) % 10
    labels = labels[:, np.newaxis] if which == "cifar10" else labels
    module = getattr(keras.datasets, which)
    monkeypatch.setattr(module, "load_data", lambda: ((images, labels), (images[:1], labels[:1])))
    source = open_source(f"keras:{which}", None)
    assert source.shape == (*shape, 1)[:3]
    np.testing.assert_array_equal(source.load().reshape(images.shape), images)
    assert source.labels.tolist() == labels.ravel().tolist()
    assert source.label_names[1] == ("automobile" if which == "cifar10" else "1")
