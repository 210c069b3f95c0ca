"""``launcher evaluate``: whether a run's images are good."""

from enum import StrEnum
from typing import Annotated

import typer

from launcher.commands.common import Context, Namespace, Root, Run
from launcher.commands.place import place_of


class Form(StrEnum):
    """How figures are printed."""

    text = "text"
    json = "json"


def evaluate(
    run: Run,
    root: Root = None,
    step: Annotated[
        int | None,
        typer.Option("--step", help="Checkpoint's step; the newest if left out.", show_default=False),
    ] = None,
    samples: Annotated[int, typer.Option("--samples", help="Images to draw.")] = 10_000,
    last_weights: Annotated[
        bool, typer.Option("--last-weights", help="The last weights, where the run keeps their average too.")
    ] = False,
    reference: Annotated[
        str | None,
        typer.Option(
            "--reference",
            metavar="SOURCE",
            help="Images to compare with; those that the run trains on if left out.",
            show_default=False,
        ),
    ] = None,
    held_out: Annotated[
        str | None,
        typer.Option(
            "--held-out",
            metavar="SOURCE",
            help="Images of the same kind that the run never saw, to find copies.",
            show_default=False,
        ),
    ] = None,
    output: Annotated[
        Form, typer.Option("--output", "-o", help="text for people; json for programs.")
    ] = Form.text,
    context: Context = None,
    namespace: Namespace = None,
) -> None:
    """Judge a run's images: Frechet distance, precision, recall, classes and copies, each with its floor.

    On this machine, which needs the trainer's packages and the images that the run trains on; the run itself
    may be anywhere, and may still train. Nothing is written. Images of 28x28 in grey alone have a feature
    network.

    Example: launcher evaluate demo-20260102-x7k2

    Example: launcher evaluate gan/demo-20260102-x7k2 --root gs://bucket/gan --step 2000 -o json
    """
    from launcher.runs.evaluating import Wanted, judge
    from launcher.runs.find import find

    found = find(place_of(root, context, namespace), run)
    code = judge(found.store.url, Wanted(step, samples, last_weights, reference, held_out), output.value)
    if code:
        raise typer.Exit(code)
