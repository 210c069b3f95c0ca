"""Networks besides `digits`: ImageNet's, none, and the user's own, each as it is loaded."""

import io
import json
import pickle
from importlib.metadata import distribution
from importlib.resources import files

import matplotlib
import numpy as np
import pytest
from PIL import Image

tf = pytest.importorskip("tensorflow")
import keras  # noqa: E402

from trainer.data import open_source  # noqa: E402
from trainer.errors import DataError, UserError  # noqa: E402
from trainer.evaluation import features, figures, torch_file  # noqa: E402
from trainer.evaluation.choosing import choose  # noqa: E402

RGB = (64, 64, 3)
UNIFORM, BOW_TIE, PALACE, STUPA = 652, 457, 698, 832  # of ImageNet's classes
SOME = np.random.RandomState(0).randint(0, 256, (5, 16, 16, 3)).astype(np.uint8)


def photograph(path):
    """The upper square of a picture: uint8 [1, side, side, 3]."""
    picture = Image.open(path).convert("RGB")
    side, left = min(picture.size), (picture.width - min(picture.size)) // 2
    return np.asarray(picture.crop((left, 0, left + side, side)))[np.newaxis]


@pytest.fixture(scope="module")
def photographs():
    china = distribution("scikit-learn").locate_file("sklearn/datasets/images/china.jpg")
    return photograph(matplotlib.get_data_path() + "/sample_data/grace_hopper.jpg"), photograph(china)


@pytest.mark.parametrize(("side", "officer", "palace"), [(224, UNIFORM, PALACE), (64, BOW_TIE, STUPA)])
def test_lite0_knows_photographs(photographs, side, officer, palace):
    look = features.load(choose(f"lite0@{side}", RGB))
    seen = [look(each) for each in photographs]
    assert [int(each.shares.argmax()) for each in seen] == [officer, palace]
    assert all(each.features.shape == (1, 1280) and each.features.min() >= 0 for each in seen)
    np.testing.assert_allclose([each.shares.sum() for each in seen], 1, rtol=1e-4)


def test_lite0_takes_grey_as_three_channels_and_images_one_by_one(photographs):
    network = choose("lite0", RGB)
    assert network.label == "lite0@64,sha256:5793"
    look, (officer, _) = features.load(network), photographs
    grey = officer[:, :60, :60, :1]
    np.testing.assert_allclose(look(grey).features, look(grey.repeat(3, 3)).features, rtol=1e-4, atol=1e-4)
    three = look(np.concatenate([grey, 255 - grey, grey]))
    np.testing.assert_allclose(three.features[2], look(grey).features[0], rtol=1e-3, atol=1e-3)


def test_lite0_has_sizes_of_its_own_for_larger_images():
    assert [choose("lite0", (side, side, 3)).side for side in (28, 64, 65, 128, 200, 900)] == [
        64, 64, 128, 128, 224, 224,
    ]  # fmt: skip


def lite0_file():
    network = features.NETWORKS["lite0"]
    return (files(network.package) / network.weights).read_bytes()


def test_a_file_of_tensors_is_read_without_pytorch_and_runs_nothing():
    content = lite0_file()
    tensors = torch_file.read(content, "f")
    assert sum(each.size for each in tensors.values()) == 4_694_073
    assert tensors["_fc.weight"].shape == (1000, 1280) and tensors["_fc.weight"].dtype == np.float32
    for broken in (content[:50_000], content[:300], b"", b"PK\3\4" + content):
        with pytest.raises(DataError, match=r"^f: cannot be read as PyTorch's tensors: "):
            torch_file.read(broken, "f")
    with pytest.raises(DataError, match=r"it names posix\.system, expected tensors alone"):
        torch_file.read(b"cposix\nsystem\n(S'exit 1'\ntR." + content, "f")
    other = io.BytesIO()
    for each in (1, 1001, {}, {}, []):
        pickle.dump(each, other, 2)
    with pytest.raises(DataError, match="does not begin as one"):
        torch_file.read(other.getvalue(), "f")


