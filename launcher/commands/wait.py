"""``launcher wait``: until a run has ended, for scripts."""

import re
from typing import Annotated

import typer

from launcher.commands.common import TEXT, Context, Namespace, Output, OutputFormat, Root, Run, print_data
from launcher.commands.place import place_of

_EXIT_FAILED, _EXIT_TIME_UP = 1, 4
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def wait(
    run: Run,
    root: Root = None,
    timeout: Annotated[
        str | None,
        typer.Option("--timeout", metavar="TIME", help="Give up after that long: 90s, 30m, 2h, 1d."),
    ] = None,
    context: Context = None,
    namespace: Namespace = None,
    output: Output = TEXT,
) -> None:
    """Wait until a run has ended.

    Leaves with 0 when it has finished, 1 when it failed or was stopped, 3 when there is no such run and 4
    when the time is up.

    Example: launcher wait demo-20260102-x7k2 --timeout 2h
    """
    from launcher import runs
    from launcher.states import FINISHED

    seconds = None if timeout is None else seconds_of("--timeout", timeout)
    place = place_of(root, context, namespace)
    now = runs.wait(place, run, seconds)
    if now is None:
        typer.echo(f"run '{run}' has not ended after {timeout}", err=True)
        raise typer.Exit(_EXIT_TIME_UP)
    if now.state != FINISHED:
        from launcher.explain import explained

        now = explained(place, now)
    if output is OutputFormat.text:
        told = f", {now.explanation}" if now.explanation else ""
        typer.echo(f"run '{now.run}' is {now.state} at step {now.step}{told}")
    else:
        print_data(now, output)
    if now.state != FINISHED:
        raise typer.Exit(_EXIT_FAILED)


def seconds_of(option: str, text: str) -> float:
    """A span of time such as ``90s``, ``30m``, ``1h30m`` or ``2d`` in seconds; a bare number is seconds.

    Raises:
        SpecError: it is none.
    """
    from launcher.errors import SpecError

    if re.fullmatch(r"\d+(\.\d+)?", text):
        return float(text)
    if not re.fullmatch(r"(\d+(\.\d+)?[smhd])+", text):
        raise SpecError(f"{option} is '{text}': expected a span of time such as 90s, 30m, 1h30m or 2d")
    return sum(float(count) * _UNITS[unit] for count, _, unit in re.findall(r"(\d+(\.\d+)?)([smhd])", text))
