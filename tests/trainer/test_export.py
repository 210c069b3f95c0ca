"""Generators as files: in every Keras that pyproject.toml allows, in TensorFlow alone, in TensorFlow Lite."""

import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from trainer import config, randomness
from trainer.errors import ConfigError, GantryError
from trainer.networks import export, formats
from trainer.networks.keras_builder import build, portable_generator
from trainer.sampling import exporting

PROJECT = Path(__file__).parents[2]
OLDEST = PROJECT / ".venv-keras"  # made by make
RESIDUAL = (("sngan", "projection"), ("r3gan", "none"))
OPEN = """
import sys
import keras
import numpy as np

for folder in sys.argv[1:]:
    model = keras.models.load_model(f"{folder}/generator.keras")
    given = dict(np.load(f"{folder}/given.npz"))
    drawn = model(given if len(given) > 1 else given["latents"], training=False)
    np.save(f"{folder}/drawn.npy", np.asarray(drawn))
print(keras.__version__)
"""
OTHERS = """
import os
import tensorflow as tf

for folder in sys.argv[1:]:
    given = dict(np.load(f"{folder}/given.npz"))
    served = tf.saved_model.load(f"{folder}/served")
    inputs = {name: tf.constant(value) for name, value in given.items()}
    (drawn,) = served.signatures["serving_default"](**inputs).values()
    np.save(f"{folder}/served.npy", drawn.numpy())
    if not os.path.exists(file := f"{folder}/generator.tflite"):
        continue
    lite = tf.lite.Interpreter(model_path=file)
    (drawn,) = lite.get_signature_runner("serving_default")(**given).values()
    np.save(f"{folder}/lite.npy", drawn)
assert "trainer" not in sys.modules
"""


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """Some generators: the folder with the file of each and what it is given, and what it draws of that."""
    made = {}
    for preset, kind in (("mlp", "none"), ("dcgan", "none"), ("mlp", "acgan"), *RESIDUAL):
        folder = tmp_path_factory.mktemp(preset)
        resolved = config.resolve(preset, [f"conditioning.kind={kind}"])
        generator = build(resolved).generator
        export.save(portable_generator(resolved, generator.get_weights()), folder / "generator.keras")
        given = {"latents": randomness.sample_latents(0, 4, resolved.network.latent_size).numpy()}
        if resolved.conditioning.on:
            given["label"] = np.array([3, 1, 4, 1], np.int32)
        np.savez(folder / "given.npz", **given)
        inputs = list(given.values())
        made[folder] = generator(inputs if len(inputs) > 1 else inputs[0], training=False).numpy()
        assert sorted(path.name for path in folder.iterdir()) == ["generator.keras", "given.npz"]
    return made


