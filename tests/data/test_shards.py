"""Shards: what is prepared comes back, whole and in pieces, from a folder and from a bucket."""

import io
import json
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.data.conftest import COUNT, assert_one_line
from trainer import randomness
from trainer.data import Look, open_source, prepare
from trainer.data.blocks import BlockCache
from trainer.data.index import parse_index
from trainer.data.shards import ShardSource
from trainer.errors import DataError
from trainer.storage import LocalStore

SHAPE = (8, 6, 1)


class CountingStore(LocalStore):
    """A folder that notes every read."""

    def __init__(self, root):
        super().__init__(root)
        self.reads = []

    def read(self, name, start=0, length=None):
        self.reads.append((name, start, length))
        return super().read(name, start, length)


def counting(folder, cache_blocks):
    store = CountingStore(folder)
    index = parse_index("tfrecord:x", "index.json", store.read("index.json"))
    store.reads.clear()
    return ShardSource("tfrecord:x", store, index, SHAPE, cache_blocks), store


def test_prepared_comes_back_equal_from_every_store(store, small):
    seen = []
    index = prepare(
        small[0],
        f"tfrecord:{store.url}",
        shard_images=512,
        progress=lambda done, total: seen.append((done, total)),
    )
    assert [shard.records for shard in index.shards] == [512, 512, 176]
    assert seen == [(done, COUNT) for done in (256, 512, 768, 1024, 1200)]
    source = open_source(f"tfrecord:{store.url}/*.tfrecord", SHAPE, look=Look(cache_blocks=4))
    assert source.streamable and source.count == COUNT and source.shape == SHAPE
    np.testing.assert_array_equal(source.load(), small[1])
    np.testing.assert_array_equal(source.labels, small[2])
    assert source.label_names == tuple("0123456789")
    ids = np.array([1199, 0, 511, 512, 0, 255, 256])
    np.testing.assert_array_equal(source.read(ids), small[1][ids])


def test_any_tensorflow_reads_the_shards(shards, small):
    files = sorted(str(path) for path in shards.glob("*.tfrecord"))
    features = {
        "image": tf.io.FixedLenFeature((), tf.string),
        "shape": tf.io.FixedLenFeature((3,), tf.int64),
        "label": tf.io.FixedLenFeature((), tf.int64),
    }
    rows = [
        tf.io.parse_single_example(record, features)
        for record in tf.data.TFRecordDataset(files).take(3).as_numpy_iterator()
    ]
    for row, image, label in zip(rows, small[1], small[2], strict=False):
        pixels = tf.reshape(tf.io.decode_raw(row["image"], tf.uint8), row["shape"])
        np.testing.assert_array_equal(pixels, image)
        assert row["label"] == label


def test_preparing_twice_gives_the_same_bytes(shards, small, tmp_path):
    prepare(small[0], f"tfrecord:{tmp_path}", shard_images=512)
    assert {p.name: p.read_bytes() for p in shards.iterdir()} == {
        p.name: p.read_bytes() for p in tmp_path.iterdir()
    }


