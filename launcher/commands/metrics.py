"""``launcher metrics``: the lines of figures that a run has written."""

import csv
import sys
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from launcher.commands.common import Context, Namespace, OutputFormat, Root, Run, note, print_data
from launcher.commands.place import place_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from launcher.looking.curves import Curves

_NAMED_DAMAGES = 3


class Form(StrEnum):
    """How the lines are printed."""

    text = "text"
    csv = "csv"
    json = "json"
    yaml = "yaml"


def metrics(
    run: Run,
    root: Root = None,
    tail: Annotated[
        int | None, typer.Option("--tail", min=1, metavar="LINES", help="Only so many of the last lines.")
    ] = None,
    as_csv: Annotated[bool, typer.Option("--csv", help="The same as -o csv.")] = False,
    output: Annotated[
        Form, typer.Option("--output", "-o", help="text for people; csv, json or yaml for programs.")
    ] = Form.text,
    context: Context = None,
    namespace: Namespace = None,
) -> None:
    """Print a run's metrics: one line for each metrics.every_steps, in order of steps, each step once.

    An empty cell, or null, is a figure that its line does not have or that is not finite. Lines that cannot
    be read are named on stderr, and left out.

    Example: launcher metrics latest --tail 20

    Example: launcher metrics demo-20260102-x7k2 --csv > losses.csv
    """
    from launcher.looking.curves import read_curves
    from launcher.runs.find import find

    found = read_curves(find(place_of(root, context, namespace), run).store)
    if found.damaged:
        more = ", …" if len(found.damaged) > _NAMED_DAMAGES else ""
        note(f"left out, as it cannot be read: {', '.join(found.damaged[:_NAMED_DAMAGES])}{more}")
    elif not found:
        note(f"run '{run}' has no metrics yet")
    rows = list(_rows(found))[-(tail or 0) :]
    if as_csv or output is Form.csv:
        writer = csv.DictWriter(sys.stdout, _columns(found), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    elif output is Form.text:
        sys.stdout.writelines(f"{line}\n" for line in _table(_columns(found), rows))
    else:
        print_data(rows, OutputFormat(output.value))


def _columns(curves: "Curves") -> list[str]:
    return ["step", "images", *curves.values]


def _rows(curves: "Curves") -> "Iterator[dict[str, float | None]]":
    for at, (step, images) in enumerate(zip(curves.steps, curves.images, strict=True)):
        yield {"step": step, "images": images} | {key: column[at] for key, column in curves.values.items()}


def _table(columns: list[str], rows: "list[dict[str, float | None]]") -> list[str]:
    """Aligned to the right, figures with four significant digits."""
    cells = [columns, *([_cell(key, row[key]) for key in columns] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return ["  ".join(text.rjust(width) for text, width in zip(row, widths, strict=True)) for row in cells]


def _cell(key: str, value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:,}" if key in ("step", "images") else f"{value:.4g}"