def opened(exported, environment, code=OPEN):
    """The version of Keras of another process, which draws with the files what was drawn of them here."""
    done = subprocess.run(
        [sys.executable, "-c", code, *exported],
        env=os.environ | {"KERAS_BACKEND": "tensorflow"} | environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    for folder, images in exported.items():
        np.testing.assert_allclose(np.load(folder / "drawn.npy"), images, atol=1e-5)
        (folder / "drawn.npy").unlink()
    return done.stdout.strip()


def test_onnx_draws_the_same_where_it_can_be_written(exported, tmp_path):
    pytest.importorskip("tf2onnx")
    onnxruntime = pytest.importorskip("onnxruntime")
    for number, (folder, images) in enumerate(exported.items()):
        path = tmp_path / f"{number}.onnx"
        formats.save(keras.models.load_model(folder / "generator.keras"), "onnx", path)
        session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
        np.testing.assert_allclose(
            session.run(None, dict(np.load(folder / "given.npz")))[0], images, atol=1e-5
        )


def test_layers_that_are_not_keras_own_are_no_keras_file_and_nothing_is_left(tmp_path):
    sets = ["network.generator_filters=[4,2]", "network.discriminator_filters=[2,4]"]
    generator = build(config.resolve("dcgan", sets)).generator
    with pytest.raises(
        ConfigError, match=r"layer normalize_project is none of Keras' own, expected savedmodel"
    ):
        formats.save(generator, "keras", tmp_path / "generator.keras")
    assert not list(tmp_path.iterdir())
    files = [path.relative_to(tmp_path).as_posix() for path in formats.for_everybody(generator, tmp_path)]
    assert "generator/saved_model.pb" in files and "generator/variables/variables.index" in files
    latents = randomness.sample_latents(1, 3, 100)
    served = tf.saved_model.load(str(tmp_path / "generator")).signatures["serving_default"](latents=latents)
    np.testing.assert_allclose(served["output_0"], generator(latents, training=False), atol=1e-5)


@pytest.mark.parametrize(
    ("kind", "out", "said"),
    [
        ("keras", "a.tflite", r"a\.tflite: expected a name ending in \.keras with --format keras"),
        ("tflite", "a", r"expected a name ending in \.tflite"),
        ("savedmodel", "a.keras", "expected the name of a folder with --format savedmodel"),
        ("savedmodel", "there", "there: is there already, expected a new name"),
        ("tflite", "no/a.tflite", "there is no folder .*/no"),
    ],
)
def test_what_could_not_be_written_is_refused_before_tensorflow_loads(tmp_path, kind, out, said):
    (tmp_path / "there").mkdir()
    with pytest.raises(ConfigError, match=said):
        exporting.check(exporting.Kind(kind), tmp_path / out)


def test_a_package_that_is_missing_is_named_with_what_installs_it(tmp_path, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ConfigError, match="tf2onnx is not installed, expected pip install tf2onnx onnx"):
        exporting.check(exporting.Kind.onnx, tmp_path / "a.onnx")


@pytest.mark.skipif(not OLDEST.exists(), reason="make .venv-keras/oldest installs it")
def test_the_oldest_keras_that_is_allowed_draws_the_same(exported):
    version = opened(exported, {"PYTHONPATH": str(OLDEST)})
    allowed = re.search(r"keras>=([\d.]+)", (PROJECT / "pyproject.toml").read_text())[1]
    assert version.startswith(f"{allowed}.")


def test_this_keras_tensorflow_and_tensorflow_lite_draw_the_same_without_gantry(exported, tmp_path):
    folders = {tmp_path / str(number): folder for number, folder in enumerate(exported)}
    for made, folder in folders.items():
        shutil.copytree(folder, made)
        model = keras.models.load_model(folder / "generator.keras")
        formats.save(model, "savedmodel", made / "served")
        if any(isinstance(layer, keras.layers.UpSampling2D) for layer in model.layers):  # of sngan and r3gan
            with pytest.raises(GantryError, match="--format tflite: cannot be written: "):
                formats.save(model, "tflite", made / "generator.tflite")
            continue
        formats.save(model, "tflite", made / "generator.tflite")
    opened({made: exported[folder] for made, folder in folders.items()}, {}, OPEN + OTHERS)
    for made, folder in folders.items():
        drawn = [made / "served.npy", *made.glob("lite.npy")]
        assert len(drawn) == 1 + (made / "generator.tflite").exists()
        for file in drawn:
            np.testing.assert_allclose(np.load(file), exported[folder], atol=1e-5)
    assert len([*tmp_path.glob("*/generator.tflite")]) == len(folders) - len(RESIDUAL)


def test_an_argument_that_is_used_is_kept(tmp_path):
    path = tmp_path / "model.keras"
    layer = keras.layers.BatchNormalization(renorm=True)
    export.save(keras.Sequential([keras.Input((4,)), layer]), path)
    with zipfile.ZipFile(path) as archive:
        [_, kept] = json.loads(archive.read("config.json"))["config"]["layers"]
    assert kept["config"]["renorm"] is True and "renorm_momentum" not in kept["config"]
