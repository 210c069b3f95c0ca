"""``launcher report``: one run as one HTML file."""

from pathlib import Path
from typing import Annotated

import typer

from launcher.commands.common import (
    TEXT,
    Context,
    Namespace,
    Output,
    OutputFormat,
    Root,
    Run,
    at_home,
    note,
    print_data,
    size,
)
from launcher.commands.place import place_of


def report(
    run: Run,
    root: Root = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            metavar="FILE",
            callback=at_home,
            help="HTML file to write; views/report.html in the folder of a run on this disk by default.",
            show_default=False,
        ),
    ] = None,
    show: Annotated[bool, typer.Option("--open", help="Open it in the browser when it is written.")] = False,
    context: Context = None,
    namespace: Namespace = None,
    output: Output = TEXT,
) -> None:
    """Write one HTML file that tells all about a run: to look at, to send, to keep.

    How it ended and why, the losses, the grids over time, every restart, the configuration, the versions and
    the command that trains it again. The file needs no network and no JavaScript. An older report of that
    name is replaced. Of a run in a bucket --out must say where it goes.

    Example: launcher report demo-20260102-x7k2 --open

    Example: launcher report gan/demo-20260102-x7k2 --root gs://bucket/gan --out demo.html
    """
    from launcher.looking.report import write_report

    done = write_report(place_of(root, context, namespace), run, out)
    if output is not OutputFormat.text:
        print_data(done, output)
    else:
        typer.echo(f"{done.path} ({size(done.bytes)}), {done.grids} of the run's {done.grids_of_run} grids")
    if show:
        import webbrowser

        if not webbrowser.open(Path(done.path).absolute().as_uri()):
            note("no browser could be opened")
