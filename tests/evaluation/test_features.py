"""The feature networks as they are shipped."""

import hashlib
from importlib.resources import files

import numpy as np
import pytest

tf = pytest.importorskip("tensorflow")

from trainer.data import open_source, require_labels  # noqa: E402
from trainer.errors import DataError  # noqa: E402
from trainer.evaluation import features  # noqa: E402

DIGITS = features.NETWORKS["digits"]


@pytest.fixture(scope="module")
def look():
    return features.load(DIGITS)


def test_digits_knows_digits_and_its_file_is_small_and_the_one_that_was_trained(look):
    content = (files("trainer.evaluation") / DIGITS.weights).read_bytes()
    assert hashlib.sha256(content).hexdigest() == DIGITS.sha256 and len(content) < 1_000_000
    digits = open_source("digits", DIGITS.shape)
    ids = np.arange(0, digits.count, 5)  # all classes: the set is sorted
    seen = look(digits.read(ids))
    assert seen.features.shape == (1000, DIGITS.size) and seen.features.min() >= 0
    assert (seen.shares.argmax(1) == require_labels(digits)[ids]).mean() > 0.99
    np.testing.assert_allclose(seen.shares.sum(1), 1, rtol=1e-5)


def test_what_it_sees_of_an_image_does_not_depend_on_the_others(look):
    images = open_source("digits", DIGITS.shape).read(np.arange(0, 5000, 7))
    np.testing.assert_allclose(look(images).features[-3:], look(images[-3:]).features, rtol=1e-4, atol=1e-4)


def test_weights_that_are_missing_or_others_are_refused_by_name():
    with pytest.raises(DataError, match=r"feature network digits: .*gone\.npz: cannot be read"):
        features.load(DIGITS._replace(weights="gone.npz"))
    with pytest.raises(DataError, match=rf"sha256 is {DIGITS.sha256}, expected 00"):
        features.load(DIGITS._replace(sha256="00"))
