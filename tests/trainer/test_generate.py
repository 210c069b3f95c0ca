"""Images from a run: any number, cut off, on the way from one to another."""

import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from tests.support.runs import drawn, run_here
from trainer import randomness
from trainer.errors import ConfigError, GantryError, UserError
from trainer.pictures import film
from trainer.sampling import numbers, origin
from trainer.sampling.drawing import Request
from trainer.sampling.generate import generate, looped, portable, truncate
from trainer.sampling.sampler import to_bytes
from trainer.sampling.writing import check_target, columns_of, write, write_film
from trainer.storage import open_store


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    root = tmp_path_factory.mktemp("run")
    run_here(root)
    return open_store(str(root / "e" / "run"))


def test_the_same_request_gives_the_same_images_and_another_seed_others(run):
    first, again = drawn(run, Request(seed=3, count=9)), drawn(run, Request(seed=3, count=9))
    assert first.shape == (9, 28, 28, 1) and first.dtype == np.uint8
    assert np.array_equal(first, again)
    assert not np.array_equal(first, drawn(run, Request(seed=4, count=9)))
    assert np.array_equal(first[:4], drawn(run, Request(seed=3, count=4)))


def test_an_earlier_checkpoint_draws_other_images(run):
    assert not np.array_equal(drawn(run, step=4), drawn(run))


def test_a_way_begins_and_ends_at_its_two_seeds(run):
    way = drawn(run, Request(interpolate=(1, 2), count=7))
    for end, seed in ((way[0], 1), (way[-1], 2)):
        expected = drawn(run, Request(seed=seed, count=1))[0]
        assert np.abs(end.astype(int) - expected).max() <= 1


def test_an_image_of_a_seed_is_the_same_whatever_the_others_are(run):
    some, all_ = drawn(run, Request(seeds=(5, 2))), drawn(run, Request(seeds=tuple(range(6))))
    assert np.array_equal(some[0], all_[5]) and np.array_equal(some[1], all_[2])
    assert np.abs(all_[5].astype(int) - drawn(run, Request(seed=5, count=9))[0]).max() <= 1
    cut = drawn(run, Request(seeds=(5, 2), truncation=0.7))
    assert np.array_equal(cut[1], drawn(run, Request(seeds=(2,), truncation=0.7))[0])
    assert not np.array_equal(cut, some)


def test_a_walk_meets_each_seed_once_and_ends_where_it_began(run, tmp_path):
    ends = np.random.default_rng(1).standard_normal((3, 16)).astype(np.float32)
    way = looped(ends, 4)
    assert way.shape == (12, 16) and np.allclose(way[::4], ends, atol=1e-6)
    steps = np.linalg.norm(np.diff(way, axis=0, append=way[:1]), axis=1)
    assert steps.max() < np.linalg.norm(ends[0] - ends[1]) / 2  # no jump, at its end neither
    frames, seeds = drawn(run, Request(seeds=(1, 2, 3), walk=4)), drawn(run, Request(seeds=(1, 2, 3)))
    assert np.abs(frames[::4].astype(int) - seeds).max() <= 1
    write_film(frames, tmp_path / "walk.gif", 20)
    with Image.open(tmp_path / "walk.gif") as picture:
        assert (picture.n_frames, picture.info["loop"], picture.info["duration"]) == (12, 0, 50)
        assert picture.size == (28 * 15, 28 * 15)
        picture.seek(7)
        assert np.array_equal(np.asarray(picture.convert("L"))[::15, ::15], frames[7, ..., 0])


def test_a_film_by_ffmpeg_where_there_is_one(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ConfigError, match=r"walk\.mp4: ffmpeg is not installed, expected it .* or a name"):
        check_target(tmp_path / "walk.mp4", films=True)
    with pytest.raises(ConfigError, match=r"walk\.png: expected a name ending in \.gif or \.mp4"):
        check_target(tmp_path / "walk.png", films=True)
    (tmp_path / "ffmpeg").write_text("#!/bin/sh\necho no such codec >&2\nexit 1\n")
    (tmp_path / "ffmpeg").chmod(0o755)
    check_target(tmp_path / "walk.mp4", films=True)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    with pytest.raises(GantryError, match=r"walk\.mp4: ffmpeg failed: no such codec"):
        film.write_film(np.zeros((2, 9, 9, 1), np.uint8), tmp_path / "walk.mp4", 20)
    assert [path.name for path in tmp_path.iterdir()] == ["ffmpeg"]


@pytest.mark.parametrize(
    ("text", "found"),
    [("7", (7,)), ("0-3", (0, 1, 2, 3)), ("5,1-2, 2-3", (5, 1, 2, 3)), ("2147483647", (2**31 - 1,))],
)
def test_seeds_are_numbers_and_spans(text, found):
    assert numbers.seeds(text) == found


