"""MNIST's own files, written here from the digits by the format's description."""

import gzip
import os
import struct
import tempfile
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from tests.data.conftest import assert_one_line
from trainer.data import Look, open_source
from trainer.data.idx import open_test
from trainer.errors import AccessError, DataError

IMAGES, LABELS = "train-images-idx3-ubyte", "train-labels-idx1-ubyte"


def idx(array):
    return struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape) + array.tobytes()


@pytest.fixture
def mnist(tmp_path, digits):
    images = digits.load()[::50]
    (tmp_path / IMAGES).write_bytes(idx(images[..., 0]))
    (tmp_path / LABELS).write_bytes(idx(digits.labels[::50].astype(np.uint8)))
    return tmp_path


def pack(path):
    path.with_name(path.name + ".gz").write_bytes(gzip.compress(path.read_bytes()))
    path.unlink()


def refused(folder, *parts):
    with pytest.raises(DataError) as error:
        open_source(f"idx:{folder}", None).load()
    assert_one_line(error, f"data.source idx:{folder}: ", *parts)


@pytest.mark.parametrize("zipped", [[], [IMAGES, LABELS], [IMAGES]])
def test_images_and_labels(mnist, digits, zipped):
    for name in zipped:
        pack(mnist / name)
    source = open_source(f"idx:{mnist}", (28, 28, 1))
    np.testing.assert_array_equal(source.load(), digits.load()[::50])
    np.testing.assert_array_equal(source.labels, digits.labels[::50])
    assert source.label_names == tuple("0123456789")
    np.testing.assert_array_equal(source.read(np.array([3, 0, 3])), digits.load()[[150, 0, 150]])


def test_names_with_a_dot_and_no_labels(mnist):
    (mnist / IMAGES).rename(mnist / "train-images.idx3-ubyte")
    (mnist / LABELS).unlink()
    source = open_source(f"idx:{mnist}", None)
    assert (source.count, source.shape, source.labels, source.label_names) == (100, (28, 28, 1), None, None)


def test_the_test_images_lie_beside_the_training_images(mnist, digits):
    for kind in ("images-idx3", "labels-idx1"):
        (mnist / f"t10k-{kind}-ubyte").write_bytes((mnist / f"train-{kind}-ubyte").read_bytes())
    (mnist / "train-images-idx3-ubyte").unlink()
    found = open_test(str(mnist), Look(f"idx:{mnist}"))
    np.testing.assert_array_equal(found.load(), digits.load()[::50])
    np.testing.assert_array_equal(found.labels, digits.labels[::50])
    (mnist / "t10k-images-idx3-ubyte").unlink()
    with pytest.raises(DataError) as error:
        open_test(str(mnist), Look(f"idx:{mnist}"))
    assert_one_line(error, f"data.source idx:{mnist}: no t10k-images-idx3-ubyte or t10k-images-idx3-ubyte.gz")


def test_no_images(tmp_path):
    refused(tmp_path, f"no {IMAGES} or {IMAGES}.gz in {tmp_path}")


def test_cut_short_names_file_and_bytes(mnist):
    content = (mnist / IMAGES).read_bytes()
    (mnist / IMAGES).write_bytes(content[:-10])
    refused(
        mnist, str(mnist / IMAGES), "cut short", f"expected {len(content)} bytes, found {len(content) - 10}"
    )


def test_cut_in_the_header(mnist):
    (mnist / IMAGES).write_bytes(b"\0\0\x08\x03\0")
    refused(mnist, str(mnist / IMAGES), "expected a header of 16 bytes, found 5")


def test_too_long(mnist):
    with (mnist / LABELS).open("ab") as file:
        file.write(b"x")
    refused(mnist, str(mnist / LABELS), "expected 108 bytes, found 109")


def test_wrong_magic(mnist):
    (mnist / IMAGES).write_bytes((mnist / LABELS).read_bytes() + bytes(20))
    refused(mnist, str(mnist / IMAGES), "0x00000801", "expected 0x00000803")


@pytest.mark.parametrize(
    "damage", [lambda b: b"no gzip", lambda b: b[:-20], lambda b: b[:40] + b"xxx" + b[43:]]
)
def test_broken_gzip(mnist, damage):
    pack(mnist / IMAGES)
    path = mnist / f"{IMAGES}.gz"
    path.write_bytes(damage(path.read_bytes()))
    refused(mnist, str(path), "not a whole gzip file")


def test_labels_of_another_count_are_told_and_left_out(mnist):
    (mnist / LABELS).write_bytes(idx(np.zeros(99, np.uint8)))
    look = Look()
    source = open_source(f"idx:{mnist}", None, look=look)
    assert (source.count, source.labels) == (100, None)
    assert look.notes == ["99 labels for 100 images; the set is used without labels"]


def test_empty(mnist):
    (mnist / IMAGES).write_bytes(idx(np.zeros((0, 28, 28), np.uint8)))
    refused(mnist, "there are no images")


@pytest.mark.parametrize("closed", ["folder", "file"])
def test_what_may_not_be_read_is_an_access_error(closed):
    with tempfile.TemporaryDirectory() as folder, as_nobody(folder):
        path = Path(folder) / "mnist"
        path.mkdir()
        (path / IMAGES).write_bytes(b"")
        (path if closed == "folder" else path / IMAGES).chmod(0)
        try:
            with pytest.raises(AccessError) as error:
                open_source(f"idx:{path}", None)
        finally:
            path.chmod(0o700)
        assert_one_line(error, f"{path / IMAGES} may not be read: permission denied")


@contextmanager
def as_nobody(folder):
    """Give a folder to an ordinary user and be that user: root may read everything."""
    before = os.geteuid()
    if before == 0:
        os.chown(folder, 65534, -1)
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(before)
