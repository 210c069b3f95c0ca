"""``launcher artifacts``: the files that a run leaves behind."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from launcher.commands.common import (
    ROOT,
    TEXT,
    Only,
    Output,
    OutputFormat,
    Root,
    Run,
    console,
    kinds,
    note,
    print_json,
    size,
)

if TYPE_CHECKING:
    from launcher.artifacts import Download, Transfer

app = typer.Typer(
    help="List and download the files of a run.\n\nExample: launcher artifacts list demo-20260102-x7k2",
    rich_markup_mode=None,
    no_args_is_help=False,
)


@app.command("list")
def list_(run: Run, root: Root = ROOT, only: Only = None, output: Output = TEXT) -> None:
    """List the files of a run with their sizes.

    Example: launcher artifacts list demo-20260102-x7k2 --only samples,export
    """
    from launcher import runs

    found = runs.list_artifacts(root, run, kinds(only))
    if output is OutputFormat.json:
        print_json(found)
        return
    width = max((len(size(artifact.size)) for artifact in found), default=0)
    sys.stdout.write("".join(f"{size(artifact.size):>{width}}  {artifact.name}\n" for artifact in found))


@app.command("download")
def download(
    run: Run,
    to: Annotated[Path, typer.Option("--to", metavar="DIR", help="Folder to copy into; made if absent.")],
    root: Root = ROOT,
    only: Only = None,
    output: Output = TEXT,
) -> None:
    """Copy the files of a run into a folder, leaving out those that are there already.

    Example: launcher artifacts download demo-20260102-x7k2 --to results --only samples,export
    """
    done = _download(root, run, to, kinds(only), bar=sys.stdout.isatty() and output is OutputFormat.text)
    if output is OutputFormat.json:
        print_json(done)
        return
    typer.echo(
        f"{len(done.copied)} files copied to {done.to} ({size(done.bytes)}), {len(done.unchanged)} unchanged"
    )
    if done.gone:
        note(f"{len(done.gone)} files were removed by the run meanwhile: {', '.join(done.gone)}")


def _download(root: str, run: str, to: Path, only: list[str], *, bar: bool) -> "Download":
    from launcher import runs

    if not bar:
        return runs.download_artifacts(root, run, to, only)
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn

    with Progress(
        TextColumn("{task.description}", markup=False), BarColumn(), DownloadColumn(), console=console()
    ) as progress:
        task = progress.add_task(run, total=None)

        def report(transfer: "Transfer") -> None:
            progress.update(
                task, description=transfer.name, total=transfer.total_bytes, advance=transfer.size
            )

        return runs.download_artifacts(root, run, to, only, report)
