"""``launcher cancel``: let a run save and stop."""

from typing import Annotated

import typer

from launcher.commands.common import ROOT, TEXT, Output, OutputFormat, Root, Run, print_json


def cancel(
    run: Run,
    root: Root = ROOT,
    now: Annotated[bool, typer.Option("--now", help="Kill the workers without letting them save.")] = False,
    output: Output = TEXT,
) -> None:
    """Let a run save and stop, and wait for it.

    Example: launcher cancel demo-20260102-x7k2
    """
    from launcher import runs

    ended = runs.cancel(root, run, kill=now)
    if output is OutputFormat.json:
        print_json(ended)
    elif ended.resumable:
        typer.echo(f"run '{ended.run}' is {ended.state}: {runs.way_on(ended)}")
    else:
        typer.echo(f"run '{ended.run}' is {ended.state} at step {ended.step}")
