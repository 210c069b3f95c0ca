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
OPEN = """
import sys
import keras
import numpy as np

model = keras.models.load_model(sys.argv[1])
np.save(sys.argv[3], np.asarray(model(np.load(sys.argv[2]), training=False)))
print(keras.__version__)
"""


@pytest.fixture(params=["mlp", "dcgan"])
def exported(request, tmp_path):
    """A generator of each architecture: its file, latents, and what it draws of them."""
    resolved = config.resolve(request.param)
    generator = build(resolved).generator
    path = tmp_path / "generator.keras"
    export.save(portable_generator(resolved, generator.get_weights()), path)
    latents = randomness.sample_latents(0, 4, resolved.network.latent_size).numpy()
    return path, latents, generator(latents, training=False).numpy()


def opened(path, latents, environment):
    """What another process draws with the file, and its version of Keras."""
    given, drawn = path.with_name("latents.npy"), path.with_name("drawn.npy")
    np.save(given, latents)
    done = subprocess.run(
        [sys.executable, "-c", OPEN, path, given, drawn],
        env=os.environ | {"KERAS_BACKEND": "tensorflow"} | environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return np.load(drawn), done.stdout.strip()


@pytest.mark.skipif(not OLDEST.exists(), reason="make .venv-keras/oldest installs it")
def test_the_oldest_keras_that_is_allowed_draws_the_same(exported):
    path, latents, images = exported
    drawn, version = opened(path, latents, {"PYTHONPATH": str(OLDEST)})
    allowed = re.search(r"keras>=([\d.]+)", (PROJECT / "pyproject.toml").read_text())[1]
    assert version.startswith(f"{allowed}.")
    np.testing.assert_allclose(drawn, images, atol=1e-5)


def test_this_keras_draws_the_same_and_only_the_file_is_left(exported):
    path, latents, images = exported
    drawn, _ = opened(path, latents, {})
    np.testing.assert_allclose(drawn, images, atol=1e-5)
    assert not path.with_name("whole-generator.keras").exists()


def test_an_argument_that_is_used_is_kept(tmp_path):
    path = tmp_path / "model.keras"
    import keras

    layer = keras.layers.BatchNormalization(renorm=True)
    export.save(keras.Sequential([keras.Input((4,)), layer]), path)
    with zipfile.ZipFile(path) as archive:
        [_, kept] = json.loads(archive.read("config.json"))["config"]["layers"]
    assert kept["config"]["renorm"] is True and "renorm_momentum" not in kept["config"]
