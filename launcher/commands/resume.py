"""``launcher resume``: go on with a run that has not finished."""

from typing import TYPE_CHECKING, Annotated

import typer

from launcher.commands.common import ROOT, TEXT, Detach, Output, Overrides, Root, Run, Threads
from launcher.commands.following import report_detached, run_in_foreground

if TYPE_CHECKING:
    from launcher.backends.local import Started


def resume(
    run: Run,
    root: Root = ROOT,
    overrides: Overrides = None,
    workers: Annotated[
        int | None, typer.Option("--workers", help="Worker processes; as many as before by default.")
    ] = None,
    threads: Threads = None,
    detach: Detach = False,
    output: Output = TEXT,
) -> None:
    """Go on with a run from its newest checkpoint.

    Only `steps` can be set to another, higher value; the number of workers may change freely.

    Example: launcher resume demo-20260102-x7k2 --set steps=8000
    """
    from launcher import runs

    def start() -> "Started":
        return runs.resume(root, run, overrides or (), workers, threads)

    if detach:
        report_detached(start(), output)
    else:
        run_in_foreground(start, output)
