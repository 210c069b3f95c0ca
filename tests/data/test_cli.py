"""`data show` and `data prepare`, the grid, and the numbers they print."""

import io
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from typer.testing import CliRunner

from trainer.data import example_grid, open_source, show
from trainer.data_cli import app
from trainer.errors import AccessError, DataError
from trainer.pictures.grid import LEAST_SIDE, MOST_SIDE, encode_png, scale, tile


def run(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_the_summary_counts(small):
    summary = show(open_source(small[0], None))
    assert (summary.count, summary.shape, summary.nbytes) == (1200, (8, 6, 1), 1200 * 48)
    assert summary.value_range == (int(small[1].min()), int(small[1].max()))
    assert summary.labels == {str(label): 125 for label in range(9)} | {"9": 75}


def small_again(grid):
    """A grid as it was before each of its pixels was drawn as a square of many."""
    for times in range(min(grid.shape[:2]), 0, -1):
        small = grid[::times, ::times]
        if np.array_equal(small.repeat(times, 0).repeat(times, 1), grid):
            return small
    raise AssertionError("never")


@given(st.integers(1, 3000), st.integers(1, 3000))
def test_a_grid_is_enlarged_by_whole_pixels_until_it_can_be_looked_at(height, width):
    times = scale(height, width)
    shorter, longer = sorted((times * height, times * width))
    assert times == 1 or longer <= MOST_SIDE
    assert shorter >= LEAST_SIDE or longer + max(height, width) > MOST_SIDE


def test_tiles_lie_row_by_row_with_margins():
    images = np.arange(1, 6, dtype=np.uint8).reshape(5, 1, 1, 1) * np.ones((5, 3, 4, 1), np.uint8)
    grid = small_again(tile(images, 2, 3))
    assert grid.shape == (2 * 5 + 2, 3 * 6 + 2, 1)
    assert (grid[2:5, 8:12] == 2).all() and (grid[7:10, 2:6] == 4).all()
    assert (grid[:, :2] == 255).all() and (grid[5:7] == 255).all() and (grid[7:, 14:] == 255).all()
    with pytest.raises(ValueError, match="5 images for a grid of 2x2"):
        tile(images, 2, 2)


@pytest.mark.parametrize("channels", [1, 3])
def test_a_png_holds_the_pixels_and_always_the_same_bytes(channels):
    image = np.random.default_rng(0).integers(0, 256, (9, 5, channels), np.uint8)
    content = encode_png(image)
    assert content == encode_png(image.copy())
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(content))).reshape(image.shape), image)


def test_the_grid_shows_the_whole_set(digits):
    grid = small_again(example_grid(digits, 1, 10))
    np.testing.assert_array_equal(grid[2:30, 2:30], digits.load()[0])
    np.testing.assert_array_equal(grid[2:30, -30:-2], digits.load()[-1])


def test_show_prints_and_draws(small, tmp_path):
    out = tmp_path / "grid.png"
    result = run("show", small[0], "--out", out, "--rows", 3, "--columns", 4)
    assert result.exit_code == 0
    assert "1200 of 8x6x1" in result.stdout and "9: 75" in result.stdout
    assert Image.open(out).size == (13 * (4 * 8 + 2), 13 * (3 * 10 + 2))


def test_show_as_json(small):
    found = json.loads(run("show", small[0], "-o", "json").stdout)
    assert (found["count"], found["shape"], found["labels"]["9"]) == (1200, [8, 6, 1], 75)


def test_prepare_then_show(flowers, tmp_path):
    target = f"tfrecord:{tmp_path / 'out'}"
    result = run("prepare", f"images:{flowers}", target, "--shape", "16x16x3", "--shard-images", 256)
    assert result.exit_code == 0
    assert "8 images of 16x16x3 in 1 shard," in result.stdout
    found = json.loads(run("show", target, "-o", "json").stdout)
    assert found["labels"] == {"one": 4, "two": 4} and found["streamable"]


@pytest.mark.parametrize("shape", ["64", "64x64x2", "0x4x3", "ax4x3"])
def test_a_wrong_shape_is_refused(shape):
    result = run("show", "digits", "--shape", shape)
    assert isinstance(result.exception, DataError)
    assert f"--shape {shape}: expected height x width" in str(result.exception)


def test_a_grid_that_cannot_be_written(small, tmp_path):
    result = run("show", small[0], "--out", tmp_path / "no" / "grid.png")
    assert isinstance(result.exception, AccessError)


@pytest.mark.parametrize("command", ["show", "prepare"])
def test_help_has_an_example(command):
    assert f"data {command} " in run(command, "--help").stdout
