"""A run whose data has changed: refused by name, explained, and mended by the command that is printed."""

import json
import shlex
import shutil

import numpy as np
import pytest
from PIL import Image

from tests.support.flags import EIGHT_PIXELS, set_flags

pytest.importorskip("tensorflow", reason="workers need TensorFlow")


def test_the_printed_command_goes_on_with_what_is_there(launcher, root, tmp_path):
    data = tmp_path / "data"
    data.mkdir()
    for number, image in enumerate(np.random.default_rng(0).integers(0, 256, (6, 8, 8), np.uint8)):
        Image.fromarray(image).save(data / f"{number}.png")
    place = ("--root", root)
    begun = launcher(
        "submit",
        "--preset",
        "mlp",
        *place,
        "--name",
        "one",
        "--data",
        f"images:{data}",
        *set_flags(EIGHT_PIXELS),
    )
    assert begun.returncode == 0, begun.stderr
    folder = tmp_path / "runs" / "gan" / "one"
    (data / "3.png").unlink()
    refused = launcher("resume", "one", *place, "--set", "steps=4")
    assert refused.returncode == 2 and "1 of 6 files that the run began with is gone: 3.png" in refused.stderr
    assert len((refused.stdout + refused.stderr).splitlines()) == 1
    found = json.loads(launcher("explain", "one", *place, "-o", "json").stdout)
    assert found["cause"] == "data-changed"
    assert "1 of the 6 files that run 'one' began with is gone: 3.png" in found["sentence"]
    (program, *words) = shlex.split(found["fix"].partition("  #")[0])
    assert program == "launcher" and "--accept-changed-data" in words
    mended = launcher(*words)
    assert mended.returncode == 0, mended.stderr
    assert json.loads((folder / "result.json").read_text())["steps"] == 4
    assert json.loads((folder / "data.json").read_text())["accepted"][0]["gone"] == 1
    shutil.rmtree(data)
