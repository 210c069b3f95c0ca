"""Shards that somebody else wrote: no index, read into memory."""

import io

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tests.data.conftest import assert_one_line
from trainer.data import Look, open_source, require_streamable
from trainer.data.example_proto import Example
from trainer.errors import DataError


def feature(value):
    if isinstance(value, bytes):
        return tf.train.Feature(bytes_list=tf.train.BytesList(value=[value]))
    return tf.train.Feature(int64_list=tf.train.Int64List(value=np.atleast_1d(value).tolist()))


def write(path, rows, options=None):
    with tf.io.TFRecordWriter(str(path), options) as writer:
        for row in rows:
            features = tf.train.Features(feature={key: feature(value) for key, value in row.items()})
            writer.write(tf.train.Example(features=features).SerializeToString())


def encoded(image, kind):
    content = io.BytesIO()
    Image.fromarray(image[..., 0]).save(content, kind)
    return content.getvalue()


@pytest.fixture
def images(digits):
    return digits.load()[::500]


def refused(source, *parts, shape=None):
    with pytest.raises(DataError) as error:
        open_source(source, shape)
    assert_one_line(error, f"data.source {source}: ", *parts)


def test_raw_pixels_of_the_models_shape(tmp_path, images):
    write(tmp_path / "b.tfrecord", [{"image": image.tobytes()} for image in images[6:]])
    write(tmp_path / "a.tfrecord", [{"image": image.tobytes()} for image in images[:6]])
    source = open_source(f"tfrecord:{tmp_path}/*.tfrecord", (28, 28, 1))
    np.testing.assert_array_equal(source.load(), images)
    assert source.labels is None and not source.streamable
    with pytest.raises(DataError, match=r"no index.json beside the shards.*data prepare"):
        require_streamable(source)


def test_raw_pixels_with_a_shape_and_labels(tmp_path, images):
    rows = [{"image": im.tobytes(), "shape": im.shape, "label": n} for n, im in enumerate(images)]
    write(tmp_path / "train.tfrecord-00000-of-00001", rows)
    source = open_source(f"tfrecord:{tmp_path}", None)
    np.testing.assert_array_equal(source.load(), images)
    assert source.labels.tolist() == list(range(10))


def test_encoded_images_from_a_bucket_are_fitted(gcs_root, tmp_path, images):
    from trainer.storage import open_store

    rows = [
        {"image": encoded(image, "PNG" if n else "JPEG"), "label": b"odd" if n % 2 else b"even"}
        for n, image in enumerate(images)
    ]
    write(tmp_path / "a", rows)
    open_store(gcs_root).upload("train-0.tfrecord", tmp_path / "a")
    source = open_source(f"tfrecord:{gcs_root}/train-*.tfrecord", (28, 28, 1))
    np.testing.assert_array_equal(source.load()[1:], images[1:])
    assert source.label_names == ("even", "odd")
    assert open_source(f"tfrecord:{gcs_root}", (14, 14, 3)).load().shape == (10, 14, 14, 3)


def test_nothing_matches(tmp_path):
    refused(f"tfrecord:{tmp_path}/x-*.tfrecord", f"nothing in {tmp_path} matches x-*.tfrecord")
    refused(f"tfrecord:{tmp_path}/*/x.tfrecord", "wildcards in the folder")


def test_bad_records_name_the_shard(tmp_path, images):
    path = tmp_path / "a.tfrecord"
    source = f"tfrecord:{path}"
    write(path, [{"image": images[0].tobytes()}])
    refused(source, "a.tfrecord: record 0", "784 bytes", "'shape'")
    refused(source, "784 bytes", "expected 32x32x1 of them", shape=(32, 32, 1))
    write(path, [{"image": im.tobytes(), "shape": im.shape} for im in (images[0], images[0][:14])])
    refused(source, "a.tfrecord: record 1 is 14x28x1, expected 28x28x1")
    write(path, [{"picture": b"x", "label": 1}])
    refused(source, "no feature 'image' (nor image/encoded,", "label, picture")
    write(path, [{"image": images[0].tobytes(), "label": 1}, {"image": images[0].tobytes()}])
    look = Look()
    assert open_source(source, (28, 28, 1), look=look).labels is None
    assert look.notes == ["1 of 2 records have a label; the set is used without labels"]
    write(path, [{"image": encoded(images[0], "PNG")[:80]}])
    refused(source, "a.tfrecord: record 0 is damaged")
    write(path, [])
    refused(source, "there are no images")


def test_files_that_are_no_tfrecords(tmp_path, images):
    path = tmp_path / "a.tfrecord"
    write(path, [{"image": images[0].tobytes()}], tf.io.TFRecordOptions("GZIP"))
    refused(f"tfrecord:{path}", "a.tfrecord: the record at byte 0", "compressed")
    write(path, [{"image": images[0].tobytes()}] * 2)
    path.write_bytes(path.read_bytes()[:-100])
    refused(
        f"tfrecord:{path}", "a.tfrecord: the record at byte 8", "100 bytes are missing", shape=(28, 28, 1)
    )


@pytest.mark.parametrize("key", ["image", "image_raw", "image/encoded", "data"])
def test_names_that_are_known_in_the_field(tmp_path, images, key):
    write(tmp_path / "a.tfrecord", [{key: encoded(image, "PNG")} for image in images])
    np.testing.assert_array_equal(open_source(f"tfrecord:{tmp_path}", None).load(), images)


@pytest.mark.parametrize(
    "shape",
    [
        {"shape": (28, 28)},
        {"shape": (28, 28, 1)},
        {"shape": (1, 28, 28)},
        {"height": 28, "width": 28},
        {"image/height": 28, "image/width": 28, "depth": 1},
    ],
)
def test_a_shape_in_any_of_the_ways_that_are_written(tmp_path, images, shape):
    write(tmp_path / "a.tfrecord", [{"image": image.tobytes(), **shape} for image in images])
    np.testing.assert_array_equal(open_source(f"tfrecord:{tmp_path}", None).load(), images)


@pytest.mark.parametrize("scale", [(255, 0), (127.5, 1)])
def test_images_of_floats_and_of_integers(tmp_path, images, scale):
    def example(image, kind):
        values = image.reshape(-1).tolist()
        if kind == "integers":
            found = tf.train.Feature(int64_list=tf.train.Int64List(value=values))
        else:
            floats = [value / scale[0] - scale[1] for value in values]
            found = tf.train.Feature(float_list=tf.train.FloatList(value=floats))
        return tf.train.Example(features=tf.train.Features(feature={"image": found})).SerializeToString()

    for kind in ("integers", "floats"):
        with tf.io.TFRecordWriter(str(tmp_path / "a.tfrecord")) as writer:
            for image in images:
                writer.write(example(image, kind))
        found = open_source(f"tfrecord:{tmp_path}", (28, 28, 1)).load()
        np.testing.assert_array_equal(found, images)


def test_a_record_of_ours_is_the_bytes_that_tensorflow_writes(images):
    ours = Example()
    ours.features.feature["image"].bytes_list.value.append(images[0].tobytes())
    ours.features.feature["shape"].int64_list.value.extend([28, 28, 1])
    ours.features.feature["x"].float_list.value.extend([0.5, -1])
    content = ours.SerializeToString(deterministic=True)
    theirs = tf.train.Example.FromString(content)
    assert theirs.SerializeToString(deterministic=True) == content
    assert theirs.features.feature["image"].bytes_list.value[0] == images[0].tobytes()
    assert list(theirs.features.feature["x"].float_list.value) == [0.5, -1]
