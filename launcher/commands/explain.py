"""``launcher explain``: what is wrong with a run or a schedule, how one can tell, and what mends it."""

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from launcher.commands.common import TEXT, Context, Namespace, Output, OutputFormat, Root, print_data
from launcher.commands.completion import complete_run_or_schedule
from launcher.commands.place import place_of

if TYPE_CHECKING:
    from launcher.explain import Diagnosis

_EXIT_NOT_WELL = 1


def explain(
    run: Annotated[
        str,
        typer.Argument(
            metavar="RUN|CRON",
            help="Name of a run, experiment/name, or a schedule.",
            show_default=False,
            autocompletion=complete_run_or_schedule,
        ),
    ],
    root: Root = None,
    context: Context = None,
    namespace: Namespace = None,
    output: Output = TEXT,
) -> None:
    """Say in one sentence what is wrong with a run or a schedule, with the evidence and what mends it.

    Looks at the Job, its pods, their events and the last lines of their logs, at the run's folder and, where
    it may, at nodes, quotas and claims. Leaves with 0 when nothing is wrong, 1 when something is and 3 when
    there is neither a run nor a schedule of that name. docs/troubleshooting.md lists what is recognised.

    Example: launcher explain demo-20260102-x7k2

    Example: launcher explain demo-20260102-x7k2 -o json
    """
    from launcher.explain import explain as explain_it

    found = explain_it(place_of(root, context, namespace), run)
    if output is OutputFormat.text:
        sys.stdout.write("".join(f"{line}\n" for line in describe(found)))
    else:
        print_data(found, output)
    if not found.healthy:
        raise typer.Exit(_EXIT_NOT_WELL)


def describe(found: "Diagnosis") -> list[str]:
    """A diagnosis in a few lines."""
    cause = f" ({found.cause})" if found.cause else ""
    lines = [f"{found.sentence}{cause}"]
    for each in found.evidence:
        where = f"{each.object} {each.field}".rstrip()
        time = f"{each.time}  " if each.time else ""
        lines.append(f"  {time}{where}: {each.text}")
    if found.fix:
        lines.append(f"mend it with: {found.fix}")
    return lines + [f"not asked: {text}" for text in found.unasked]
