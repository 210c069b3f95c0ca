"""Values that are legal and surely not meant: one line each, in `data show`, the log and nowhere else."""

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from trainer.config import resolve
from trainer.data import dataset, oddities, open_source
from trainer.data.dataset import Accept
from trainer.data_cli import app

KINDS = [
    ((70, 70), "every value is 70: there is nothing to learn but one shade"),
    ((0, 0), "every value is 0: "),
    ((0, 1), "values are 0 and 1 of 0 to 255, which is black: 1-bit data is stored as 0 and 255"),
    ((0, 31), "values are 0 to 31 of 0 to 255, which is nearly black"),
    ((224, 255), "values are 224 to 255 of 0 to 255, which is nearly white"),
]
FINE = [(0, 32), (223, 255), (0, 255), (100, 101)]


def archive(folder, low, high, count=40):
    """Images whose values go from the one to the other."""
    values = np.linspace(low, high, 28 * 28).round().astype(np.uint8).reshape(1, 28, 28, 1)
    np.savez(folder / "a.npz", images=np.repeat(values, count, axis=0))
    return f"npz:{folder}/a.npz"


@pytest.mark.parametrize(("values", "said"), KINDS)
def test_each_kind_is_said(tmp_path, values, said):
    (line,) = oddities(open_source(archive(tmp_path, *values), None))
    assert line.startswith(said)


@pytest.mark.parametrize("values", FINE)
def test_what_may_be_meant_is_not(tmp_path, values):
    assert oddities(open_source(archive(tmp_path, *values), None)) == []


def test_two_pictures_of_one_value_each_are_two_values(tmp_path):
    images = np.zeros((2, 28, 28, 1), np.uint8)
    images[1] = 255
    np.savez(tmp_path / "a.npz", images=images)
    assert oddities(open_source(f"npz:{tmp_path}/a.npz", None)) == []


@pytest.mark.parametrize(("values", "said"), KINDS)
def test_data_show_says_it(tmp_path, values, said):
    done = CliRunner().invoke(app, ["show", archive(tmp_path, *values)])
    assert done.exit_code == 0
    (note,) = [line for line in done.stdout.splitlines() if line.startswith("note ")]
    assert note.removeprefix("note     ").startswith(said)
    assert f"values   {values[0]} to {values[1]}\n" in done.stdout


def test_data_show_says_it_of_a_folder_of_masks(tmp_path):
    for number in range(3):
        mask = np.random.default_rng(number).integers(0, 2, (20, 20), np.uint8)
        Image.fromarray(mask).save(tmp_path / f"{number}.png")
    done = CliRunner().invoke(app, ["show", f"images:{tmp_path}"])
    assert "note     values are 0 and 1 of 0 to 255" in done.stdout


def test_the_log_says_it_once(tmp_path):
    said = []
    settings = resolve("mlp", (f"data.source={archive(tmp_path, 224, 255)}", "batch_size=8"))
    dataset.look(settings, None, Accept(), said.append)
    (line,) = [line for line in said if line.startswith("warning: ")]
    assert line.endswith("which is nearly white")
