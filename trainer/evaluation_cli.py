"""``python -m trainer evaluate`` and ``python -m trainer features train``."""

import json
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from trainer.environment.paths import expanded
from trainer.environment.quiet import load_tensorflow

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


def evaluate(
    run_dir: RunDir,
    step: Annotated[int | None, typer.Option(help="Checkpoint's step; the newest if left out.")] = None,
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
    output: Annotated[Format, typer.Option("-o", "--output", help="text or json.")] = Format.TEXT,
) -> None:
    """Judge a run's images: distances, precision, recall, classes and copies, each with interval and floor.

    Example: python -m trainer evaluate --run-dir runs/digits/first --held-out npz:test.npz
    """
    from trainer.evaluation.request import Request, check
    from trainer.storage import open_store

    request = Request(
        step, samples, not last_weights, reference, held_out, metric or [], features, layer,
        preprocess, draws, neighbours,
    )  # fmt: skip
    store = open_store(run_dir)
    check(store, request)  # before the seconds that TensorFlow takes to load
    load_tensorflow()
    from trainer.evaluation import told
    from trainer.evaluation.evaluate import evaluate as judge

    found = judge(store, request, lambda text: print(text, file=sys.stderr, flush=True))
    print(json.dumps(told.as_json(found), indent=2) if output is Format.JSON else told.as_text(found))


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
