"""``launcher compare``: in what runs differ, how they ended, and their curves in one picture."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from launcher.commands.common import (
    TEXT,
    Context,
    Namespace,
    Output,
    Root,
    Runs,
    at_home,
    console,
    kinds,
    note,
    number,
    print_data,
)
from launcher.commands.place import place_of
from launcher.wording import short_revision

if TYPE_CHECKING:
    from rich.table import Table

    from launcher.looking.compare import Comparison
    from launcher.looking.compare.judged import Ranking

_LONGEST = 120  # characters of a picture's name that is made of the runs'


class Along(StrEnum):
    """What curves are drawn against."""

    steps = "steps"
    images = "images"


def compare(
    runs: Runs,
    root: Root = None,
    metric: Annotated[
        str | None,
        typer.Option(
            "--metric",
            metavar="KEYS",
            help="What to compare, separated by commas; d_loss,g_loss by default.",
            show_default=False,
        ),
    ] = None,
    x: Annotated[
        Along, typer.Option("--x", help="Draw by steps, or by images where batch sizes differ.")
    ] = Along.steps,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            metavar="FILE",
            callback=at_home,
            help="The picture, .png, .svg or .pdf; by default views/compare-RUN-RUN.png in the folder of the "
            "first run that is on this disk, and none with -o json or yaml.",
            show_default=False,
        ),
    ] = None,
    context: Context = None,
    namespace: Namespace = None,
    output: Output = TEXT,
) -> None:
    """Compare two runs or more: what differs in their configuration, final figures, curves in one picture.

    A run is a name, experiment/name, or for one of another root its whole address. Of each metric the last,
    the lowest and the highest value are shown; the lowest loss of a GAN is no sign of its best pictures. Runs
    that `launcher evaluate` has judged alike are put in order, others are not, and a line says why.

    Example: launcher compare demo-20260102-x7k2 demo-20260103-p1q9 --metric d_loss,g_loss,d_accuracy_fake

    Example: launcher compare first gs://bucket/gan/faces/second --x images --out both.svg
    """
    from launcher.looking.compare import compare as compare_runs

    if out is not None:
        _check(out)
    found = compare_runs(place_of(root, context, namespace), runs, kinds(metric))
    path = _draw(found, x, out) if out is not None else None
    if output is not TEXT:
        print_data(_plain(found, path), output)
        return
    _print(found)
    path = path or _draw_beside(found, x)
    if path is not None:
        typer.echo(f"\n{path}")


def _check(out: Path) -> None:
    """Refuse a picture that could not be drawn or written, before anything is read."""
    from launcher.errors import SpecError
    from launcher.local_file import check_folder
    from launcher.looking import drawing
    from launcher.looking.compare.picture import SUFFIXES

    drawing.matplotlib()
    if out.suffix.lower() not in SUFFIXES:
        raise SpecError(f"--out {out}: expected a name that ends with {', '.join(SUFFIXES)}")
    check_folder("--out", out)


def _draw(found: "Comparison", x: Along, out: Path) -> Path:
    from launcher.local_file import write_file
    from launcher.looking.compare import draw

    write_file("--out", out, draw(found, x.value, out.suffix.lower().removeprefix(".")))
    return out


def _draw_beside(found: "Comparison", x: Along) -> Path | None:
    """Draw into the folder of the first run on this disk; the table is told even where that cannot be."""
    from launcher.looking.compare import draw
    from launcher.looking.views import beside, write_view
    from trainer.errors import GantryError
    from trainer.run.layout import RunPath

    name = _name([run.run for run in found.runs])
    places = [RunPath(run.root, run.experiment, run.run) for run in found.runs]
    path = next((path for place in places if (path := beside(place, name))), None)
    if path is None:
        note("no picture, as all of them are in buckets: --out FILE draws one")
        return None
    try:
        write_view(path, draw(found, x.value))
    except GantryError as error:
        note(f"no picture: {error}")
        return None
    return path


def _name(runs: list[str]) -> str:
    name = f"compare-{'-'.join(runs)}"
    return f"{name if len(name) <= _LONGEST else f'compare-{runs[0]}-and-{len(runs) - 1}-more'}.png"


def _plain(found: "Comparison", path: Path | None) -> dict[str, Any]:
    """The comparison as data, without the curves, which the runs' own metrics/ hold."""
    runs = [
        {**vars(run), "metrics": {key: figure._asdict() for key, figure in run.metrics.items()}}
        for run in found.runs
    ]
    return {
        "runs": runs,
        "metrics": found.metrics,
        "differences": found.differences,
        "ranking": found.ranking,
        "picture": None if path is None else str(path),
    }


def _print(found: "Comparison") -> None:
    screen = console()
    if found.differences:
        screen.print(_differences(found))
    else:
        screen.print("no difference in configuration, versions or workers")
    screen.print()
    screen.print(_figures(found))
    if found.ranking is not None:
        screen.print()
        for line in _ranking(found.ranking):
            screen.print(line, markup=False)


def _ranking(found: "Ranking") -> list[str]:
    """The runs in their order, or why they have none."""
    from launcher.looking.evaluated import number as short

    if not found.order:
        return [f"judged: {found.why}"]
    lines = [f"by {found.name} against {found.reference}, of the newest checkpoint judged so:"]
    for place, each in enumerate(found.order, 1):
        told = f", {short(each.interval[0])} to {short(each.interval[1])}" if each.interval else ""
        lines.append(f"  {place}. {each.label}  {short(each.value)}{told}  at step {each.step:,}")
    return [*lines, *([f"  {found.why}"] if found.why else [])]


def _table(*headings: str) -> "Table":
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for heading in headings:
        table.add_column(Text(heading), overflow="fold")
    return table


def _differences(found: "Comparison") -> "Table":
    from rich.text import Text

    table = _table("differs", *(run.label for run in found.runs))
    for difference in found.differences:
        values = [value_text(value) for value in difference.values]
        if difference.key == "git_revision":
            values = [short_revision(value) for value in values]
        table.add_row(Text(difference.key), *map(Text, values))
    return table


def _figures(found: "Comparison") -> "Table":
    from rich.text import Text

    table = _table("", *(run.label for run in found.runs))
    for column in table.columns[1:]:
        column.justify = "right"
    for heading, cells in (
        ("state", [run.state for run in found.runs]),
        ("step", [f"{run.step:,}" for run in found.runs]),
        ("images", [f"{run.images:,}" for run in found.runs]),
        ("images/s", [number(run.images_per_second) for run in found.runs]),
    ):
        table.add_row(heading, *map(Text, cells))
    for key in found.metrics:
        each = [run.metrics[key] for run in found.runs]
        table.add_row(Text(f"{key}, last"), *(value_text(figure.last) for figure in each))
        table.add_row(Text(f"{key}, lowest"), *(_at(figure.lowest, figure.lowest_step) for figure in each))
        table.add_row(Text(f"{key}, highest"), *(_at(figure.highest, figure.highest_step) for figure in each))
    return table


def _at(value: float | None, step: int | None) -> str:
    return value_text(value) if step is None else f"{value_text(value)} at {step:,}"


def value_text(value: Any) -> str:
    """A value of a configuration or a metric in a few characters; a dash where there is none."""
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:.4g}"
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
