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
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

from trainer.config.sources import WRITTEN
from trainer.environment import scratch
from trainer.errors import AccessError, DataError
from trainer.storage.limits import told

if TYPE_CHECKING:
    from trainer.data import Look, Summary

app = typer.Typer(help="Look at a set of images, or turn it into shards.", no_args_is_help=True)

_KINDS = "{} or {}".format(", ".join([*WRITTEN.values()][:-1]), [*WRITTEN.values()][-1])
Source = Annotated[str, typer.Argument(help=f"What to read: {_KINDS}.", show_default=False)]
ShapeText = Annotated[
    str | None,
    typer.Option(
        "--shape",
        metavar="HxWxC",
        help="Height, width and channels, e.g. 64x64x3; images: are fitted to it, other sets must have it. "
        "Without it: the set's own.",
    ),
]


SkipDamaged = Annotated[bool, typer.Option("--skip-damaged", help="Leave out images that cannot be read.")]
WithLabels = Annotated[
    bool | None,
    typer.Option(
        "--labels/--no-labels",
        help="Only images that have a label, or none of the labels; without either, those that are there.",
        show_default=False,
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
    skip_damaged: SkipDamaged = False,
    labels: WithLabels = None,
) -> None:
    """Write a set as TFRecord shards with an index, which can be streamed in training."""
    from trainer import data
    from trainer.console.wording import several
    from trainer.data.sources import by

    scratch.begin()  # each shard is written there on its way
    look = data.Look(skip_damaged=skip_damaged, labels=labels is not False, labelled=labels is True)
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
            look=look,
        )
    _tell(look.lines())
    size = sum(shard.bytes for shard in index.shards)
    shards, count = several(len(index.shards), "shard"), several(index.count, "image")
    typer.echo(f"{target}: {count} of {by(index.shape)} in {shards}, {_mib(size)}")


@app.command(epilog="Example: python -m trainer data show npz:faces.npz --out grid.png")
def show(
    source: Source,
    out: Annotated[
        Path | None, typer.Option("--out", help="Write a grid of example images to this PNG file.")
    ] = None,
    rows: Annotated[int, typer.Option("--rows", min=1, max=32, help="Rows of the grid.")] = 8,
    columns: Annotated[int, typer.Option("--columns", min=1, max=32, help="Columns of the grid.")] = 8,
    shape: ShapeText = None,
    skip_damaged: SkipDamaged = False,
    labels: WithLabels = None,
    output: Annotated[Output, typer.Option("--output", "-o", help="How to print.")] = Output.TEXT,
) -> None:
    """Say how many images a set has, their shape, values, labels and size; write some as a picture.

    Every file that cannot be read is listed; then it leaves with 2, unless --skip-damaged is given.
    """
    from trainer import data
    from trainer.pictures.grid import encode_png

    if out:
        _check_out(out)
    look = data.Look(labels=labels is not False, labelled=labels is True, telling=True)
    found = data.open_source(data.resolve_latest(source), _parse(shape), look=look)
    summary = data.show(found, look)
    if out:
        _write(out, encode_png(data.example_grid(found, rows, columns)))
    if output is Output.JSON:
        told = asdict(summary) | {"left_out": dict(look.left_out), "notes": [*summary.notes, *look.notes]}
        typer.echo(json.dumps(told))
    else:
        _print(summary, look)
        if out:
            typer.echo(f"grid     {out}")
    if summary.damaged and not skip_damaged:
        raise DataError(f"{len(summary.damaged)} of {summary.count} images of {source} cannot be read")


def _print(summary: "Summary", look: "Look") -> None:
    from trainer.data.sources import by

    low, high = summary.value_range
    typer.echo(f"source   {summary.source}")
    typer.echo(f"images   {summary.count} of {by(summary.shape)}")
    typer.echo(f"values   {low} to {high}")
    typer.echo(f"size     {_mib(summary.nbytes)} in memory, {'' if summary.streamable else 'not '}streamable")
    labels = summary.labels or {}
    typer.echo(f"labels   {', '.join(f'{name}: {count}' for name, count in labels.items()) or 'none'}")
    for line in [*look.lines(), *summary.notes]:
        typer.echo(f"note     {line}")
    for file, why in summary.damaged.items():
        typer.echo(f"damaged  {file} {why}")


def _tell(lines: list[str]) -> None:
    for line in lines:
        typer.echo(f"note: {line}", err=True)


def _parse(text: str | None) -> tuple[int, int, int] | None:
    if text is None:
        return None
    match = re.fullmatch(r"(\d{1,4})x(\d{1,4})x([13])", text)
    if not match or not int(match[1]) or not int(match[2]):
        raise DataError(f"--shape {text}: expected height x width x 1 or 3 channels, e.g. 64x64x3")
    return int(match[1]), int(match[2]), int(match[3])


def _check_out(path: Path) -> None:
    """Refuse a file that cannot be written, before the set is read."""
    parent = path.absolute().parent
    if path.is_dir() or not parent.is_dir():
        what = "is a folder, expected a file" if path.is_dir() else f"there is no folder {parent}"
        raise AccessError(f"--out {path}: {what}")


def _write(path: Path, content: bytes) -> None:
    try:
        path.write_bytes(content)
    except OSError as error:
        text = f"--out {path}: {(error.strerror or str(error)).lower()}"
        raise told(error, f"--out {path}") or AccessError(text) from error


def _mib(size: int) -> str:
    return f"{size / 2**20:.1f} MiB"
