"""A classifier of the user's own labels, trained by the command, and figures in its features."""

import json
from dataclasses import replace

import numpy as np
import pytest

tf = pytest.importorskip("tensorflow")

from tests.support.runs import run_here  # noqa: E402
from trainer.data import open_source, require_labels  # noqa: E402
from trainer.errors import UserError  # noqa: E402
from trainer.evaluation.evaluate import evaluate  # noqa: E402
from trainer.evaluation.request import Request  # noqa: E402
from trainer.evaluation.train_classifier import train  # noqa: E402
from trainer.storage import open_store  # noqa: E402


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("own")
    digits = open_source("digits", None)
    ids = np.arange(0, 5000, 4)
    names = np.array(["zero", "one"])[(require_labels(digits)[ids] > 4).astype(int)]
    np.savez(folder / "two.npz", images=digits.read(ids)[:, 4:24, 4:24].repeat(3, 3), labels=names)
    np.savez(folder / "one.npz", images=digits.read(ids[:30]), labels=names[:30])
    np.savez(folder / "none.npz", images=digits.read(ids[:30]))
    return folder


def test_a_classifier_is_trained_written_and_judged_in(folder):
    said, out = [], folder / "two.keras"
    told = train(f"npz:{folder}/two.npz", out, 2, 0, said.append)
    assert told == json.loads((folder / "two.json").read_text())
    assert (told["held_out"], told["images"], told["classes"]) == (125, 1125, ["one", "zero"])
    assert 0.75 < told["accuracy"] <= 1 and said[-1].startswith("epoch 2 of 2: loss ")
    sizes = ("image.height=20", "image.width=20", "image.channels=3", f"data.source=npz:{folder}/two.npz")
    assert run_here(folder, *sizes) == 0
    store = open_store(str(folder / "e" / "run"))
    request = Request(samples=300, features=str(out), metrics=["fd", "kid", "classes"], draws=1)
    found = evaluate(store, request, lambda _: None)
    fd, kid, _, classes = found.figures
    assert fd.name.startswith("FD[two@") and fd.name.endswith(",features,0..1, N=300]")
    assert fd.value > 3 * fd.floor > 0 and kid.value > 3 * abs(kid.floor) and classes.floor == 2
    with pytest.raises(UserError, match="--samples 64: expected more than the 64 features of two@"):
        evaluate(store, replace(request, samples=64), lambda _: None)


@pytest.mark.parametrize(
    ("data", "out", "epochs", "said"),
    [
        ("one", "x.keras", 1, "one.npz: 30 images of 1 classes, expected 20 or more, of two classes or more"),
        ("none", "x.keras", 1, "none.npz: the set has no labels, expected one for each image"),
        ("two", "x.h5", 1, "--out .*x.h5: expected a file that ends in .keras"),
        ("two", "gone/x.keras", 1, "--out .*gone/x.keras: expected a file that ends in .keras, in a folder"),
        ("two", "x.keras", 0, "--epochs 0: expected 1 or more"),
    ],
)
def test_what_cannot_be_trained_is_refused(folder, data, out, epochs, said):
    with pytest.raises(UserError, match=said):
        train(f"npz:{folder}/{data}.npz", folder / out, epochs, 0, print)
    assert not (folder / out).exists()
