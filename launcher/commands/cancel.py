"""``launcher cancel``: let a run save and stop."""

from typing import Annotated

import typer

from launcher.commands.common import TEXT, Context, Namespace, Output, OutputFormat, Root, Run, print_data
from launcher.commands.place import place_of


def cancel(
    run: Run,
    root: Root = None,
    now: Annotated[bool, typer.Option("--now", help="Kill the workers without letting them save.")] = False,
    context: Context = None,
    namespace: Namespace = None,
    output: Output = TEXT,
) -> None:
    """Let a run save and stop, and wait for it; its record and its files stay.

    Example: launcher cancel demo-20260102-x7k2
    """
    from launcher.runs import verbs

    ended = verbs.cancel(place_of(root, context, namespace), run, kill=now)
    if output is not OutputFormat.text:
        print_data(ended, output)
    elif ended.resumable:
        typer.echo(f"run '{ended.run}' is {ended.state}: {verbs.way_on(ended)}")
    else:
        typer.echo(f"run '{ended.run}' is {ended.state} at step {ended.step}")
