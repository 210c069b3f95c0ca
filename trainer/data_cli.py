"""``python -m trainer data``: look at a set of images, or turn it into shards.

Errors are raised as `trainer.errors.GantryError`; the program that mounts `app` prints them and leaves with
their exit code. What needs numpy is imported by the command that does, so that the rest of ``python -m
trainer`` works where only the launcher is installed.
"""

import json
import re
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

from trainer.errors import AccessError, DataError

app = typer.Typer(help="Look at a set of images, or turn it into shards.", no_args_is_help=True)

_SOURCES = "digits, idx:<folder>, npz:<file>, images:<folder>, tfrecord:<glob> or keras:<name>."
Source = Annotated[str, typer.Argument(help=f"What to read: {_SOURCES}", show_default=False)]
ShapeText = Annotated[
    str | None,
    typer.Option(
        "--shape",
        metavar="HxWxC",
        help="Height, width and channels, e.g. 64x64x3; images: are fitted to it, other sets must have it. "
        "Without it: the set's own.",
    ),
]


class Output(StrEnum):
    """How a command prints its result."""

    TEXT = "text"
    JSON = "json"


@app.command(
    epilog="Example: python -m trainer data prepare images:flowers tfrecord:gs://b/flowers --shape 64x64x3"
)
def prepare(
    source: Source,
    target: Annotated[
        str,
        typer.Argument(
            help="Where to: tfrecord:<folder> or tfrecord:gs://<bucket>/<prefix>.", show_default=False
        ),
    ],
    shape: ShapeText = None,
    shard_images: Annotated[
        int, typer.Option("--shard-images", help="Images in each shard, a multiple of 256.")
    ] = 4096,
) -> None:
    """Write a set as TFRecord shards with an index, which can be streamed in training."""
    from trainer import data
    from trainer.data.sources import by

    console = Console(stderr=True)
    columns = ("[progress.description]{task.description}", BarColumn(), MofNCompleteColumn())
    with Progress(*columns, TimeRemainingColumn(), console=console, transient=True) as bar:
        task = bar.add_task("images", total=None)
        index = data.prepare(
            data.resolve_latest(source),
            target,
            shape=_parse(shape),
            shard_images=shard_images,
            progress=lambda done, total: bar.update(task, completed=done, total=total),
        )
    size = sum(shard.bytes for shard in index.shards)
    typer.echo(
        f"{target}: {index.count} images of {by(index.shape)} in {len(index.shards)} shards, {_mib(size)}"
    )


@app.command(epilog="Example: python -m trainer data show npz:faces.npz --out grid.png")
def show(
    source: Source,
    out: Annotated[
        Path | None, typer.Option("--out", help="Write a grid of example images to this PNG file.")
    ] = None,
    rows: Annotated[int, typer.Option("--rows", min=1, max=32, help="Rows of the grid.")] = 8,
    columns: Annotated[int, typer.Option("--columns", min=1, max=32, help="Columns of the grid.")] = 8,
    shape: ShapeText = None,
    output: Annotated[Output, typer.Option("--output", "-o", help="How to print.")] = Output.TEXT,
) -> None:
    """Say how many images a set has, their shape, values, labels and size; write some as a picture."""
    from trainer import data
    from trainer.data.sources import by
    from trainer.grid import encode_png

    found = data.open_source(data.resolve_latest(source), _parse(shape))
    summary = data.show(found)
    if out:
        _write(out, encode_png(data.example_grid(found, rows, columns)))
    if output is Output.JSON:
        typer.echo(json.dumps(asdict(summary)))
        return
    low, high = summary.value_range
    typer.echo(f"source   {summary.source}")
    typer.echo(f"images   {summary.count} of {by(summary.shape)}")
    typer.echo(f"values   {low} to {high}")
    typer.echo(f"size     {_mib(summary.nbytes)} in memory, {'' if summary.streamable else 'not '}streamable")
    labels = summary.labels or {}
    typer.echo(f"labels   {', '.join(f'{name}: {count}' for name, count in labels.items()) or 'none'}")
    if out:
        typer.echo(f"grid     {out}")


def _parse(text: str | None) -> tuple[int, int, int] | None:
    if text is None:
        return None
    match = re.fullmatch(r"(\d{1,4})x(\d{1,4})x([13])", text)
    if not match or not int(match[1]) or not int(match[2]):
        raise DataError(f"--shape {text}: expected height x width x 1 or 3 channels, e.g. 64x64x3")
    return int(match[1]), int(match[2]), int(match[3])


def _write(path: Path, content: bytes) -> None:
    try:
        path.write_bytes(content)
    except OSError as error:
        raise AccessError(f"--out {path}: {(error.strerror or str(error)).lower()}") from error


def _mib(size: int) -> str:
    return f"{size / 2**20:.1f} MiB"
