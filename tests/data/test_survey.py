"""What is counted without reading an image is what the trainer comes to, in the same words."""

import gzip
import struct
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from tests.data.conftest import assert_one_line
from tests.data.test_examples import encoded, write
from trainer.config import resolve
from trainer.data import Look, dataset, open_source, pixels, prepare
from trainer.data.dataset import Accept
from trainer.errors import DataError
from trainer.storage import open_store
from trainer.survey import ENDINGS, survey

SMALL = ("image.height=8", "image.width=6", "batch_size=4")


def config(source, *more):
    return resolve("mlp", (f"data.source={source}", *SMALL, *more))


def said_by_trainer(settings):
    """The lines of the trainer's log about its data."""
    said = []
    dataset.look(settings, None, Accept(), said.append)
    return said


def picture(path, colour=(200, 40, 40), mode="RGB"):
    path.parent.mkdir(parents=True, exist_ok=True)
    shade = Image.new("RGB", (12, 12), colour)
    shade.paste((0, 0, 0), (0, 0, 6, 12))
    shade.convert(mode).save(path, "PNG")


def folder_of_pictures(path):
    for number in range(5):
        picture(path / ("cats" if number % 2 else "dogs") / f"{number}.PNG")
    for name in ("a.txt", "cats/b.TXT", "c.csv", ".hidden", ".git/d.png", "LICENSE"):
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_text("x")
    return f"images:{path}"


def idx(path, count=9, zipped=True):
    path.mkdir()
    content = struct.pack(">4I", 0x803, count, 8, 6) + bytes(range(48)) * count
    name = "train-images-idx3-ubyte" + (".gz" if zipped else "")
    (path / name).write_bytes(gzip.compress(content) if zipped else content)
    return f"idx:{path}"


def examples(path, images):
    path.mkdir()
    write(path / "a.tfrecord", [{"image": image.tobytes()} for image in images[:7]])
    write(path / "b.tfrecord", [{"image": image.tobytes()} for image in images[7:9]])
    (path / "notes.md").write_text("x")
    (path / "more.tar").write_text("x")
    return f"tfrecord:{path}"


@pytest.fixture
def sources(tmp_path, small, shards):
    np.savez(tmp_path / "x.npz", x_train=np.zeros((6, 8, 6), np.uint8))
    return {
        "folder": folder_of_pictures(tmp_path / "folder"),
        "npz": small[0],
        "flat npz": f"npz:{tmp_path}/x.npz",
        "idx": idx(tmp_path / "idx"),
        "plain idx": idx(tmp_path / "plain", zipped=False),
        "shards": f"tfrecord:{shards}",
        "examples": examples(tmp_path / "examples", small[1]),
    }


def test_each_kind_is_counted_as_the_trainer_counts_it(sources):
    for what, source in sources.items():
        look = Look()
        opened = open_source(source, (8, 6, 1), look=look)
        found = survey(config(source))
        assert (found.images, found.left_out) == (opened.count, look.left_out), what
        labels = len(set(opened.labels.tolist())) if opened.labels is not None else 0
        assert found.labels in (labels, 0), what
        assert found.shape in (opened.shape, None), what


def test_the_log_and_a_submit_say_the_same(sources):
    for what in ("folder", "shards", "idx"):
        settings = config(sources[what], "batch_size=8")
        told = [line for line in said_by_trainer(settings) if "every value" not in line]
        assert survey(settings).lines(settings) == told, what
    settings, name = config(sources["folder"], "batch_size=8"), f"data.source {sources['folder']}"
    assert survey(settings).lines(settings) == [
        f"{name}: 5 images of 8x6x1; 2 classes, not told to the networks (conditioning.kind tells them)",
        f"note: {name}: left out, as no images that are read: 2 .txt, 1 .csv, 1 without an ending",
        f"warning: {name}: 5 images are fewer than batch_size 8: each batch repeats them",
        f"warning: {name}: 5 of 5 have colours and are trained in grey, as image.channels is 1; "
        "image.channels=3 keeps them",
    ]
    assert len(survey(config(sources["folder"], "data.labels=none", "image.channels=3")).lines(settings)) == 3
    assert survey(config(sources["folder"], "data.labels=none")).labels == 0


