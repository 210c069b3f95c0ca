"""``launcher wait``: until a run has ended, for scripts."""

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
    print_data,
    whole_seconds,
)
from launcher.commands.place import place_of
from launcher.spec.durations import spoken

_EXIT_FAILED, _EXIT_TIME_UP = 1, 4


def wait(
    run: Run,
    root: Root = None,
    timeout: Annotated[
        int | None,
        typer.Option(
            "--timeout",
            metavar="TIME",
            parser=whole_seconds,
            help="Give up after that long: 90s, 30m, 2h, 1d.",
        ),
    ] = None,
    context: Context = None,
    namespace: Namespace = None,
    output: Output = TEXT,
) -> None:
    """Wait until a run has ended.

    Leaves with 0 when it has finished, 1 when it failed, collapsed or was stopped, 3 when there is no such
    run and 4 when the time is up.

    Example: launcher wait demo-20260102-x7k2 --timeout 2h
    """
    from launcher.records.states import FINISHED
    from launcher.runs import verbs

    place = place_of(root, context, namespace)
    now = verbs.wait(place, run, timeout)
    if now is None:
        typer.echo(f"run '{run}' has not ended after {spoken(timeout)}", err=True)
        raise typer.Exit(_EXIT_TIME_UP)
    if now.state != FINISHED:
        from launcher.diagnosis.explain import explained

        now = explained(place, now)
    if output is OutputFormat.text:
        told = f", {now.explanation}" if now.explanation else ""
        typer.echo(f"run '{now.run}' is {now.state} at step {now.step}{told}")
    else:
        print_data(now, output)
    if now.state != FINISHED:
        raise typer.Exit(_EXIT_FAILED)
