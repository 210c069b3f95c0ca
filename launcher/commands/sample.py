"""``launcher sample``: new images from a run's generator."""

from pathlib import Path
from typing import Annotated

import typer

from launcher.commands.common import (
    TEXT,
    Context,
    Namespace,
    Output,
    Root,
    Run,
    at_home,
    print_data,
)
from launcher.commands.place import place_of
from launcher.wording import counted


def sample(
    run: Run,
    root: Root = None,
    seeds: Annotated[
        str | None,
        typer.Option(
            "--seeds",
            metavar="LIST",
            help="One image of each seed, 0-63,70 say, whatever the others are; with labels a row of each "
            "class, unless --class.",
            show_default=False,
        ),
    ] = None,
    seed: Annotated[
        int | None, typer.Option("--seed", help="Of all latents; the run's by default.", show_default=False)
    ] = None,
    count: Annotated[
        int | None, typer.Option("--count", help="Images of --seed; 25 by default.", show_default=False)
    ] = None,
    of_class: Annotated[
        str | None,
        typer.Option(
            "--class", metavar="CLASS", help="Number or name of the class to draw.", show_default=False
        ),
    ] = None,
    truncation: Annotated[
        float | None,
        typer.Option(
            "--truncation",
            help="Cut latents off at this magnitude, 0.7 say: less variety, fewer failures.",
            show_default=False,
        ),
    ] = None,
    walk: Annotated[
        int | None,
        typer.Option(
            "--walk",
            metavar="N",
            help="A film of the way through the images of --seeds and back, N frames from each to the next.",
            show_default=False,
        ),
    ] = None,
    fps: Annotated[
        float | None,
        typer.Option("--fps", help="Frames a second of a film; 20 by default.", show_default=False),
    ] = None,
    step: Annotated[
        int | None,
        typer.Option(
            "--step", metavar="N", help="Checkpoint's step; the newest by default.", show_default=False
        ),
    ] = None,
    best: Annotated[
        bool, typer.Option("--best", help="The checkpoint that is best by the figures of training.")
    ] = False,
    last_weights: Annotated[
        bool, typer.Option("--last-weights", help="The last weights, where the run keeps their average too.")
    ] = False,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            metavar="PATH",
            callback=at_home,
            help="grid.png, images.npz, or a folder for one PNG each; walk.gif or walk.mp4 with --walk. By "
            "default RUN.png or RUN.gif in this folder, numbered where there is one.",
            show_default=False,
        ),
    ] = None,
    context: Context = None,
    namespace: Namespace = None,
    output: Output = TEXT,
) -> None:
    """Draw new images from a run's generator, of any seeds and classes.

    A process of this machine draws them from a checkpoint of the run, wherever that lies; it needs the
    trainer's packages. The run may train meanwhile, and nothing of it is changed. The grids that the run has
    drawn itself as it learned are those of `launcher samples`.

    Example: launcher sample demo-20260102-x7k2 --seeds 0-63 --class 3

    Example: launcher sample demo-20260102-x7k2 --root gs://bucket/gan --seeds 1,7,9 --walk 30 --out walk.gif
    """
    from launcher.runs import sampling
    from launcher.runs.find import find
    from launcher.runs.trainer_here import TrainerRefused

    wanted = sampling.Wanted(step, best, last_weights, seeds, seed, count, truncation, of_class, walk, fps)
    found = find(place_of(root, context, namespace), run)
    try:
        drawn = sampling.draw(found, wanted, out)
    except TrainerRefused as refused:  # its line is on stderr already
        raise typer.Exit(refused.exit_code) from None
    if output is TEXT:
        what = "frame" if walk is not None else "image"
        typer.echo(f"{drawn['path']}: {counted(drawn['images'], what)} of step {drawn['step']}")
    else:
        print_data(drawn, output)