@pytest.mark.parametrize(
    "text", ["", "a", "-1", "3-1", "1,,2", "0-9999999999", "0-10000", "2147483648", "1.5", "²"]
)
def test_what_is_no_list_of_seeds_is_refused_in_a_line(text):
    with pytest.raises(UserError, match=r"^--seeds .*expected [^\n]*$"):
        numbers.seeds(text)


def test_a_generator_is_a_run_a_file_or_the_folder_of_one(run, tmp_path):
    export = f"{run.url}/export"
    for where in (export, f"{export}/generator.keras"):
        assert origin.find(where).url == f"{export}/generator.keras"
    assert origin.find(run.url, 4).step == 4
    (tmp_path / "bad.keras").write_bytes(b"no archive")
    for where, more, said in (
        (str(tmp_path), {}, "there is no run.json and no generator.keras"),
        (f"{tmp_path}/absent.keras", {}, "absent.keras: there is no such file"),
        (export, {"step": 4}, "--step 4: expected none with .*one step's weights"),
        (export, {"best": True}, "best/generator.keras: there is no such file"),
        (f"{export}/generator.keras", {"best": True}, "--best: expected none with the file"),
        (run.url, {"best": True}, "--best: there is no best.json"),
        (run.url, {"best": True, "step": 4}, "--step 4: expected none with --best"),
    ):
        with pytest.raises(UserError, match=said):
            origin.find(where, **more)
    model, step = portable(origin.find(run.url))
    z = randomness.sample_latents(0, 4, 100)
    assert step == 12 and np.abs(to_bytes(model(z)).numpy().astype(int) - drawn(run)[:4]).max() <= 1
    with pytest.raises(UserError, match=r"bad\.keras: Keras cannot load it: "):
        generate(origin.find(f"{tmp_path}/bad.keras"), Request())
    with pytest.raises(UserError, match=r"--step 5: there are checkpoints at 4, 8, 12"):
        drawn(run, step=5)


def test_a_file_in_a_bucket_draws_as_the_one_here(run, gcs_root, tmp_path):
    run.download("export/generator.keras", tmp_path / "generator.keras")
    open_store(gcs_root).upload("export/generator.keras", tmp_path / "generator.keras")
    here = drawn(open_store(f"{run.url}/export"), Request(seeds=(2,)))
    for where in ("export", "export/generator.keras"):
        there = origin.find(f"{gcs_root}/{where}")
        assert np.array_equal(generate(there, Request(seeds=(2,))).images, here)
    with pytest.raises(UserError, match=f"{gcs_root}/absent.keras: there is no such file"):
        origin.find(f"{gcs_root}/absent.keras")


def test_a_file_of_another_program_draws_where_it_takes_latents(tmp_path):
    keras.utils.set_random_seed(1)
    latents, label = keras.Input((6,)), keras.Input((3,))
    x = keras.layers.Dense(12, activation="tanh")(keras.layers.Concatenate()([latents, label]))
    made = keras.Model([latents, label], keras.layers.Reshape((2, 2, 3))(x))
    made.save(tmp_path / "own.keras")
    images = generate(origin.find(f"{tmp_path}/own.keras"), Request(seeds=(4,))).images
    z = np.repeat(randomness.sample_latents(4, 1, 6), 3, axis=0)
    expected = (made([z, np.eye(3, dtype=np.float32)]).numpy() + 1) * 127.5
    assert images.shape == (3, 2, 2, 3) and np.abs(images - expected).max() <= 0.51
    keras.Sequential([keras.Input((28, 28, 1)), keras.layers.Flatten()]).save(tmp_path / "other.keras")
    with pytest.raises(UserError, match=r"takes \[n, 28, 28, 1\] and gives \[n, 784\], expected latents"):
        generate(origin.find(f"{tmp_path}/other.keras"), Request())


@given(st.floats(0.1, 4), st.integers(0, 99))
def test_truncation_bounds_every_entry_and_keeps_their_order(limit, seed):
    latents = np.random.default_rng(seed).standard_normal(500).astype(np.float32)
    cut = truncate(latents, limit)
    assert np.abs(cut).max() <= limit + 1e-6
    order = np.argsort(latents)
    assert (np.diff(cut[order]) >= 0).all()
    assert (np.sign(cut) == np.sign(latents)).all()


def test_images_are_written_as_grid_array_or_folder(run, tmp_path):
    images = drawn(run, Request(count=6))
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
        (Request(seeds=(1,), walk=4), "--walk 4: expected two seeds or more"),
        (Request(seeds=(1, 2), walk=0), "--walk 0: expected 1 or more frames"),
        (Request(seeds=(1, 2), walk=5001), "--seeds: 2 with --walk 5001, expected at most 10000 images"),
        (Request(seeds=(1,), of_class="3"), "--class 3: the generator takes no labels"),
    ],
)
def test_a_request_out_of_range_is_refused(run, request_, message):
    with pytest.raises(UserError, match=message):
        drawn(run, request_)


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
