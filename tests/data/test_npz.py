"""NumPy archives: which arrays are images, and which are refused."""

import io
import zipfile

import numpy as np
import pytest

from tests.data.conftest import assert_one_line
from trainer.data import Look, open_source, require_labels
from trainer.errors import DataError


@pytest.fixture
def images(digits):
    return digits.load()[::100]


def saved(tmp_path, **arrays):
    np.savez(tmp_path / "set.npz", **arrays)
    return f"npz:{tmp_path / 'set.npz'}"


def refused(source, *parts):
    with pytest.raises(DataError) as error:
        open_source(source, None)
    assert_one_line(error, f"data.source {source}: ", *parts)


@pytest.mark.parametrize(("key", "label_key"), [("images", "labels"), ("x", "y"), ("x_train", "y_train")])
@pytest.mark.parametrize("flat", [True, False])
def test_keys_and_axes(tmp_path, digits, images, key, label_key, flat):
    labels = digits.labels[::100]
    arrays = {key: images[..., 0] if flat else images, label_key: labels, "other": np.zeros(3)}
    source = open_source(saved(tmp_path, **arrays), (28, 28, 1))
    np.testing.assert_array_equal(source.load(), images)
    np.testing.assert_array_equal(source.labels, labels)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("signed", [True, False])
def test_floats_come_back_as_the_8_bits_they_were(tmp_path, images, dtype, signed):
    floats = images.astype(dtype) / dtype(127.5) - dtype(1) if signed else images.astype(dtype) / dtype(255)
    source = open_source(saved(tmp_path, images=floats), None)
    assert source.load().dtype == np.uint8
    np.testing.assert_array_equal(source.load(), images)


def test_rgb(tmp_path):
    images = np.arange(2 * 4 * 5 * 3, dtype=np.uint8).reshape(2, 4, 5, 3)
    source = open_source(saved(tmp_path, x=images), (4, 5, 3))
    np.testing.assert_array_equal(source.load(), images)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_nan_is_refused(tmp_path, bad):
    floats = np.zeros((5, 4, 4), np.float32)
    floats[3, 2, 1] = bad
    refused(saved(tmp_path, images=floats), "images holds NaN or Inf, first in image 3")


@pytest.mark.parametrize(
    ("array", "parts"),
    [
        (np.full((2, 4, 4), 200.0), ["floats from 200 to 200", "[-1, 1]"]),
        (np.zeros((2, 4, 4), np.int64), ["images is int64, expected uint8"]),
        (np.zeros((2, 784), np.uint8), ["images is 2x784", "N x height x width"]),
        (np.zeros((2, 3, 8, 8), np.uint8), ["images is 2x3x8x8", "move the channels last"]),
        (np.zeros((0, 8, 8), np.uint8), ["images is 0x8x8x1: there are no images"]),
        (np.array([{"a": 1}], object), ["images holds Python objects"]),
    ],
)
def test_other_arrays_are_refused(tmp_path, array, parts):
    refused(saved(tmp_path, images=array), *parts)


def test_missing_keys_are_listed(tmp_path):
    refused(saved(tmp_path, pictures=np.zeros(3), tags=np.zeros(3)), "its keys are pictures, tags", "x_train")


@pytest.mark.parametrize(
    ("labels", "why"),
    [
        (np.zeros(2, np.int64), "2 labels for 3 images"),
        (np.array([0.5, 1.0, 2.0]), "labels are float64 of shape 3"),
        (np.ones((3, 40), np.int8), "labels are int8 of shape 3x40"),  # CelebA's attributes
        (np.array(["a", None, 3], object), "y holds Python objects"),
        (np.zeros((3, 2, 2), bool), "labels are bool of shape 3x2x2"),
    ],
)
def test_labels_that_cannot_be_used_are_told_until_something_needs_them(tmp_path, labels, why):
    look = Look()
    source = open_source(saved(tmp_path, x=np.zeros((3, 4, 4), np.uint8), y=labels), None, look=look)
    assert (source.count, source.labels) == (3, None)
    assert [note.startswith(why) and note.endswith("without labels") for note in look.notes] == [True]
    with pytest.raises(DataError) as error:
        require_labels(source)
    assert_one_line(error, why)


def test_labels_that_nobody_wants_are_not_looked_at(tmp_path):
    look = Look(labels=False)
    source = saved(tmp_path, x=np.zeros((3, 4, 4), np.uint8), y=np.zeros(7))
    assert open_source(source, None, look=look).labels is None and look.notes == []


@pytest.mark.parametrize("dtype", [np.uint8, np.float32, bool])
def test_one_hot_labels_are_understood(tmp_path, dtype):
    hot = np.array([[0, 1, 0], [1, 0, 0], [0, 0, 1]], dtype)
    source = open_source(saved(tmp_path, x=np.zeros((3, 4, 4), np.uint8), y=hot), None)
    assert (source.labels.tolist(), source.label_names) == ([1, 0, 2], ("0", "1", "2"))


def test_an_array_that_promises_more_than_is_there_is_refused_before_it_is_made_room_for(tmp_path):
    path = tmp_path / "set.npz"
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        header, {"descr": "|u1", "fortran_order": False, "shape": (10**12, 28, 28)}
    )
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("images.npy", header.getvalue() + bytes(100))
    refused(f"npz:{path}", "images is damaged", "and 100 are there")


def test_a_set_over_the_limit_is_refused_before_it_is_read(tmp_path):
    source = saved(tmp_path, images=np.zeros((2000, 32, 32), np.uint8))
    with pytest.raises(DataError) as error:
        open_source(source, None, look=Look(limit=1 << 20))
    assert_one_line(error, "2 MiB are more than data.memory_limit_mb 1", "data prepare")


def test_not_an_archive(tmp_path):
    path = tmp_path / "set.npz"
    path.write_bytes(b"hello")
    refused(f"npz:{path}", "not a NumPy archive")
    np.save(tmp_path / "set.npy", np.zeros(3))
    refused(f"npz:{tmp_path / 'set.npy'}", "not a NumPy archive")


def test_damaged_archive(tmp_path, images):
    source = saved(tmp_path, images=images)
    path = tmp_path / "set.npz"
    content = bytearray(path.read_bytes())
    content[5000:5010] = b"xxxxxxxxxx"
    path.write_bytes(content)
    refused(source, str(path), "damaged")


def test_a_shape_the_model_does_not_have(tmp_path, images):
    with pytest.raises(DataError, match=r"images are 28x28x1, the model needs 32x32x1; set image.height=28"):
        open_source(saved(tmp_path, images=images), (32, 32, 1))
