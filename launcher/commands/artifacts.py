"""``launcher artifacts``: the files that a run leaves behind."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from launcher.commands.common import (
    TEXT,
    Context,
    Namespace,
    Only,
    Output,
    OutputFormat,
    Quiet,
    Root,
    Run,
    at_home,
    console,
    kinds,
    note,
    print_data,
    size,
)
from launcher.commands.place import place_of
from launcher.wording import counted

if TYPE_CHECKING:
    from rich.table import Table

    from launcher.artifacts import Artifact, Download
    from launcher.artifacts.download import Advance

app = typer.Typer(
    help="List and download the files of a run.\n\nExample: launcher artifacts list demo-20260102-x7k2",
    rich_markup_mode=None,
    no_args_is_help=False,
)


@app.command("list")
def list_(
    run: Run,
    root: Root = None,
    context: Context = None,
    namespace: Namespace = None,
    only: Only = None,
    output: Output = TEXT,
) -> None:
    """List the files of a run with their sizes and when they were last written.

    Example: launcher artifacts list demo-20260102-x7k2 --only samples,export
    """
    from launcher.runs import verbs

    found = verbs.list_artifacts(place_of(root, context, namespace), run, kinds(only))
    if output is not OutputFormat.text:
        print_data(found, output)
    elif found:
        console().print(_table(found))


@app.command("download")
def download(
    run: Run,
    to: Annotated[
        Path,
        typer.Option("--to", metavar="DIR", help="Folder to copy into; made if absent.", callback=at_home),
    ],
    root: Root = None,
    context: Context = None,
    namespace: Namespace = None,
    only: Only = None,
    step: Annotated[
        int | None,
        typer.Option("--step", min=0, metavar="N", help="Only the checkpoint and the samples of this step."),
    ] = None,
    latest: Annotated[
        bool,
        typer.Option(
            "--latest",
            help="Only the newest complete checkpoint and samples, export, metrics, run.json, result.json.",
        ),
    ] = False,
    jobs: Annotated[
        int | None,
        typer.Option(
            "--jobs",
            "-j",
            min=1,
            max=64,
            metavar="N",
            help="Files at once; at most 8 from a bucket by default.",
        ),
    ] = None,
    quiet: Quiet = False,
    output: Output = TEXT,
) -> None:
    """Copy the files of a run into a folder: what is new or changed, from where it was cut off.

    Example: launcher artifacts download demo-20260102-x7k2 --to results --only samples,export
    """
    from launcher.runs import verbs

    shown = sys.stderr.isatty() and output is OutputFormat.text and not quiet
    with _bar(run, shown) as advance:
        done = verbs.download_artifacts(
            place_of(root, context, namespace),
            run,
            to,
            kinds(only),
            step=step,
            latest=latest,
            jobs=jobs,
            advance=advance,
        )
    if output is OutputFormat.text:
        typer.echo(_summary(done))
    else:
        print_data(done, output)
    if not quiet:
        _notes(done)


@contextmanager
def _bar(run: str, shown: bool) -> "Iterator[Advance | None]":
    """A bar on the terminal for bytes, drawn on stderr so that stdout holds the result alone."""
    if not shown:
        yield None
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )

    columns = (BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    text = TextColumn("{task.description}", markup=False)
    with Progress(text, *columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(run, total=None)
        yield lambda count, total: progress.update(task, advance=count, total=total)


def _summary(done: "Download") -> str:
    copied = counted(len(done.copied), "file")
    return f"{copied} copied to {done.to} ({size(done.bytes)}), {len(done.unchanged)} unchanged"


def _notes(done: "Download") -> None:
    if done.gone:
        note(f"removed by the run meanwhile: {', '.join(done.gone)}")
    if done.left_out:
        note(f"left out, as no manifest says that they are complete: {', '.join(done.left_out)}")


def _table(found: "list[Artifact]") -> "Table":
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("name", overflow="fold")
    for heading in ("size", "updated"):
        table.add_column(heading, justify="right", no_wrap=True)
    for artifact in found:
        updated = artifact.updated[:19].replace("T", " ") + "Z"
        table.add_row(Text(artifact.name), size(artifact.size), updated)
    return table
