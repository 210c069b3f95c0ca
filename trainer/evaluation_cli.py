"""``python -m trainer evaluate`` and ``python -m trainer features train``."""

import json
import os
import sys
from collections.abc import Iterable
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from trainer.environment.paths import expanded
from trainer.environment.quiet import load_tensorflow
from trainer.errors import UserError

if TYPE_CHECKING:
    from trainer.evaluation.keeping import Judged

RunDir = Annotated[
    str,
    typer.Option(
        "--run-dir",
        help="Folder of a run, or gs://bucket/prefix/experiment/run.",
        callback=lambda text: text and expanded(text, "--run-dir"),
    ),
]


features_app = typer.Typer(help="Networks in whose features images are compared.", no_args_is_help=True)


class Format(StrEnum):
    """How to print."""

    TEXT = "text"
    JSON = "json"
    NONE = "none"


def evaluate(
    run_dir: RunDir,
    step: Annotated[
        str,
        typer.Option(
            metavar="STEP",
            help="Checkpoint's step; newest; best by the figures of training; or all, oldest first.",
        ),
    ] = "newest",
    samples: Annotated[int, typer.Option(help="Images to draw.")] = 10_000,
    last_weights: Annotated[
        bool, typer.Option("--last-weights", help="The last weights, where the run keeps their average too.")
    ] = False,
    reference: Annotated[
        str | None,
        typer.Option(
            metavar="SOURCE", help="Images to compare with; those that the run trains on if left out."
        ),
    ] = None,
    held_out: Annotated[
        str | None,
        typer.Option(
            metavar="SOURCE",
            help="Images of the same kind that the run never saw; those that it holds out if left out.",
        ),
    ] = None,
    metric: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="A figure, again for each: fd, fd128, kid, precision, recall, density, coverage, classes, "
            "balance, sure, score, modes, kl, sw; if left out, those that go with the features.",
        ),
    ] = None,
    features: Annotated[
        str | None,
        typer.Option(
            metavar="NETWORK",
            help="digits, lite0, lite0@SIDE, none, or a Keras file, the folder of a SavedModel or an ONNX "
            "file, here or gs://; if left out, digits for 28x28 grey, else lite0 where it is installed.",
        ),
    ] = None,
    layer: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Of a network of your own, whose output are the features."),
    ] = None,
    preprocess: Annotated[
        str | None,
        typer.Option(metavar="RANGE", help="What a network of your own takes: [0,1], [-1,1] or [0,255]."),
    ] = None,
    draws: Annotated[int, typer.Option(help="How often as many images are drawn, for an interval.")] = 3,
    neighbours: Annotated[
        str | None,
        typer.Option(
            metavar="FILE.png", help="Write samples beside their nearest training images as a grid."
        ),
    ] = None,
    again: Annotated[
        bool,
        typer.Option("--again", help="With all, also the steps that were judged before in the same way."),
    ] = False,
    print_only: Annotated[
        bool, typer.Option("--print-only", help="Write nothing, where the run's folder may only be read.")
    ] = False,
    output: Annotated[Format, typer.Option("-o", "--output", help="text, json, or none.")] = Format.TEXT,
) -> None:
    """Judge a run's images: distances, precision, recall, classes and copies, each with interval and floor.

    The figures are printed, and kept as evaluations/<step>.json of the run, which may train meanwhile. Where
    that cannot be written, a line says so and the exit code is 0 all the same.

    Example: python -m trainer evaluate --run-dir runs/digits/first --held-out npz:test.npz
    """
    from trainer.evaluation.request import Request, check
    from trainer.run import judged
    from trainer.storage import open_store

    if output is Format.NONE and print_only:
        raise UserError("--output none: expected text or json with --print-only, as nobody would see it")
    request = Request(
        None, samples, not last_weights, reference, held_out, metric or [], features, layer,
        preprocess, draws, neighbours,
    )  # fmt: skip
    store = open_store(run_dir)
    check(store, request)  # before the seconds that TensorFlow takes to load
    steps = judged.steps(store, step)
    load_tensorflow()
    from trainer.evaluation.keeping import Keeping, judge

    job = os.environ.get("GANTRY_EVALUATION") or None
    keeping = Keeping(not print_only, output is Format.NONE, again, job)
    found = judge(store, request, steps, keeping, lambda text: print(text, file=sys.stderr, flush=True))
    if output is Format.TEXT:
        _print(found)
        return
    entries = [each.entry for each in found]
    if output is Format.JSON:
        print(json.dumps(entries if step == judged.ALL else entries[0], indent=2))


def _print(found: "Iterable[Judged]") -> None:
    """Figures as soon as there are some; those of before were told."""
    from trainer.evaluation import told

    texts = (told.as_text(each.found) for each in found if each.found is not None)
    for number, text in enumerate(texts):
        print(("\n" if number else "") + text, flush=True)


@features_app.callback()
def about() -> None:
    """Networks in whose features images are compared."""


@features_app.command()
def train(
    data: Annotated[str, typer.Option(metavar="SOURCE", help="Images with labels.", show_default=False)],
    out: Annotated[Path, typer.Option(metavar="FILE.keras", help="The network.", show_default=False)],
    epochs: Annotated[int, typer.Option(help="How often each image is seen.")] = 8,
    seed: Annotated[int, typer.Option(help="Of weights and order.")] = 0,
) -> None:
    """Train a small classifier of your own labels, for `evaluate --features FILE.keras`.

    A tenth of the images is held out; how many of these it has right is printed, and written into FILE.json.

    Example: python -m trainer features train --data npz:birds.npz --out birds.keras
    """
    load_tensorflow()
    from trainer.evaluation.train_classifier import train as fit

    found = fit(data, out, epochs, seed, lambda text: print(text, file=sys.stderr, flush=True))
    print(
        f"{out}: {found['accuracy']:.1%} of {found['held_out']} held-out images right, after "
        f"{found['images']} images of {len(found['classes'])} classes"
    )
