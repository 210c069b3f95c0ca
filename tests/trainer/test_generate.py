"""Images from a run: any number, cut off, on the way from one to another."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from tests.support.runs import run_here
from trainer.errors import ConfigError, UserError
from trainer.sampling.drawing import Request, check_target, columns_of, write
from trainer.sampling.generate import generate, truncate
from trainer.storage import open_store


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    root = tmp_path_factory.mktemp("run")
    run_here(root)
    return open_store(str(root / "e" / "run"))


def test_the_same_request_gives_the_same_images_and_another_seed_others(run):
    first, again = generate(run, Request(seed=3, count=9)), generate(run, Request(seed=3, count=9))
    assert first.shape == (9, 28, 28, 1) and first.dtype == np.uint8
    assert np.array_equal(first, again)
    assert not np.array_equal(first, generate(run, Request(seed=4, count=9)))
    assert np.array_equal(first[:4], generate(run, Request(seed=3, count=4)))


def test_an_earlier_checkpoint_draws_other_images(run):
    assert not np.array_equal(generate(run, Request(step=4)), generate(run, Request()))


def test_a_way_begins_and_ends_at_its_two_seeds(run):
    way = generate(run, Request(interpolate=(1, 2), count=7))
    for end, seed in ((way[0], 1), (way[-1], 2)):
        expected = generate(run, Request(seed=seed, count=1))[0]
        assert np.abs(end.astype(int) - expected).max() <= 1


@given(st.floats(0.1, 4), st.integers(0, 99))
def test_truncation_bounds_every_entry_and_keeps_their_order(limit, seed):
    latents = np.random.default_rng(seed).standard_normal(500).astype(np.float32)
    cut = truncate(latents, limit)
    assert np.abs(cut).max() <= limit + 1e-6
    order = np.argsort(latents)
    assert (np.diff(cut[order]) >= 0).all()
    assert (np.sign(cut) == np.sign(latents)).all()


def test_images_are_written_as_grid_array_or_folder(run, tmp_path):
    images = generate(run, Request(count=6))
    for name in ("grid.png", "images.npz", "folder"):
        check_target(tmp_path / name)
        write(images, tmp_path / name)
    assert np.array_equal(np.load(tmp_path / "images.npz")["images"], images)
    files = sorted((tmp_path / "folder").iterdir())
    assert [file.name for file in files] == [f"{number}.png" for number in range(6)]
    with Image.open(files[3]) as picture:
        assert np.array_equal(np.asarray(picture), images[3, :, :, 0])
    with Image.open(tmp_path / "grid.png") as picture:
        assert picture.size[0] > 3 * 28 and picture.size[1] > 2 * 28


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        (Request(count=0), "--count 0"),
        (Request(truncation=0.0), "--truncation 0"),
        (Request(step=5), "--step 5"),
    ],
)
def test_a_request_out_of_range_is_refused(run, request_, message):
    with pytest.raises(UserError, match=message):
        generate(run, request_)


def test_a_target_in_no_folder_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="no folder"):
        check_target(tmp_path / "absent" / "grid.png")


@pytest.mark.parametrize(
    ("count", "way", "columns"),
    [
        (1, False, 1),
        (10, False, 5),
        (10, True, 10),
        (13, False, 4),
        (15, False, 5),
        (25, False, 5),
        (100, True, 10),
    ],
)
def test_a_grid_has_no_holes_where_it_need_not_and_a_way_is_one_row(count, way, columns):
    assert columns_of(count, way) == columns