@pytest.mark.parametrize(
    ("mode", "colour", "coloured"),
    [("RGB", (90, 90, 90), 0), ("L", (90, 90, 90), 0), ("RGB", (90, 90, 140), 3), ("P", (0, 90, 0), 3)],
)
def test_grey_pictures_stored_in_colour_lose_nothing(tmp_path, mode, colour, coloured):
    for number in range(3):
        picture(tmp_path / f"{number}.png", colour, mode)
    settings = config(f"images:{tmp_path}", "batch_size=3")
    assert survey(settings).coloured == coloured
    assert sum("trained in grey" in line for line in said_by_trainer(settings)) == bool(coloured)


def test_shards_in_a_bucket_are_counted_by_their_index_or_not_at_all(gcs_root, small, tmp_path):
    target = f"{gcs_root}/prepared"
    prepare(small[0], f"tfrecord:{target}")
    found = survey(config(f"tfrecord:{target}"))
    assert (found.images, found.shape, found.shards, found.labels) == (1200, (8, 6, 1), 1, 10)
    examples(tmp_path / "local", small[1])
    for name in ("a.tfrecord", "b.tfrecord", "notes.md"):
        open_store(f"{gcs_root}/theirs").upload(name, tmp_path / "local" / name)
    settings = config(f"tfrecord:{gcs_root}/theirs/")
    found = survey(settings)
    assert (found.images, found.shards, found.left_out) == (None, 2, {".md": 1})
    assert "2 shards without an index" in found.lines(settings)[0]
    assert "how many images is known when they are read" in found.lines(settings)[0]


def test_what_cannot_be_is_said_as_the_trainer_says_it(tmp_path, shards):
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "a.txt").write_text("x")
    for source in (
        f"images:{tmp_path}/none",
        f"images:{tmp_path}/empty",
        f"npz:{tmp_path}/none.npz",
        f"tfrecord:{tmp_path}/empty",
        f"tfrecord:{shards}",
        "digits",
        "keras:cifar10",
    ):
        settings = config(source, "image.height=12")
        with pytest.raises(DataError) as here:
            survey(settings)
        with pytest.raises(DataError) as there:
            said_by_trainer(settings)
        assert str(here.value) == str(there.value)
        assert_one_line(here, f"data.source {source}: ")


def test_what_is_damaged_is_left_to_whoever_reads_it(tmp_path, small):
    (tmp_path / "a.npz").write_bytes(b"PK no archive")
    assert survey(config(f"npz:{tmp_path}/a.npz")) is None
    (tmp_path / "idx").mkdir()
    (tmp_path / "idx" / "train-images-idx3-ubyte").write_bytes(b"\0\0\x08")
    assert survey(config(f"idx:{tmp_path}/idx")) is None
    source = examples(tmp_path / "cut", small[1])
    shard = tmp_path / "cut" / "a.tfrecord"
    shard.write_bytes(shard.read_bytes()[:-1])
    assert survey(config(source)).images is None
    for index in ("x", "[]", "{}", '{"count": 1, "shape": [1]}', '{"count": null, "shape": [8, 6, 1]}'):
        (tmp_path / "cut" / "index.json").write_text(index)
        assert survey(config(source)).images is None
    write(shard, [{"image": encoded(np.zeros((8, 6, 1), np.uint8), "PNG")}])
    (tmp_path / "cut" / "index.json").unlink()
    assert survey(config(source)).images == 3


def test_a_workstation_needs_neither_numpy_nor_tensorflow(tmp_path):
    source = folder_of_pictures(tmp_path / "a")
    code = (
        "import sys; from trainer.config import resolve; from trainer.survey import survey\n"
        f"found = survey(resolve('mlp', ['data.source={source}', 'image.channels=3']))\n"
        "assert found.images == 5 and not {'numpy', 'tensorflow', 'PIL'} & sys.modules.keys()"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_the_endings_are_those_of_the_pillow_that_is_locked():
    assert pixels.ENDINGS == ENDINGS
