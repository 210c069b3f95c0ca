"""``launcher list``: all runs below a root."""

from typing import TYPE_CHECKING

from launcher.commands.common import (
    ROOT,
    TEXT,
    Output,
    OutputFormat,
    Root,
    console,
    duration,
    note,
    number,
    print_json,
)

if TYPE_CHECKING:
    from rich.table import Table

    from launcher.status import RunStatus


def list_(root: Root = ROOT, output: Output = TEXT) -> None:
    """List all runs and where each one stands.

    Example: launcher list --root runs -o json
    """
    from launcher import runs

    found = runs.list_runs(root)
    if output is OutputFormat.json:
        print_json(found)
    elif found:
        console().print(_table(found))
    else:
        note(f"no runs in {root}")


def _table(found: "list[RunStatus]") -> "Table":
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for heading in ("experiment", "run", "state"):
        table.add_column(heading, overflow="fold")
    for heading in ("step", "images/s", "updated"):
        table.add_column(heading, justify="right", no_wrap=True)
    for run in found:
        table.add_row(
            Text(run.experiment),
            Text(run.run),
            Text(run.state),
            "-" if run.step is None else f"{run.step}/{number(run.steps)}",
            number(run.images_per_second),
            "-" if run.age_seconds is None else f"{duration(run.age_seconds)} ago",
        )
    return table
