"""``launcher diff``: what a submit would change of a run that is there."""

import sys
from typing import TYPE_CHECKING

import typer

from launcher.commands.common import TEXT, Output, OutputFormat, console, print_data
from launcher.commands.completion import complete_run_or_schedule
from launcher.commands.options import RunFlags, with_run_flags
from launcher.commands.place import place_of

if TYPE_CHECKING:
    from launcher.diagnosis.diff import Difference
    from launcher.runs.find import Place
    from launcher.spec.settings import Layered

_COLOURS = (("---", "bold"), ("+++", "bold"), ("@@", "cyan"), ("-", "red"), ("+", "green"))
_NOT_HERE = ("name", "experiment", "backend")
EXIT_SAME, EXIT_OTHER = 0, 1


@with_run_flags
def diff(
    flags: RunFlags,
    run: str = typer.Argument(
        metavar="RUN|CRON",
        help="Name of a run or a schedule.",
        show_default=False,
        autocompletion=complete_run_or_schedule,
    ),
    output: Output = TEXT,
) -> None:
    """Show what a submit with these flags would change of a run's or a schedule's live objects.

    Flags and the file of -f are laid over what it was submitted with; $GANTRY_ROOT and gantry.yaml do not
    count. The API server fills in its defaults on both sides, in a dry run. Nothing changes. Leaves with 0
    when there is no difference and 1 when there is one, as kubectl diff does.

    Example: launcher diff demo-20260102-x7k2

    Example: launcher diff nightly -f run.yaml --image REGISTRY/gantry:0.2.0 -o json
    """
    from launcher.errors import SpecError
    from launcher.spec.settings import flag_of, given

    said = flags.of_run()
    for field in _NOT_HERE:
        if said[field] is not None:
            raise SpecError(f"{flag_of(field)} {said[field]}: expected none, as {run} keeps its own")
    file = said.pop("file")
    settings = given(said, file)
    root = settings.settings.get("root")
    place = place_of(root.value if root else None, flags.context, flags.namespace)
    difference = _difference(place, run, settings)
    if output is OutputFormat.text:
        write_difference(difference)
    else:
        print_data(difference.changes, output)
    raise typer.Exit(EXIT_OTHER if difference else EXIT_SAME)


def _difference(place: "Place", name: str, settings: "Layered") -> "Difference":
    """Of the run of that name, else of the schedule."""
    from launcher.diagnosis.diff import diff_run
    from launcher.errors import CannotAsk, NoSuchRun, NoSuchSchedule

    try:
        return diff_run(place, name, settings)
    except NoSuchRun as missing:
        if "/" in name:
            raise
        from launcher import schedules

        try:
            if not place.has_cluster:
                raise missing
            return schedules.diff(place, name, settings, {})
        except (NoSuchSchedule, CannotAsk) as error:
            if str(error) in str(missing):  # the cluster was to tell of the run, too
                raise missing from None
            raise NoSuchRun(f"{missing}; {error}") from None


def write_difference(difference: "Difference") -> None:
    """The unified difference, coloured where stdout is a terminal."""
    if not sys.stdout.isatty():
        sys.stdout.writelines(f"{line}\n" for line in difference.text)
        return
    from rich.text import Text

    screen = console()
    for line in difference.text:
        style = next((colour for begin, colour in _COLOURS if line.startswith(begin)), "")
        screen.print(Text(line, style), soft_wrap=True)
