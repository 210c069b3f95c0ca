"""Damaged pictures in shards that somebody else wrote: all found in one pass, and left out if asked."""

import json

import numpy as np
import pytest
from typer.testing import CliRunner

from tests.data.conftest import assert_one_line
from tests.data.test_examples import encoded, write
from trainer.data import Look, open_source, read_pin, seen
from trainer.data_cli import app
from trainer.errors import DataError

BAD = (1, 4, 8)
"""Pictures of `shards` that are damaged, of 20 in two shards."""


@pytest.fixture
def images(digits):
    return digits.load()[::250]


@pytest.fixture
def broken(tmp_path, images):
    """Two shards of ten pictures each, of which some are cut short: their source and their folder."""
    folder = tmp_path / "theirs"
    folder.mkdir()
    for shard in range(2):
        rows = []
        for number, image in enumerate(images[10 * shard : 10 * shard + 10]):
            content = encoded(image, "PNG")
            rows.append({"image": content[:60] if number in BAD else content, "label": number})
        write(folder / f"{'ab'[shard]}.tfrecord", rows)
    return f"tfrecord:{folder}", folder


def sound(images):
    return images[[number for number in range(20) if number % 10 not in BAD]]


def test_they_are_all_named_in_one_pass(broken):
    with pytest.raises(DataError) as error:
        open_source(broken[0], (28, 28, 1))
    named = [f"{shard}.tfrecord: record {number} is damaged" for shard in "ab" for number in BAD]
    assert_one_line(error, "6 of 20 images cannot be read", *named, "--set data.skip_damaged=true")
    assert "data show" not in str(error.value)  # which has nothing to add


def test_the_first_ten_are_named_and_data_show_lists_the_rest(tmp_path, images):
    rows = [
        {"image": encoded(image, "PNG")[: 60 if number < 12 else None]} for number, image in enumerate(images)
    ]
    write(tmp_path / "a.tfrecord", rows)
    source = f"tfrecord:{tmp_path}"
    with pytest.raises(DataError) as error:
        open_source(source, (28, 28, 1))
    assert_one_line(
        error, "12 of 20", "record 9 ", f"and 2 more, which 'python -m trainer data show {source}' lists"
    )
    assert "record 10" not in str(error.value)
    told = CliRunner().invoke(app, ["show", source])
    assert [line.split()[3] for line in told.stdout.splitlines() if line.startswith("damaged")] == [
        str(number) for number in range(12)
    ]
    assert "images   20 of 28x28x1" in told.stdout and "left out" not in told.stdout
    assert str(told.exception) == f"12 of 20 images of {source} cannot be read"
    shown = CliRunner().invoke(app, ["show", source, "--skip-damaged", "-o", "json"])
    assert shown.exit_code == 0 and len(json.loads(shown.stdout)["damaged"]) == 12


def test_they_are_left_out_and_stay_so(broken, images):
    look = Look(skip_damaged=True)
    source = open_source(broken[0], (28, 28, 1), look=look)
    np.testing.assert_array_equal(source.load(), sound(images))
    assert source.labels.tolist() == [number for number in range(10) if number not in BAD] * 2
    assert len(look.skipped) == 6 and "a.tfrecord: record 1" in look.lines()[0]
    pin = read_pin("data.json", seen(broken[0], source.count, look).to_json())
    # One more that a newer Pillow could read would be another set of images.
    later = Look(pinned=pin.by_name, skipped=(*pin.skipped, "b.tfrecord: record 9"))
    assert open_source(broken[0], (28, 28, 1), look=later).count == 13
    later.check()


@pytest.mark.parametrize(
    ("what", "said", "count"),
    [
        ("content", "wrong checksum: the shard is damaged", 6),
        ("length", "what follows is lost", 4),
        ("end", "9 bytes are missing", 6),
        ("size", "781 bytes", 6),
        ("no example", "is no tf.train.Example", 6),
        ("floats", "holds NaN or Inf", 6),
    ],
)
def test_every_way_to_be_damaged_counts(tmp_path, images, what, said, count):
    import tensorflow as tf

    path = tmp_path / "a.tfrecord"
    rows = [{"image": image.tobytes()} for image in images[:6]]
    if what == "size":
        rows[2]["image"] = rows[2]["image"][:-3]
    write(path, rows)
    content = bytearray(path.read_bytes())
    if what in ("content", "length"):
        content[len(content) // 2 + (50 if what == "content" else 0)] ^= 1
    if what == "end":
        del content[-9:]
    path.write_bytes(content)
    if what in ("no example", "floats"):
        with tf.io.TFRecordWriter(str(path)) as writer:
            for number, row in enumerate(rows):
                values = np.frombuffer(row["image"], np.uint8) / 255
                values[0] = np.nan if number == 3 else values[0]
                floats = tf.train.Feature(float_list=tf.train.FloatList(value=values))
                example = tf.train.Example(features=tf.train.Features(feature={"image": floats}))
                none = what == "no example" and number == 3
                writer.write(b"\xff\xff" if none else example.SerializeToString())
    with pytest.raises(DataError) as error:
        open_source(f"tfrecord:{path}", (28, 28, 1))
    assert_one_line(error, f"1 of {count} images cannot be read: a.tfrecord: ", said, "skip_damaged")
    look = Look(skip_damaged=True)
    assert open_source(f"tfrecord:{path}", (28, 28, 1), look=look).count == count - 1
    assert len(look.skipped) == 1


def test_what_all_of_them_lack_is_no_damage(tmp_path, images):
    write(tmp_path / "a.tfrecord", [{"picture": image.tobytes()} for image in images])
    for look in (Look(), Look(skip_damaged=True)):
        with pytest.raises(DataError) as error:
            open_source(f"tfrecord:{tmp_path}", (28, 28, 1), look=look)
        assert_one_line(error, "record 0: no feature 'image'", "its features are picture")
    write(tmp_path / "a.tfrecord", [{"image": encoded(image, "PNG")[:60]} for image in images])
    with pytest.raises(DataError) as error:
        open_source(f"tfrecord:{tmp_path}", (28, 28, 1), look=Look(skip_damaged=True))
    assert_one_line(error, "20 of 20 images cannot be read")


def test_prepared_from_broken_ones(broken, tmp_path, images):
    target = f"tfrecord:{tmp_path / 'ours'}"
    refused = CliRunner().invoke(app, ["prepare", broken[0], target])
    assert "6 of 20 images cannot be read" in str(refused.exception)
    assert not (tmp_path / "ours").exists() or not list((tmp_path / "ours").iterdir())
    done = CliRunner().invoke(app, ["prepare", broken[0], target, "--skip-damaged"])
    assert done.exit_code == 0 and "14 images of 28x28x1 in 1 shard," in done.stdout
    np.testing.assert_array_equal(open_source(target, None).load(), sound(images))
