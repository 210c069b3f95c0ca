"""Keras's sets, without a network: one line that says so; with one, the training images."""

import os
import subprocess
import sys

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


def test_a_failed_download_prints_no_notes_of_tensorflow(tmp_path):
    nowhere = dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"), "http://127.0.0.1:9")
    done = subprocess.run(
        [sys.executable, "-m", "trainer", "data", "prepare", "keras:mnist", f"tfrecord:{tmp_path}/out"],
        env={**os.environ, **nowhere, "no_proxy": "", "KERAS_HOME": str(tmp_path / "keras")},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    lines = [line for line in done.stderr.splitlines() if not line.startswith("Downloading data from https:")]
    assert (done.returncode, done.stdout) == (2, "")
    assert [line.partition(": ")[0] for line in lines if line.strip()] == ["keras:mnist", "error"], lines


def test_a_shape_that_cannot_be_is_refused_before_keras_is_imported():
    code = (
        "import sys; from trainer.data import open_source; from trainer.errors import DataError\n"
        "try:\n    open_source('keras:cifar10', (28, 28, 1))\n"
        "except DataError as error:\n    assert 'images are 32x32x3' in str(error)\n"
        "else:\n    raise SystemExit('taken')\n"
        "assert 'keras' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


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
