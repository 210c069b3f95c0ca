"""``python -m bench.few_images --fashion FOLDER``: augmentations on few images, each beside a run without.

What is compared, and how, stands in docs/methods.md and was written there before the runs; docs/few-images.md
is what came out: every seed at its best checkpoint, whichever way.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from bench.contestant import ROOT
from bench.report import table
from bench.zoo.play import lines
from trainer.data import Look
from trainer.data.idx import open_images, open_test
from trainer.run import evaluations
from trainer.sections import Image
from trainer.storage import open_store

PAGE = ROOT / "docs" / "few-images.md"
SEEDS = (0, 1, 2)
VARIANTS: dict[str, tuple[str, ...]] = {
    "none": (),
    "diffaugment": ("augmentation.kind=diffaugment",),
    # p may go from 0 to 1 within the run: by the paper's 500,000 images it would end below 0.13.
    "ada": ("augmentation.kind=ada", "augmentation.images=32000"),
}
_FEATURES, _EPOCHS = 20_000, 3  # images of the training set that the classifier learns, and how often


class Amount(NamedTuple):
    """How much of everything."""

    images: int = 600
    """Of the training set, the first ones."""
    steps: int = 1000
    """Of 64 images."""
    every: int = 250
    """Steps between two checkpoints."""
    samples: int = 5000


def main() -> None:
    """Play all, and write the page."""
    parser = argparse.ArgumentParser(prog="python -m bench.few_images", description=__doc__)
    parser.add_argument("--fashion", required=True, help="folder of Fashion-MNIST's IDX files")
    parser.add_argument("--images", type=int, default=Amount().images, help="that are trained on")
    parser.add_argument("--steps", type=int, default=Amount().steps, help="of 64 images, a multiple of 4")
    options = parser.parse_args()
    amount = Amount(options.images, options.steps, options.steps // 4)
    with tempfile.TemporaryDirectory(prefix="gantry-few-") as scratch:
        known = _sources(options.fashion, Path(scratch), amount)
        found = [_play(name, seed, Path(scratch), known, amount) for seed in SEEDS for name in VARIANTS]
    PAGE.write_text(page(found, amount), encoding="utf-8")


def _sources(folder: str, scratch: Path, amount: Amount) -> dict[str, str]:
    """What is trained on, what is compared with, and features of clothes."""
    source = open_images(folder, Image().shape, Look(f"idx:{folder}"))
    images, labels = source.load(), source.labels
    tests = open_test(folder, Look(f"idx:{folder}")).load()
    np.savez(scratch / "few.npz", images=images[: amount.images], labels=labels[: amount.images])
    np.savez(scratch / "many.npz", images=images[-_FEATURES:], labels=labels[-_FEATURES:])
    np.savez(scratch / "test.npz", images=tests)
    features = scratch / "clothes.keras"
    _trainer(
        "features",
        "train",
        "--data",
        f"npz:{scratch}/many.npz",
        "--out",
        str(features),
        "--epochs",
        str(_EPOCHS),
    )
    return {
        "few": f"npz:{scratch}/few.npz",
        "test": f"npz:{scratch}/test.npz",
        "features": str(features),
    }


def _play(name: str, seed: int, scratch: Path, known: dict[str, str], amount: Amount) -> dict[str, Any]:
    """One run, judged at each of its checkpoints."""
    began = time.monotonic()
    run = f"{name}-{seed}"
    sets = [
        f"data.source={known['few']}", f"seed={seed}", f"steps={amount.steps}", *VARIANTS[name],
        f"optimizer.schedule.decay_from={amount.steps // 2}", f"optimizer.schedule.decay_to={amount.steps}",
        f"checkpoints.every_steps={amount.every}", "checkpoints.keep=100",
        f"samples.every_steps={amount.steps}",
    ]  # fmt: skip
    words = [word for each in sets for word in ("--set", each)]
    _trainer("train", "--preset", "demo", "--root", str(scratch), "--experiment", "few", "--run", run, *words)
    folder = scratch / "few" / run
    _trainer(
        "evaluate", "--run-dir", str(folder), "--step", "all", "--samples", str(amount.samples),
        "--draws", "1",
        "--reference", known["test"], "--features", known["features"],
        "--metric", "fd", "--metric", "precision", "--metric", "recall",
    )  # fmt: skip
    said = {
        "variant": name,
        "seed": seed,
        "judged": {each["step"]: _figures(each) for each in evaluations.every(open_store(str(folder)))},
        "last": lines(folder)[-1],
        "seconds": time.monotonic() - began,
    }
    print(json.dumps(said), file=sys.stderr, flush=True)
    return said


def _figures(entry: evaluations.Entry) -> dict[str, Any]:
    """Name and value of each figure."""
    return {name: {"name": each["name"], "value": each["value"]} for name, each in entry["metrics"].items()}


def page(found: list[dict[str, Any]], amount: Amount) -> str:
    """docs/few-images.md."""
    rows = [_row(said) for said in found]
    head = (
        "augmentation", "seed", "best step", "FD", "precision", "recall", "FD at each checkpoint", "p",
        "D right on real", "seconds",
    )  # fmt: skip
    name = next(iter(found[0]["judged"].values()))["fd"]["name"]
    return "\n\n".join([
        "# Augmentations on few images",
        f"`python -m bench.few_images`, as [methods.md](methods.md#few-images) says: {amount.images} images "
        f"of Fashion-MNIST, preset `demo`, {amount.steps:,} steps of 64; {name} against the 10,000 test "
        "images. Each row is at its own best checkpoint; p and D's accuracy are of the last line of metrics.",
        table(head, rows),
    ]) + "\n"  # fmt: skip


def _row(said: dict[str, Any]) -> tuple[str, ...]:
    judged, last = said["judged"], said["last"]
    best = min(judged, key=lambda step: judged[step]["fd"]["value"])
    figures = {name: each["value"] for name, each in judged[best].items()}
    p = f"{last['augmentation_p']:.2f}" if "augmentation_p" in last else ""
    steps = ", ".join(f"{each['fd']['value']:.2f}" for each in judged.values())
    three = (f"{figures[name]:.2f}" for name in ("fd", "precision", "recall"))
    right, seconds = f"{100 * last['d_accuracy_real']:.0f} %", f"{said['seconds']:.0f}"
    return said["variant"], str(said["seed"]), f"{best:,}", *three, steps, p, right, seconds


def _trainer(*words: str) -> None:
    subprocess.run([sys.executable, "-m", "trainer", *words], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)


if __name__ == "__main__":
    main()
