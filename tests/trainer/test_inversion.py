"""``python -m trainer project``: the latent whose image comes nearest to a picture."""

import json

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from trainer import randomness
from trainer.cli import app
from trainer.config import resolve
from trainer.errors import UserError
from trainer.evaluation.differentiable import features_of
from trainer.evaluation.features import NETWORKS, load
from trainer.inversion import project as inversion
from trainer.inversion.request import Request, check_folder, read_picture
from trainer.networks import export
from trainer.networks.keras_builder import bare_generator, call
from trainer.sampling import origin
from trainer.sampling.generate import open_generator
from trainer.sampling.sampler import to_bytes

FEW = Request(starts=3, updates=40, seed=2, features="none")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A generator of ten classes that was never trained, as a file."""
    sets = ("network.generator_units=[16]", "network.latent_size=5", "conditioning.kind=projection")
    file = tmp_path_factory.mktemp("export") / "generator.keras"
    export.save(bare_generator(resolve("mlp", sets)), file)
    return origin.find(str(file))


@pytest.fixture(scope="module")
def drawn(run):
    """Its generator, and the image of a latent of class 3 as a file's bytes."""
    generator = open_generator(run).generator
    latent = randomness.sample_latents(9, 1, 5)
    image = to_bytes(call(generator, latent, tf.constant([3]), training=False)).numpy()[0]
    return generator, image, inversion.encode_png(image)


def test_it_comes_near_to_what_the_generator_draws_and_does_so_again_bit_by_bit(run, drawn, tmp_path):
    _, image, content = drawn
    asked = Request("3", 4, 150, 2, features="none")
    told, found, target = inversion.project(run, "a.png", content, asked)
    assert np.array_equal(target, image) and found.distances.shape == (151, 4)
    assert found.pixels[-1, found.best] < 0.01 * found.pixels[0].mean()
    assert np.abs(found.images[found.best].astype(int) - image).mean() < 3
    assert np.array_equal(inversion.project(run, "a.png", content, asked)[1].latents, found.latents)
    alone = inversion.project(run, "a.png", content, Request("3", 1, 150, 2, features="none"))[1]
    np.testing.assert_allclose(alone.distances[:, 0], found.distances[:, 0], rtol=1e-2, atol=1e-5)
    inversion.write(tmp_path / "out", told, found, target)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "distances.json",
        "latent.npy",
        "projection.png",
    ]
    said = json.loads((tmp_path / "out" / "distances.json").read_text())
    assert said["pixels"] == said["starts"][said["best"]]["pixels"][-1] and said["class"] == 3
    latent = np.load(tmp_path / "out" / "latent.npy")
    assert latent.shape == (1, 5) and np.array_equal(latent[0], found.latents[found.best])
    with Image.open(tmp_path / "out" / "projection.png") as picture:
        times = picture.size[1] // 32
        pair = np.asarray(picture)[::times, ::times]
    assert np.array_equal(pair[2:30, 2:30], image[..., 0])
    assert np.array_equal(pair[2:30, 32:60], found.images[found.best, ..., 0])


def test_the_distance_is_the_one_that_is_written_down(run, drawn):
    generator, image, content = drawn
    asked = Request(None, 2, 1, 7, features="digits", feature_weight=0.5)
    told, found, _ = inversion.project(run, "a.png", content, asked)
    assert [start["class"] for start in told["starts"]] == [0, 1] and told["features"] == "digits@1b34"
    latents = randomness.sample_latents(7, 2, 5).numpy()
    images = (call(generator, tf.constant(latents), tf.constant([0, 1]), training=False).numpy() + 1) * 127.5
    pixels = ((images - image) ** 2).mean((1, 2, 3)) / 127.5**2
    look = features_of(NETWORKS["digits"])
    seen = [look(each.astype(np.float32)).numpy() for each in (images, image[np.newaxis])]
    one, other = (each / np.linalg.norm(each, axis=1, keepdims=True) for each in seen)
    features = ((one - other) ** 2).sum(1)
    expected = pixels + 0.5 * features + 1e-3 * (latents**2).mean(1)
    np.testing.assert_allclose(found.distances[0], expected, rtol=1e-3)
    np.testing.assert_allclose(found.features[0], features, rtol=1e-3)
    assert np.array_equal(look(np.float32(image[np.newaxis])), load(NETWORKS["digits"])(image[np.newaxis])[0])


def test_a_picture_is_brought_to_the_runs_size_and_channels(run, drawn, tmp_path):
    Image.new("RGBA", (90, 60), (255, 0, 0, 128)).save(tmp_path / "large.png")
    content = (tmp_path / "large.png").read_bytes()
    _, _, target = inversion.project(run, "large.png", content, Request(None, 1, 1, features="none"))
    assert target.shape == (28, 28, 1) and set(np.unique(target)) == {165}  # ITU-R 601 over white
    with pytest.raises(UserError, match=r"^bad\.png is neither PNG nor JPEG"):
        inversion.project(run, "bad.png", b"no picture", FEW)


def test_a_picture_may_lie_in_a_bucket(gcs_root, drawn):
    from trainer.storage import open_store

    open_store(gcs_root).write("a.png", drawn[2])
    assert read_picture(f"{gcs_root}/a.png") == drawn[2]
    with pytest.raises(UserError, match=f"{gcs_root}/b.png: there is no such picture"):
        read_picture(f"{gcs_root}/b.png")


@pytest.mark.parametrize(
    ("request_", "said"),
    [
        (Request(starts=0), "--starts 0: expected 1 to 256"),
        (Request(updates=0), "--updates 0: expected 1 to"),
        (Request(rate=float("nan")), "--rate nan: expected more than 0"),
        (Request(feature_weight=-1), "--feature-weight -1: expected 0 to"),
    ],
)
def test_what_cannot_be_followed_is_refused(request_, said):
    with pytest.raises(UserError, match=said):
        request_.check()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["absent.png"], "absent.png: there is no such picture"),
        (["."], ".: Is a directory"),
        (["a.png", "--class", "12"], "--class 12: expected a number from 0 to 9"),
        (["a.png", "--step", "3", "--best"], "--step 3: expected none with --best"),
        (["a.png", "--last-weights"], "--last-weights: expected none with "),
    ],
)
def test_the_command_refuses_in_a_line_and_leaves_nothing(run, drawn, tmp_path, monkeypatch, words, said):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.png").write_bytes(drawn[2])
    with pytest.raises(UserError) as refusal:
        app(["project", *words, "--run-dir", run.url, "--out", "out"], standalone_mode=False)
    assert refusal.value.exit_code == 2
    assert str(refusal.value).startswith(said) and "\n" not in str(refusal.value)
    assert not (tmp_path / "out").exists()


def test_a_folder_that_cannot_be_one_and_a_network_without_gradients_are_refused(tmp_path):
    (tmp_path / "file").touch()
    for out, said in ((tmp_path / "file", "is a file"), (tmp_path / "no" / "where", "there is no folder")):
        with pytest.raises(UserError, match=said):
            check_folder(str(out))
    with pytest.raises(UserError, match=r"--features own\.keras: expected digits, lite0, lite0@SIDE or none"):
        inversion.network_for(Request(features="own.keras"), (28, 28, 1))