@settings(max_examples=40)
@given(ids=st.lists(st.integers(0, COUNT - 1), max_size=80), cache_blocks=st.integers(1, 6))
def test_any_ids_are_read_as_they_are_loaded(shards, small, ids, cache_blocks):
    source, store = counting(shards, cache_blocks)
    ids = np.array(ids, np.int64)
    np.testing.assert_array_equal(source.read(ids), small[1][ids])
    assert len(store.reads) == len(set(ids // randomness.BLOCK))  # one range read for each block


def test_streaming_follows_the_order_of_training_and_reads_each_block_once_an_epoch(shards, small):
    window, batch, steps = 512, 48, COUNT // 48
    source, store = counting(shards, cache_blocks=2 * window // randomness.BLOCK)
    for step in range(steps):
        ids = randomness.batches(randomness.Shuffle(7, COUNT, window), batch, step, 1)[0]
        np.testing.assert_array_equal(source.read(ids), small[1][ids])
    assert len(store.reads) == len(set(store.reads)) == 5


def test_threads_share_one_read(shards, small):
    source, store = counting(shards, cache_blocks=5)
    ids = np.arange(COUNT)[::-1]
    with ThreadPoolExecutor(8) as pool:
        for images in pool.map(lambda _: source.read(ids), range(16)):
            np.testing.assert_array_equal(images, small[1][::-1])
    assert len(store.reads) == 5


def test_the_cache_is_bounded_and_forgets_failures():
    calls, failures = [], [DataError("once")]

    def fetch(number):
        calls.append(number)
        if failures:
            raise failures.pop()
        return np.full((1, 1, 1, 1), number, np.uint8)

    cache = BlockCache(fetch, 2)
    with pytest.raises(DataError):
        cache.get([13])
    assert cache.get([13])[13].item() == 13
    cache.get([1, 2, 3])
    calls.clear()
    cache.get([2, 3])
    assert calls == []
    cache.get([13])
    assert calls == [13]


def test_images_of_another_size_are_fitted_on_the_way(flowers, tmp_path):
    prepare(f"images:{flowers}", f"tfrecord:{tmp_path / 'out'}", shape=(16, 16, 3))
    source = open_source(f"tfrecord:{tmp_path / 'out'}", (16, 16, 3))
    np.testing.assert_array_equal(source.load(), open_source(f"images:{flowers}", (16, 16, 3)).load())
    assert source.label_names == ("one", "two")


def test_a_set_without_labels(tmp_path):
    np.savez(tmp_path / "a.npz", x=np.zeros((3, 4, 4), np.uint8))
    prepare(f"npz:{tmp_path / 'a.npz'}", f"tfrecord:{tmp_path / 'out'}")
    source = open_source(f"tfrecord:{tmp_path / 'out'}", None)
    assert (source.labels, source.label_names) == (None, None)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "index.json",
        "shard-00000-of-00001.tfrecord",
    ]


@pytest.fixture
def copy(shards, tmp_path):
    """The shards again, to be damaged."""
    for path in shards.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    return tmp_path


SECOND = "shard-00001-of-00003.tfrecord"


def opened(folder, *parts):
    with pytest.raises(DataError) as error:
        open_source(f"tfrecord:{folder}", SHAPE)
    assert_one_line(error, f"data.source tfrecord:{folder}: ", *parts)


def flip(path, position):
    content = bytearray(path.read_bytes())
    content[position] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("position", [-30, 3, 9, 40])
def test_a_damaged_shard_is_named(copy, position):
    flip(copy / SECOND, position)
    source = open_source(f"tfrecord:{copy}", SHAPE)
    with pytest.raises(DataError, match=f"{SECOND} is damaged: its crc32c is .*, the index says"):
        source.load()
    with pytest.raises(DataError, match=f"{SECOND}: the record at byte .* checksum"):
        source.read(np.arange(512, 1024))
    np.testing.assert_array_equal(source.read(np.array([0])).shape, (1, *SHAPE))


def test_damage_is_named_by_its_byte_in_the_shard(copy):
    start = json.loads((copy / "index.json").read_text())["shards"][1]["blocks"][1]
    flip(copy / SECOND, start)
    with pytest.raises(DataError, match=f"{SECOND}: the record at byte {start} "):
        open_source(f"tfrecord:{copy}", SHAPE).read(np.array([800]))


def test_damaged_labels_are_named(copy):
    flip(copy / "labels.npy", -1)
    opened(copy, "labels.npy is damaged")


def test_a_missing_shard_is_named(copy):
    (copy / SECOND).unlink()
    opened(copy, SECOND, "missing")


def test_a_shard_of_another_size_is_named(copy):
    with (copy / SECOND).open("ab") as file:
        file.write(b"x")
    opened(copy, f"{SECOND} has ", "the index says")


def test_a_stray_shard_is_named(copy):
    (copy / "more.tfrecord").write_bytes(b"x")
    opened(copy, "more.tfrecord is not in")


@pytest.mark.parametrize(
    ("change", "part"),
    [
        ({"format": 2}, "format"),
        ({"count": 7}, "count is 7"),
        ({"shape": [8, 6]}, "shape"),
        ({"extra": 1}, "extra"),
    ],
)
def test_a_wrong_index_is_refused(copy, change, part):
    path = copy / "index.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    opened(copy, str(path), "no index of format 1", part)
    path.write_text("{")
    opened(copy, str(path), "no index of format 1")


def test_a_model_of_another_shape(shards):
    with pytest.raises(DataError, match="images are 8x6x1, the model needs 28x28x1"):
        open_source(f"tfrecord:{shards}", (28, 28, 1))


def test_what_an_interrupted_prepare_left_is_not_taken_for_a_set(copy, small):
    (copy / "index.json").unlink()
    (copy / SECOND).unlink()
    opened(copy, "has no index.json and 2 of 3 shards", "did not finish")
    prepare(small[0], f"tfrecord:{copy}", shard_images=512)
    np.testing.assert_array_equal(open_source(f"tfrecord:{copy}", SHAPE).load(), small[1])


@pytest.mark.parametrize(
    ("target", "shard_images", "part"),
    [
        ("{shards}", 512, "expected tfrecord:<folder>"),
        ("tfrecord:", 512, "expected tfrecord:<folder>"),
        ("tfrecord:{tmp}/*.tfrecord", 512, "expected tfrecord:<folder>"),
        ("tfrecord:{shards}", 512, "holds a set already"),
        ("tfrecord:{tmp}", 1000, "shard_images is 1000, expected a multiple of 256"),
        ("tfrecord:{tmp}", 0, "shard_images is 0"),
    ],
)
def test_prepare_refuses(shards, small, tmp_path, target, shard_images, part):
    with pytest.raises(DataError) as error:
        prepare(small[0], target.format(shards=shards, tmp=tmp_path), shard_images=shard_images)
    assert_one_line(error, part)


def test_prepare_refuses_shards_of_another_set(small, copy):
    (copy / "index.json").unlink()
    with pytest.raises(DataError, match="of another set, expected an empty folder"):
        prepare(small[0], f"tfrecord:{copy}", shard_images=256)


def test_an_indexed_set_is_read_from_memory_too(shards):
    """numpy's own reader agrees with the labels file."""
    labels = np.load(io.BytesIO((shards / "labels.npy").read_bytes()))
    np.testing.assert_array_equal(labels, open_source(f"tfrecord:{shards}", None).labels)
