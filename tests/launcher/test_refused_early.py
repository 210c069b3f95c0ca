"""What is refused before the first step leaves nothing, or a run that may be begun with other values."""

import json
import struct

import numpy as np
import pytest
from PIL import Image

from launcher.backends.local.provider import PROVIDER
from launcher.runs import verbs
from launcher.spec.runspec import make_spec
from tests.data.test_examples import write
from tests.launcher.waiting import wait_until
from tests.support.flags import EIGHT_PIXELS, set_flags
from trainer.data import prepare

pytest.importorskip("tensorflow", reason="workers need TensorFlow")

PIXELS = np.random.default_rng(0).integers(0, 256, (12, 8, 8), np.uint8)


def pictures(folder):
    """A folder with a damaged picture, and what mends it."""
    folder.mkdir(exist_ok=True)
    for number, image in enumerate(PIXELS):
        Image.fromarray(image).save(folder / f"{number}.png")
    (folder / "3.png").write_bytes((folder / "3.png").read_bytes()[:60])
    return f"images:{folder}", lambda: Image.fromarray(PIXELS[3]).save(folder / "3.png")


def nothing(folder):
    """A folder without a picture."""
    folder.mkdir()
    (folder / "a.txt").write_text("x")
    return f"images:{folder}", lambda: pictures(folder)[1]()


def no_folder(folder):
    return f"images:{folder}", lambda: pictures(folder)[1]()


def wrong_size(folder):
    folder.mkdir()
    np.savez(folder / "a.npz", images=np.zeros((12, 9, 8), np.uint8))
    return f"npz:{folder}/a.npz", lambda: np.savez(folder / "a.npz", images=PIXELS)


def no_number(folder):
    folder.mkdir()
    values = np.where(np.arange(64).reshape(8, 8) == 5, np.nan, PIXELS / 255)
    np.savez(folder / "a.npz", images=values)
    return f"npz:{folder}/a.npz", lambda: np.savez(folder / "a.npz", images=PIXELS)


def cut(folder):
    folder.mkdir()
    content = struct.pack(">4I", 0x803, 12, 8, 8) + PIXELS.tobytes()
    (folder / "train-images-idx3-ubyte").write_bytes(content[:-5])
    return f"idx:{folder}", lambda: (folder / "train-images-idx3-ubyte").write_bytes(content)


def no_shard(folder):
    np.savez(folder.with_suffix(".npz"), images=PIXELS)
    prepare(f"npz:{folder.with_suffix('.npz')}", f"tfrecord:{folder}")
    (shard,) = folder.glob("*.tfrecord")
    content = shard.read_bytes()
    shard.unlink()
    return f"tfrecord:{folder}", lambda: shard.write_bytes(content)


def no_image(folder):
    folder.mkdir()
    write(folder / "a.tfrecord", [{"picture": image.tobytes()} for image in PIXELS])
    return f"tfrecord:{folder}", lambda: write(
        folder / "a.tfrecord", [{"image": image.tobytes()} for image in PIXELS]
    )


BEFORE_A_PROCESS = [nothing, no_folder, wrong_size]
BY_THE_TRAINER = [pictures, no_number, cut, no_shard, no_image]


def words(source, root, *more):
    place = ("--root", root, "--name", "one")
    return ("submit", "--preset", "mlp", *place, "--data", source, *set_flags(EIGHT_PIXELS), *more)


def is_free(source, root):
    """Whether a run of that name may be begun with other values."""
    PROVIDER.check_new(make_spec("mlp", (*EIGHT_PIXELS, "seed=7", f"data.source={source}"), "one", root=root))
    return True


@pytest.mark.parametrize("kind", [*BEFORE_A_PROCESS, *BY_THE_TRAINER])
def test_a_refusal_is_said_once_and_leaves_nothing(launcher, root, tmp_path, kind):
    source, _ = kind(tmp_path / "data")
    refused = launcher(*words(source, root))
    said = (refused.stdout + refused.stderr).splitlines()
    assert (
        refused.returncode == 2 and len(said) == 1 and said[0].startswith(f"error: data.source {source}: ")
    ), said
    assert not (tmp_path / "runs").exists() and is_free(source, root)


def test_the_same_command_works_when_the_data_is_mended(launcher, root, tmp_path):
    """With another seed too, as nothing of the first has begun; that one was refused with nobody there."""
    source, mend = pictures(tmp_path / "data")
    assert launcher(*words(source, root, "--detach")).returncode == 0
    now = wait_until(lambda: (found := verbs.status(root, "one")).over and found, "the refusal")
    assert now.state == "failed" and "3.png" in verbs.logs(root, "one")[-1].text
    assert is_free(source, root)
    mend()
    done = launcher(*words(source, root, "--set", "seed=3"))
    assert done.returncode == 0, done.stderr
    folder = tmp_path / "runs" / "gan" / "one"
    assert json.loads((folder / "run.json").read_text())["config"]["seed"] == 3
    assert json.loads((folder / "result.json").read_text())["steps"] == 2
