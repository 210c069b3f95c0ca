"""Which images are held out: by their own content, so that nothing else moves one across."""

import gzip
import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trainer import config
from trainer.data import ArraySource, dataset
from trainer.data.dataset import Accept
from trainer.data.holdout import numbers, split
from trainer.errors import ConfigError, DataError

NUMBERS = (3289205960469723932, 8764823870696171193)


def images(count, seed=0):
    return np.random.RandomState(seed).randint(0, 256, (count, 4, 4, 1)).astype(np.uint8)


def rows(source):
    return {image.tobytes() for image in source.load()}


def quietly(sets, preset="mlp"):
    return dataset.look(config.resolve(preset, sets), None, Accept(), lambda _: None)


@given(st.integers(20, 200), st.integers(0, 50), st.floats(0.2, 0.5), st.randoms())
@settings(max_examples=25, deadline=None)
def test_more_data_in_another_order_moves_nothing_across(count, more, share, random):
    """The law: an image's side is its own, whatever stands beside it."""
    few = images(count)
    many = np.concatenate([few, images(more, 1)])
    order = list(range(len(many)))
    random.shuffle(order)
    trained, held = split(ArraySource("npz:few", few), share, "")
    trained_more, held_more = split(ArraySource("npz:many", many[order]), share, "")
    assert rows(trained) <= rows(trained_more) and rows(held.source) <= rows(held_more.source)
    assert not rows(trained) & rows(held.source)
    for half, more in zip(held.halves, held_more.halves, strict=True):
        assert {image.tobytes() for image in half} <= {image.tobytes() for image in more}


def test_copies_of_an_image_are_on_one_side():
    twice = np.concatenate([images(100), images(100)])
    trained, held = split(ArraySource("npz:twice", twice), 0.3, "")
    assert trained.count + held.source.count == 200 and not rows(trained) & rows(held.source)


def test_the_share_is_about_what_was_asked_for_and_labels_stay_with_their_images():
    data, labels = images(4000), np.arange(4000) % 7
    trained, held = split(ArraySource("npz:a", data, None, labels, tuple("abcdefg")), 0.1, "")
    assert 330 < held.source.count < 470 and 0.4 < held.second.mean() < 0.6
    known = {image.tobytes(): label for image, label in zip(data, labels, strict=True)}
    for part in (trained, held.source):
        found = [known[image.tobytes()] for image in part.load()]
        assert found == part.labels.tolist() and part.label_names == tuple("abcdefg")


def test_the_numbers_of_images_never_change():
    """Else a run that goes on would train on what it was judged by."""
    assert [int(each) for each in numbers(images(2))] == [NUMBERS[0], NUMBERS[1]]


def test_no_half_may_be_empty():
    with pytest.raises(DataError, match=r"data.holdout 0.001 of 20 images are 0, expected 2 or more"):
        split(ArraySource("npz:a", images(20)), 0.001, "")


@pytest.mark.parametrize(
    ("sets", "said"),
    [
        (["data.holdout=0.1", "data.holdout_source=digits"], "data.holdout is 0.1, expected 0 beside"),
        (["data.holdout=0.1", "data.placement=stream"], "expected 0 with data.placement stream"),
        (["data.holdout_source=test"], "data.holdout_source is test, expected a source: digits has no"),
        (["data.holdout=0.7"], "data.holdout"),
        (["data.holdout_source=nothing"], "unknown kind 'nothing'"),
    ],
)
def test_what_cannot_be_held_out_is_refused_by_its_name(sets, said):
    with pytest.raises(ConfigError, match=said) as failure:
        config.resolve("mlp", sets)
    assert "\n" not in str(failure.value)


def test_a_share_of_the_digits_is_not_trained_on():
    found = quietly(["data.holdout=0.1"])
    assert found.source.count + found.held_out.source.count == 5000
    assert not rows(found.source) & rows(found.held_out.source)
    assert found.told()["held_out"]["images"] == found.held_out.source.count
    assert "held_out" not in quietly([]).told()


def test_the_test_files_beside_an_idx_folders_are_held_out(tmp_path):
    for name, count in (("train", 30), ("t10k", 12)):
        data = images(count, len(name))
        data = np.repeat(np.repeat(data, 7, axis=1), 7, axis=2)[..., 0]
        content = struct.pack(">4I", 0x803, count, 28, 28) + data.tobytes()
        (tmp_path / f"{name}-images-idx3-ubyte.gz").write_bytes(gzip.compress(content))
    found = quietly([f"data.source=idx:{tmp_path}", "data.holdout_source=test"])
    assert (found.source.count, found.held_out.source.count) == (30, 12)
    assert found.held_out.fingerprint != found.pin.fingerprint


def test_a_set_of_another_shape_is_refused(tmp_path):
    np.savez(tmp_path / "small.npz", images=images(10))
    with pytest.raises(DataError, match=r"small.npz: images are 4x4x1, the model needs 28x28x1"):
        quietly([f"data.holdout_source=npz:{tmp_path}/small.npz"])
