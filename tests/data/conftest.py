"""Small real sets: MNIST digits, and random images in shards."""

import numpy as np
import pytest
from PIL import Image

from trainer.data import open_source, prepare

COUNT = 1200
"""Images of the small sets: four full blocks and a part of one."""


@pytest.fixture(scope="session")
def digits():
    """All 5,000 digits as a source."""
    return open_source("digits", (28, 28, 1))


@pytest.fixture(scope="session")
def small(digits, tmp_path_factory):
    """Every fourth digit, cropped to 8x6, with labels: ``npz:`` source, images and labels."""
    images = np.ascontiguousarray(digits.load()[: COUNT * 4 : 4, 10:18, 11:17])
    labels = digits.labels[: COUNT * 4 : 4]
    path = tmp_path_factory.mktemp("npz") / "small.npz"
    np.savez(path, images=images, labels=labels)
    return f"npz:{path}", images, labels


@pytest.fixture(scope="session")
def shards(small, tmp_path_factory):
    """`small` as three shards of 512, 512 and 176 images: the folder they lie in."""
    folder = tmp_path_factory.mktemp("shards")
    prepare(small[0], f"tfrecord:{folder}", shard_images=512)
    return folder


@pytest.fixture
def flowers(tmp_path, digits):
    """A folder of digits as PNG and JPEG files in the sub-folders ``one`` and ``two``."""
    images = digits.load()
    for label, first in (("one", 500), ("two", 1000)):
        (tmp_path / "flowers" / label).mkdir(parents=True)
        for number in range(4):
            picture = Image.fromarray(images[first + number, :, :, 0])
            ending = "png" if number % 2 == 0 else "JPG"
            picture.save(
                tmp_path / "flowers" / label / f"{number}.{ending}", "PNG" if ending == "png" else "JPEG"
            )
    return tmp_path / "flowers"


def assert_one_line(error, *parts):
    """A message for a person: one line that holds all of `parts`."""
    text = str(error.value)
    assert "\n" not in text
    for part in parts:
        assert part in text, f"{part!r} not in {text!r}"
