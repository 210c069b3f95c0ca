"""``launcher list``: all runs below a root, or those of one experiment, in any order."""

import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from launcher.commands.common import (
    TEXT,
    Context,
    Namespace,
    Output,
    OutputFormat,
    Root,
    ago,
    note,
    number,
    print_data,
)
from launcher.commands.place import place_of

if TYPE_CHECKING:
    from launcher.records.status import RunStatus

Experiment = Annotated[
    str | None,
    typer.Option("--experiment", metavar="NAME", help="Only runs of this experiment.", show_default=False),
]
Sort = Annotated[
    str | None,
    typer.Option(
        "--sort",
        metavar="KEY",
        help="created, updated, run, state, step, best, judged, or a metric such as d_loss; -KEY is the "
        "highest first.",
        show_default=False,
    ),
]
_NUMBERS = ("step", "images/s", "updated", "created")


def list_(
    root: Root = None,
    experiment: Experiment = None,
    sort: Sort = None,
    reverse: Annotated[bool, typer.Option("--reverse", help="The other way round.")] = False,
    state: Annotated[
        str | None,
        typer.Option(
            "--state",
            metavar="STATES",
            help="Only runs in these states, separated by commas: running,failed.",
            show_default=False,
        ),
    ] = None,
    limit: Annotated[
        int | None,
        typer.Option(
            "--limit",
            metavar="N",
            help="So many of them: the newest, or the first by --sort.",
            show_default=False,
        ),
    ] = None,
    all_namespaces: Annotated[
        bool,
        typer.Option(
            "--all-namespaces", "-A", help="Runs of all namespaces that you may read, and who submitted them."
        ),
    ] = False,
    context: Context = None,
    namespace: Namespace = None,
    output: Output = TEXT,
) -> None:
    """List all runs, of the root and of the cluster, and where each one stands.

    Runs that have ended come from the index of their experiment. A run without the figure that the table is
    sorted by comes last. Two columns have the figure of the best checkpoint and that of the newest one that
    was judged; runs are sorted by either only where all were measured alike.

    Example: launcher list --root runs -o json

    Example: launcher list --experiment faces --sort -step --limit 10
    """
    from launcher.errors import SpecError
    from launcher.runs import verbs
    from launcher.runs.sorting import arranged

    place = place_of(root, context, namespace)
    states = [word.strip() for word in (state or "").split(",") if word.strip()]
    if all_namespaces and namespace is not None:
        raise SpecError(f"--namespace {namespace}: expected none with --all-namespaces")
    every = verbs.list_runs(place, experiment, all_namespaces)
    found = arranged(every, sort=sort, reverse=reverse, states=states, limit=limit)
    if output is not OutputFormat.text:
        print_data(found, output)
    elif found:
        sys.stdout.writelines(f"{line}\n" for line in table(found, sort, all_namespaces))
    else:
        where = place.root or "runs"
        note(f"no runs in {where}" + (f" of experiment {experiment}" if experiment else ""))


def table(found: "list[RunStatus]", sort: str | None = None, owners: bool = False) -> list[str]:
    """Runs as lines, with a column for what they are sorted by; `owners` adds where and whose they are."""
    from launcher.commands.table import lines
    from launcher.runs.sorting import JUDGED, is_figure, value_of

    key = (sort or "").removeprefix("-")
    more = [key] if (is_figure(sort) and key not in JUDGED) or key == "created" else []
    whose = ["namespace", "owner"] if owners else []
    judged = {word: name for word in JUDGED if (name := _name(found, word)) is not None}
    titles = [f"{word} {name}".strip() for word, name in judged.items()]
    headings = [*whose, "experiment", "run", "state", "where", "step", "images/s", "updated", *more, *titles]
    rows = [
        [
            *(_whose(run) if owners else []),
            *_row(run),
            *(_shown(value_of(run, each), each) for each in more),
            *(_judged(getattr(run, word), name) for word, name in judged.items()),
        ]
        for run in found
    ]
    return lines(headings, rows, right=(*_NUMBERS, *more, *titles))


def _name(found: "list[RunStatus]", word: str) -> str | None:
    """What the figures of a column are, for its heading; empty where they differ, None without any."""
    names = {figure["name"] for run in found if (figure := getattr(run, word))}
    return None if not names else names.pop() if len(names) == 1 else ""


def _judged(figure: "Mapping[str, Any] | None", heading: str) -> str:
    """A figure and its step; with its name where its column has figures of several."""
    if not figure:
        return "-"
    own = "" if heading else f"{figure['name']} "
    return f"{own}{figure['value']:.4g} at {figure['step']}"


def _whose(run: "RunStatus") -> list[str]:
    return [run.namespace or "-", run.owner or "-"]


def _row(run: "RunStatus") -> list[str]:
    return [
        run.experiment,
        run.run,
        run.state,
        run.backend or "files",
        "-" if run.step is None else f"{run.step}/{number(run.steps)}",
        number(run.images_per_second),
        _updated(run),
    ]


def _updated(run: "RunStatus") -> str:
    """How old the last word is where a clock tells, else what the word itself says of its time."""
    if run.age_seconds is not None:
        return ago(run.age_seconds)
    return f"{run.updated[:16].replace('T', ' ')}Z" if run.updated else "-"


def _shown(value: float | str | None, key: str) -> str:
    if value is None:
        return "-"
    return value[:16].replace("T", " ") if isinstance(value, str) else f"{value:.4g}"