def test_without_a_network_it_is_a_pyramid_along_directions():
    network = choose("none", (28, 28, 1))
    look = features.load(network)
    digits = open_source("digits", (28, 28, 1))
    images = digits.read(np.arange(0, 5000, 5))
    seen = look(images)
    assert network.label == "laplacian 28-14-7" and seen.features.shape == (1000, 3 * 128)
    blurred = tf.nn.avg_pool2d(images.astype(np.float32), 5, 1, "SAME").numpy().astype(np.uint8)
    noisy = np.clip(images + np.random.RandomState(0).normal(0, 40, images.shape), 0, 255).astype(np.uint8)
    other = look(digits.read(np.arange(1, 5000, 5)))
    floor = figures.measured(other, seen, ["sw"])["sw"]
    for changed in (blurred, noisy, images[:300].repeat(4, 0)[:1000]):  # and three classes alone
        assert figures.measured(other, look(changed), ["sw"])["sw"] > 3 * floor
    assert figures.measured(seen, seen, ["sw"])["sw"] == 0


def test_stacked_digits_have_a_class_in_each_channel():
    digits = open_source("digits", (28, 28, 1))
    each = digits.read(np.array([5, 2600, 4900]))  # 0, 5, 9: the set is sorted
    stack = np.concatenate([each[0], each[1], each[2]], axis=2)[np.newaxis]
    look = features.load(choose("digits", (28, 28, 3)))
    seen = look(stack.repeat(2, 0))
    assert seen.shares.shape == (2, 3, 10) and seen.features.shape == (2, 288)
    assert seen.shares[0].argmax(1).tolist() == [0, 5, 9]
    assert figures.measured(seen, seen, ["modes", "kl"]) == {"modes": 1, "kl": pytest.approx(np.log(1000))}


@pytest.fixture(scope="module")
def own(tmp_path_factory):
    """A Keras file, a SavedModel and an ONNX file that all take the mean over pixels, times 2 and 3."""
    folder = tmp_path_factory.mktemp("own")
    model = keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            keras.layers.GlobalAveragePooling2D(name="mean"),
            keras.layers.Dense(4, name="end"),
        ]
    )
    model.save(folder / "net.keras")
    model.export(folder / "saved", verbose=False)
    (folder / "mean.onnx").write_bytes(onnx_mean())
    return folder


def field(number, content):
    """A field of a protocol buffer: a whole number below 128, or bytes."""
    if isinstance(content, int):
        return bytes([number << 3, content])
    content = content.encode() if isinstance(content, str) else content
    assert len(content) < 1 << 14
    size = [len(content)] if len(content) < 128 else [len(content) & 127 | 128, len(content) >> 7]
    return bytes([number << 3 | 2, *size]) + content


def onnx_mean():
    """GlobalAveragePool and Flatten of images [n, 3, 8, 8], as onnx.proto lays it out."""

    def value(name, *sizes):
        axes = b"".join(field(1, field(2, "n") if size is None else field(1, size)) for size in sizes)
        return field(1, name) + field(2, field(1, field(1, 1) + field(2, axes)))

    def node(operation, before, after):
        return field(1, before) + field(2, after) + field(4, operation)

    graph = (
        field(1, node("GlobalAveragePool", "x", "pooled"))
        + field(1, node("Flatten", "pooled", "flat"))
        + field(2, "mean")
        + field(11, value("x", None, 3, 8, 8))
        + field(12, value("flat", None, 3))
        + field(12, value("pooled", None, 3, 1, 1))
    )
    return field(1, 8) + field(8, field(2, 13)) + field(7, graph)


RANGES = {"[0,1]": lambda x: x / 255, "[-1,1]": lambda x: x / 127.5 - 1, "[0,255]": lambda x: x}


