"""``launcher cron list``, ``show``, ``next``, ``history`` and ``logs``."""

import sys
from typing import Annotated

import typer

from launcher.commands.common import (
    TEXT,
    Context,
    Follow,
    Namespace,
    Output,
    OutputFormat,
    Root,
    Tail,
    Worker,
    note,
    print_data,
)
from launcher.commands.completion import complete_schedule
from launcher.commands.cron.options import Line, Name, Zone
from launcher.commands.place import place_of


def list_(context: Context = None, namespace: Namespace = None, output: Output = TEXT) -> None:
    """List the schedules of the namespace, and when each fires next.

    Example: launcher cron list -o json
    """
    from launcher import schedules

    found = schedules.list_schedules(place_of(None, context, namespace))
    if output is not OutputFormat.text:
        print_data(found, output)
    elif found:
        from launcher.commands.cron.text import table

        sys.stdout.writelines(f"{line}\n" for line in table(found))
    else:
        note("no schedules here")


def show(name: Name, context: Context = None, namespace: Namespace = None, output: Output = TEXT) -> None:
    """Show everything about a schedule: its settings, when it fires next, and its newest firings.

    Example: launcher cron show weekly
    """
    from launcher import schedules

    found = schedules.show(place_of(None, context, namespace), name)
    if output is not OutputFormat.text:
        print_data({**vars(found), "next": [time._asdict() for time in found.next]}, output)
        return
    from launcher.commands.cron.text import described

    sys.stdout.writelines(f"{line}\n" for line in described(found))
    for text in found.notes:
        note(f"schedule '{name}': {text}")


def next_(
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="NAME",
            help="Name of the schedule.",
            show_default=False,
            autocompletion=complete_schedule,
        ),
    ] = None,
    schedule: Annotated[str | None, Line] = None,
    time_zone: Annotated[str | None, Zone] = None,
    count: Annotated[int, typer.Option("--count", min=1, max=1000, help="How many times.")] = 5,
    context: Context = None,
    namespace: Namespace = None,
    output: Output = TEXT,
) -> None:
    """Print when a schedule fires next, in its own time zone and in yours; or a line that is not one yet.

    Example: launcher cron next weekly

    Example: launcher cron next --schedule "30 2 * * *" --time-zone Europe/Paris
    """
    from datetime import UTC, datetime

    from launcher.errors import SpecError
    from launcher.schedules import CronLine, next_times
    from launcher.schedules.overview import times

    if (name is None) == (schedule is None):
        raise SpecError("cron next: expected the NAME of a schedule, or --schedule LINE")
    if schedule is not None:
        zone, found = time_zone or "Etc/UTC", []
        found = times(CronLine(schedule, zone), count, datetime.now(UTC))
    else:
        if time_zone is not None:
            raise SpecError(f"--time-zone {time_zone}: expected none with NAME, which has its own")
        status, found = next_times(place_of(None, context, namespace), str(name), count)
        zone = status.time_zone
        if status.suspended:
            note(f"schedule '{name}' is suspended: so it would fire if it were not")
    if output is not OutputFormat.text:
        print_data([time._asdict() for time in found], output)
        return
    from launcher.commands.cron.text import both_zones

    sys.stdout.writelines(f"{line}\n" for line in both_zones(found, zone))


def history(
    name: Name,
    limit: Annotated[
        int, typer.Option("--limit", min=1, max=10_000, help="How many, the newest first.")
    ] = 20,
    root: Root = None,
    context: Context = None,
    namespace: Namespace = None,
    output: Output = TEXT,
) -> None:
    """List a schedule's firings, also those whose Jobs are gone, and those that were missed, with the cause.

    Of a schedule that was deleted, --root finds the runs that it left.

    Example: launcher cron history weekly --limit 10 -o json
    """
    from launcher import schedules

    found = schedules.history(place_of(root, context, namespace), name, limit)
    if output is not OutputFormat.text:
        print_data(found, output)
    elif found:
        from launcher.commands.cron.text import firings

        sys.stdout.writelines(f"{line}\n" for line in firings(found))
    else:
        note(f"schedule '{name}' has not fired yet")


def logs(
    name: Name,
    follow: Follow = False,
    worker: Worker = None,
    tail: Tail = None,
    context: Context = None,
    namespace: Namespace = None,
    output: Output = TEXT,
) -> None:
    """Show what the workers of a schedule's newest firing wrote; `launcher logs RUN` shows an older one's.

    Example: launcher cron logs weekly --follow
    """
    from launcher import schedules
    from launcher.commands.logs import logs as show_logs

    path = schedules.newest(place_of(None, context, namespace), name)
    run = f"{path.experiment}/{path.name}"
    show_logs(
        run,
        path.root,
        follow=follow,
        worker=worker,
        tail=tail,
        context=context,
        namespace=namespace,
        output=output,
    )
