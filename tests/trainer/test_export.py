"""``export/generator.keras`` opens in every Keras that pyproject.toml allows."""

import json
import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

from trainer import config, randomness
from trainer.networks import export
from trainer.networks.keras_builder import build, portable_generator

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
    return made


def opened(exported, environment):
    """The version of Keras of another process, which draws with the files what was drawn of them here."""
    done = subprocess.run(
        [sys.executable, "-c", OPEN, *exported],
        env=os.environ | {"KERAS_BACKEND": "tensorflow"} | environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    for folder, images in exported.items():
        np.testing.assert_allclose(np.load(folder / "drawn.npy"), images, atol=1e-5)
        (folder / "drawn.npy").unlink()
        assert sorted(path.name for path in folder.iterdir()) == ["generator.keras", "given.npz"]
    return done.stdout.strip()


@pytest.mark.skipif(not OLDEST.exists(), reason="make .venv-keras/oldest installs it")
def test_the_oldest_keras_that_is_allowed_draws_the_same(exported):
    version = opened(exported, {"PYTHONPATH": str(OLDEST)})
    allowed = re.search(r"keras>=([\d.]+)", (PROJECT / "pyproject.toml").read_text())[1]
    assert version.startswith(f"{allowed}.")


def test_this_keras_draws_the_same_and_only_the_file_is_left(exported):
    opened(exported, {})


def test_an_argument_that_is_used_is_kept(tmp_path):
    path = tmp_path / "model.keras"
    import keras

    layer = keras.layers.BatchNormalization(renorm=True)
    export.save(keras.Sequential([keras.Input((4,)), layer]), path)
    with zipfile.ZipFile(path) as archive:
        [_, kept] = json.loads(archive.read("config.json"))["config"]["layers"]
    assert kept["config"]["renorm"] is True and "renorm_momentum" not in kept["config"]
