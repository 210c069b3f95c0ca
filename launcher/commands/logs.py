"""``launcher logs``: what the workers of a run wrote."""

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from launcher.commands.common import (
    TEXT,
    Context,
    Follow,
    Namespace,
    Output,
    OutputFormat,
    Root,
    Run,
    Tail,
    Worker,
    print_data,
    whole_seconds,
)
from launcher.commands.place import place_of

if TYPE_CHECKING:
    from launcher.backends.base import LogChoice
    from launcher.runs.find import Place


def logs(
    run: Run,
    root: Root = None,
    follow: Follow = False,
    worker: Worker = None,
    tail: Tail = None,
    since: Annotated[
        int | None,
        typer.Option(
            "--since",
            metavar="TIME",
            parser=whole_seconds,
            help="Only the last 10m, 2h…; while there are pods.",
        ),
    ] = None,
    attempt: Annotated[
        int | None, typer.Option("--attempt", min=1, help="An earlier attempt; the newest by default.")
    ] = None,
    context: Context = None,
    namespace: Namespace = None,
    output: Output = TEXT,
) -> None:
    """Show what the workers of a run wrote, also when their pods are gone.

    Example: launcher logs demo-20260102-x7k2 --follow --worker 0
    """
    from launcher.runs import verbs

    place = place_of(root, context, namespace)
    choice = verbs.LogChoice(worker, tail, since, attempt)
    if follow:
        _follow(place, run, choice, output)
        return
    from launcher.commands.display import write_lines

    lines = verbs.logs(place, run, choice)
    if output is OutputFormat.text:
        write_lines(sys.stdout, lines)
    else:
        print_data([line._asdict() for line in lines], output)


def _follow(place: "Place", run: str, choice: "LogChoice", output: OutputFormat) -> None:
    from launcher.commands.display import make_display
    from launcher.errors import SpecError
    from launcher.runs import verbs

    if choice.attempt is not None:
        raise SpecError(f"--attempt {choice.attempt}: expected none with --follow, which follows the newest")
    if output is not OutputFormat.text:
        raise SpecError(
            f"--output {output.value}: expected text with --follow, which has no end to close a list at"
        )
    with make_display(sys.stdout, run) as display:
        for update in verbs.follow(place, run, choice):
            display.show(update)
