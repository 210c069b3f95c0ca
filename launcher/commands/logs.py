"""``launcher logs``: what the workers of a run wrote."""

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from launcher.commands.common import ROOT, TEXT, Output, OutputFormat, Root, Run, print_json

if TYPE_CHECKING:
    from launcher.follow import LogLine


def logs(
    run: Run,
    root: Root = ROOT,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on until the run ends; Ctrl-C leaves it running.")
    ] = False,
    worker: Annotated[
        int | None, typer.Option("--worker", min=0, help="One worker only; 0 is the chief.")
    ] = None,
    tail: Annotated[
        int | None, typer.Option("--tail", min=0, help="Only that many last lines of each.")
    ] = None,
    attempt: Annotated[
        int | None, typer.Option("--attempt", min=1, help="An earlier attempt; the newest by default.")
    ] = None,
    output: Output = TEXT,
) -> None:
    """Show what the workers of a run wrote.

    Example: launcher logs demo-20260102-x7k2 --follow --worker 0
    """
    if follow:
        _follow(run, root, worker, tail, attempt, output)
        return
    from launcher import runs
    from launcher.commands.display import log_text

    lines = runs.logs(root, run, attempt, worker, tail)
    if output is OutputFormat.json:
        print_json([line._asdict() for line in lines])
    else:
        sys.stdout.write("".join(f"{log_text(line)}\n" for line in lines))


def _follow(
    run: str, root: str, worker: int | None, tail: int | None, attempt: int | None, output: OutputFormat
) -> None:
    from launcher import runs
    from launcher.commands.display import make_display
    from launcher.errors import SpecError
    from launcher.lookup import find_run

    if attempt is not None:
        raise SpecError(f"--attempt {attempt}: expected none with --follow, which follows the newest")
    if output is OutputFormat.json:
        raise SpecError("--output json: expected text with --follow, which has no end to close a list at")
    path = find_run(root, run).path
    with make_display(sys.stdout, path.name) as display:
        for update in runs.follow(path, worker):
            if tail is not None:  # of what was there when we came; all that follows is shown
                update, tail = update._replace(lines=_last(update.lines, tail)), None
            display.show(update)


def _last(lines: "list[LogLine]", count: int) -> "list[LogLine]":
    """The last lines of each worker."""
    kept: list[LogLine] = []
    for worker in sorted({line.worker for line in lines}):
        own = [line for line in lines if line.worker == worker]
        kept += own[max(0, len(own) - count) :]
    return kept
