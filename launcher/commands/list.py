"""``launcher list``: all runs below a root."""

from typing import TYPE_CHECKING

from launcher.commands.common import (
    TEXT,
    Context,
    Namespace,
    Output,
    OutputFormat,
    Root,
    console,
    duration,
    note,
    number,
    print_data,
)
from launcher.commands.place import place_of

if TYPE_CHECKING:
    from rich.table import Table

    from launcher.status import RunStatus


def list_(
    root: Root = None, context: Context = None, namespace: Namespace = None, output: Output = TEXT
) -> None:
    """List all runs, of the root and of the cluster, and where each one stands.

    Example: launcher list --root runs -o json
    """
    from launcher import runs

    place = place_of(root, context, namespace)
    found = runs.list_runs(place)
    if output is not OutputFormat.text:
        print_data(found, output)
    elif found:
        console().print(_table(found))
    else:
        note(f"no runs in {place.root or 'runs'}")


def _table(found: "list[RunStatus]") -> "Table":
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for heading in ("experiment", "run", "state", "where"):
        table.add_column(heading, overflow="fold")
    for heading in ("step", "images/s", "updated"):
        table.add_column(heading, justify="right", no_wrap=True)
    for run in found:
        table.add_row(
            Text(run.experiment),
            Text(run.run),
            Text(run.state),
            Text(run.backend or "files"),
            "-" if run.step is None else f"{run.step}/{number(run.steps)}",
            number(run.images_per_second),
            "-" if run.age_seconds is None else f"{duration(run.age_seconds)} ago",
        )
    return table
