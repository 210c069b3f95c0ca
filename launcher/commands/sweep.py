"""``launcher sweep``: many runs that differ in some hyperparameters, so many at a time."""

import dataclasses
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from launcher.commands.common import TEXT, Output, OutputFormat, at_home, note, number, print_data
from launcher.commands.list import Sort
from launcher.commands.options import RunFlags, with_run_flags
from launcher.wording import counted
from trainer.metrics import HEADLINES

if TYPE_CHECKING:
    from launcher.sweeps import Plan, Result, Row
    from launcher.sweeps.schedule import Event

_FIGURES = ("fid", *HEADLINES)  # of a run's last line, where it has them


@dataclasses.dataclass
class SweepFlags(RunFlags):
    """The flags of a run, two of which mean the sweep."""

    file: Annotated[
        Path | None,
        typer.Option(
            "--file",
            "-f",
            metavar="SWEEP",
            callback=at_home,
            help="YAML file: name, base, grid or list, max_parallel.",
            show_default=False,
        ),
    ] = None
    name: Annotated[
        str | None,
        typer.Option(
            "--name", help="Name of the sweep, whose runs are NAME-1, NAME-2, ….", show_default=False
        ),
    ] = None


@with_run_flags
def sweep(
    flags: SweepFlags,
    max_parallel: Annotated[
        int | None,
        typer.Option(
            "--max-parallel",
            metavar="N",
            help="Runs at the same time; 1 by default, all with --queue, as the queue decides then.",
            show_default=False,
        ),
    ] = None,
    sort: Sort = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the runs and start none.")] = False,
    output: Output = TEXT,
) -> None:
    """Train every combination of some hyperparameters, each one a run of its own.

    The file says what all runs have in common (base, as in run.yaml; flags win over it) and in what they
    differ (grid for every combination, or list). The launcher stays and starts the next run when one ends.
    Ctrl-C leaves those that were started running; the same command goes on with what is missing. Leaves
    with 0 when all have finished, 1 when one has failed, 42 when some are still to be done.

    Example: launcher sweep -f sweep.yaml --max-parallel 2 --sort -images_per_second

    Example: launcher sweep -f sweep.yaml --image REGISTRY/gantry:0.1.0 --root gs://bucket/gan --queue team
    """
    from launcher import sweeps

    plan = _plan(flags, max_parallel)
    if dry_run:
        _show_plan(plan, output)
        return
    from launcher.commands.following import StopRequests

    note(f"sweep {plan.name}: {counted(len(plan.members), 'run')}, {plan.max_parallel} at a time")
    with StopRequests() as stops:
        result = sweeps.go(plan, _tell, lambda: stops.count > 0)
    _show_result(result, sort, output)
    _say_how_to_go_on(result)
    raise typer.Exit(result.exit_code)


def _plan(flags: SweepFlags, max_parallel: int | None) -> "Plan":
    from launcher import sweeps
    from launcher.errors import SpecError
    from launcher.spec.kubeconfig import current
    from launcher.sweeps.file import read_sweep

    if flags.file is None:
        raise SpecError("--file is not given: expected -f FILE with the sweep")
    given = flags.of_run()
    plan = sweeps.plan(read_sweep(given.pop("file")), given, max_parallel)
    first = plan.members[0].spec
    if first.context is not None:
        current(first.context)
    return plan


def _show_plan(plan: "Plan", output: OutputFormat) -> None:
    if output is not OutputFormat.text:
        specs = [(member.values, member.spec.model_dump(mode="json")) for member in plan.members]
        print_data([{"run": spec["name"], "values": values, "spec": spec} for values, spec in specs], output)
        return
    from launcher.commands.table import lines

    keys = _keys([member.values for member in plan.members])
    rows = [[member.name, *(member.values.get(key, "-") for key in keys)] for member in plan.members]
    sys.stdout.writelines(f"{line}\n" for line in lines(["run", *keys], rows))
    note(f"{counted(len(rows), 'run')}, {plan.max_parallel} at a time; nothing was started")


def _keys(values: "list[dict[str, str]]") -> list[str]:
    return list(dict.fromkeys(key for each in values for key in each))


def _tell(event: "Event") -> None:
    left = f"{event.running} running, {event.waiting} waiting"
    if event.status is None:
        note(f"{event.member.name} started ({event.member.told}); {left}")
        return
    how = event.status.state + (f" at step {event.status.step}" if event.status.step is not None else "")
    why = f", {event.status.explanation}" if event.status.explanation else ""
    note(f"{event.member.name} {how}{why}; {left}")


def _show_result(result: "Result", sort: str | None, output: OutputFormat) -> None:
    rows = _sorted(result, sort)
    if output is not OutputFormat.text:
        print_data(rows, output)
        return
    from launcher.commands.table import lines

    keys = _keys([row.values for row in rows])
    wanted = [(sort or "").removeprefix("-"), *_FIGURES]
    figures = [name for name in dict.fromkeys(wanted) if any(name in row.metrics for row in rows)]
    told = [
        [row.run, *(row.values.get(key, "-") for key in keys), row.state, _step(row), *_told(row, figures)]
        for row in rows
    ]
    headings = ["run", *keys, "state", "step", *figures]
    sys.stdout.writelines(f"{line}\n" for line in lines(headings, told, right=("step", *figures)))


def _step(row: "Row") -> str:
    return "-" if row.step is None else f"{row.step}/{number(row.steps)}"


def _told(row: "Row", figures: list[str]) -> list[str]:
    values = [row.metrics.get(name) for name in figures]
    return [f"{value:.4g}" if isinstance(value, int | float) else "-" for value in values]


def _sorted(result: "Result", sort: str | None) -> "list[Row]":
    """Rows by a figure; those that have not begun last. A figure that none has must not cost the table."""
    from launcher.errors import SpecError
    from launcher.runs.sorting import arranged

    try:
        order = [run.run for run in arranged(result.statuses, sort=sort)] if sort else []
    except SpecError as error:
        note(str(error))
        order = []
    place = {name: number for number, name in enumerate(order)}
    return sorted(result.rows, key=lambda row: place.get(row.run, len(place)))


def _say_how_to_go_on(result: "Result") -> None:
    if result.refusal:
        note(f"no more runs were started, as one was refused: {result.refusal}")
    if result.live:
        note(f"{', '.join(result.live)} {'goes' if len(result.live) == 1 else 'go'} on")
    if any(row.state == "waiting" for row in result.rows) or result.live:
        note(f"go on with the sweep: {shlex.join(['launcher', *sys.argv[1:]])}")
    ended = [row.run for row in result.rows if row.state in ("stopped", "interrupted", "failed", "collapsed")]
    if ended:
        note(
            f"the sweep leaves these as they are: {', '.join(ended)}; `launcher resume RUN` goes on with one"
        )