@pytest.mark.parametrize("preprocess", RANGES)
@pytest.mark.parametrize(("file", "layer"), [("net.keras", "mean"), ("mean.onnx", "flat")])
def test_a_network_of_ones_own_gives_its_layer_of_images_in_its_range(own, file, layer, preprocess):
    network = choose(str(own / file), RGB, layer, preprocess)
    stem, _, _ = file.partition(".")
    assert network.label.startswith(f"{stem}@{network.sha256[:4]},{layer},") and len(network.sha256) == 64
    flat = np.random.RandomState(0).randint(0, 256, (5, 1, 1, 3)).repeat(16, 1).repeat(16, 2).astype(np.uint8)
    seen = features.load(network)(flat)  # 16 pixels a side are resized to 8
    np.testing.assert_allclose(seen.features, RANGES[preprocess](flat[:, 0, 0].astype(float)), atol=1e-4)
    grey = features.load(network)(flat[..., :1])
    np.testing.assert_allclose(grey.features[:, 2], seen.features[:, 0], atol=1e-4)


def test_a_saved_model_gives_what_the_keras_file_gives_without_a_layer(own):
    found = [
        features.load(choose(str(own / name), RGB, None, "[0,1]"))(SOME).features
        for name in ("saved", "net.keras")
    ]
    assert found[0].shape == (5, 4)
    np.testing.assert_allclose(*found, rtol=1e-4, atol=1e-5)


def saved(folder, name, layers, size=(8, 8, 3)):
    keras.Sequential([keras.Input(size), *layers]).save(folder / name)


def test_a_network_that_does_not_fit_is_one_line_with_its_name(own):
    (own / "text.keras").write_text("no network")
    (own / "text.onnx").write_text("no network")
    saved(own, "map.keras", [keras.layers.Conv2D(2, 3, name="map")])
    saved(own, "nan.keras", [keras.layers.Flatten(), keras.layers.Rescaling(float("nan"), name="all")])
    saved(own, "flat.keras", [keras.layers.Dense(2)], size=(9,))
    saved(own, "grey.keras", [keras.layers.Flatten()], size=(8, 8, 1))
    for file, layer, said in [
        ("text.keras", None, "--features .*text.keras: cannot be loaded: "),
        ("text.onnx", None, "--features .*text.onnx: cannot be loaded: "),
        ("net.keras", "middle", "--layer middle: .*net.keras has none of that name, expected one of end"),
        ("mean.onnx", "x", "--layer x: .*mean.onnx has none of that name, expected one of flat, pooled"),
        ("mean.onnx", None, "--layer: .*mean.onnx, expected one of flat, pooled"),
        ("mean.onnx", "pooled", r"layer pooled gives \[5, 3, 1, 1\] of 5 images, expected \[n, features\]"),
        ("map.keras", None, r"its output gives \[5, 6, 6, 2\] of 5 images, expected \[n, features\]"),
        ("nan.keras", None, "feature network nan@.*: gives NaN or Inf, expected finite numbers"),
        ("flat.keras", None, r"takes \(None, 9\), expected images"),
        ("grey.keras", None, "takes 1 channel, and the images have 3"),
    ]:
        with pytest.raises(UserError, match=said) as raised:
            features.load(choose(str(own / file), RGB, layer, "[0,1]"))(SOME)
        assert "\n" not in str(raised.value)


def test_nobody_guesses_which_range_a_network_takes(own):
    for given, said in ((None, r"--preprocess: expected \[0,1\], "), ("0-1", "--preprocess 0-1: expected")):
        with pytest.raises(UserError, match=said):
            choose(str(own / "net.keras"), RGB, None, given)
    (own / "net.json").write_text(json.dumps({"layer": "mean", "preprocess": "[-1,1]"}))
    assert choose(str(own / "net.keras"), RGB).label.endswith(",mean,-1..1")
    (own / "net.json").write_text('{"layer": 3}')
    with pytest.raises(UserError, match=r"net\.json: expected layer, preprocess and classes"):
        choose(str(own / "net.keras"), RGB)
    (own / "net.json").unlink()
