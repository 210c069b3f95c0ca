"""``launcher cron suspend``, ``resume``, ``trigger`` and ``delete``."""

import sys
from typing import Annotated

import typer

from launcher.commands.common import (
    TEXT,
    Context,
    Namespace,
    Output,
    OutputFormat,
    Quiet,
    note,
    print_data,
    whole_seconds,
)
from launcher.commands.cron.options import Name, Yes
from launcher.commands.place import place_of
from launcher.spec.durations import spoken


def suspend(name: Name, context: Context = None, namespace: Namespace = None, output: Output = TEXT) -> None:
    """Start no more firings until resume; those that run go on.

    Example: launcher cron suspend weekly
    """
    from launcher import schedules

    status = schedules.suspend(place_of(None, context, namespace), name)
    if output is not OutputFormat.text:
        print_data(status, output)
        return
    still = f"; {', '.join(status.active)} goes on" if status.active else ""
    typer.echo(f"schedule '{name}' is suspended{still}")


def resume(name: Name, context: Context = None, namespace: Namespace = None, output: Output = TEXT) -> None:
    """Start firings again.

    Of those missed meanwhile the last one starts at once, if its starting deadline is not over.

    Example: launcher cron resume weekly
    """
    from launcher import schedules
    from launcher.commands.cron.text import moment

    done = schedules.resume(place_of(None, context, namespace), name)
    if output is not OutputFormat.text:
        print_data({**vars(done.status), "due": done.due}, output)
        return
    following = (
        f"; it fires next {moment(done.status.next, done.status.time_zone)}" if done.status.next else ""
    )
    typer.echo(f"schedule '{name}' goes on{following}")
    if done.due:
        note(f"the firing of {moment(done.due, done.status.time_zone)} starts now, late")


def trigger(
    name: Name,
    wait: Annotated[
        bool, typer.Option("--wait", help="Wait until the run has ended, with the exit codes of wait.")
    ] = False,
    timeout: Annotated[
        int | None,
        typer.Option(
            "--timeout",
            metavar="TIME",
            parser=whole_seconds,
            help="With --wait: give up after 90s, 30m, 2h, 1d.",
        ),
    ] = None,
    context: Context = None,
    namespace: Namespace = None,
    quiet: Quiet = False,
    output: Output = TEXT,
) -> None:
    """Start a firing now, called NAME-<date>-<time with seconds>, whether the schedule is suspended or not.

    Example: launcher cron trigger weekly --wait --timeout 2h
    """
    from launcher import schedules
    from launcher.errors import SpecError

    if timeout is not None and not wait:
        raise SpecError(f"--timeout {spoken(timeout)}: expected --wait too")
    done = schedules.trigger(place_of(None, context, namespace), name)
    if output is OutputFormat.text:
        typer.echo(done.path.name)
    elif not wait:
        print_data({**done._asdict(), "path": done.path._asdict()}, output)
    if done.beside and not quiet:
        note(f"it runs beside {', '.join(done.beside)}")
    if wait:
        from launcher.commands.wait import wait as wait_for

        run = f"{done.path.experiment}/{done.path.name}"
        wait_for(run, done.path.root, timeout, context, done.namespace, output)


def delete(
    name: Name, yes: Yes = False, context: Context = None, namespace: Namespace = None, output: Output = TEXT
) -> None:
    """Remove a schedule and all it has in the cluster; the runs' files stay, for history --root to find.

    Asks when a firing runs: its pods save and stop.

    Example: launcher cron delete weekly --yes
    """
    from launcher import schedules
    from launcher.errors import SpecError
    from launcher.schedules.controlling import running

    place = place_of(None, context, namespace)
    if not yes and (live := running(place, name)):
        if not sys.stdin.isatty():
            raise SpecError(f"cron delete: expected --yes too, as {', '.join(live)} would be stopped")
        typer.confirm(f"Stop {', '.join(live)} and remove schedule '{name}'?", abort=True)
    done = schedules.delete(place, name)
    if output is not OutputFormat.text:
        print_data(done._asdict(), output)
    else:
        typer.echo(f"removed from the cluster: {', '.join(done.objects)}")
