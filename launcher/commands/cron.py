"""``launcher cron``: runs that start by themselves, again and again."""

import dataclasses
import sys
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from launcher.commands.common import (
    TEXT,
    Context,
    Namespace,
    Output,
    OutputFormat,
    Quiet,
    Root,
    note,
    print_data,
)
from launcher.commands.completion import complete_schedule
from launcher.commands.options import RunFlags, with_run_flags
from launcher.commands.place import place_of

if TYPE_CHECKING:
    from launcher.difference import Difference
    from launcher.places import Place
    from launcher.render.cronjob import Timing
    from launcher.schedules.updating import Plan
    from launcher.settings import Layered
    from launcher.spec import RunSpec

app = typer.Typer(
    help="Train again and again by a cron line: each firing is a run of its own.\n\n"
    'Example: launcher cron create nightly --schedule "0 3 * * *" --time-zone Europe/Paris -f run.yaml',
    rich_markup_mode=None,
    no_args_is_help=False,
)
EXIT_SAME, EXIT_OTHER = 0, 1


class Policy(StrEnum):
    """What becomes of a firing that is due while one runs."""

    forbid = "Forbid"
    allow = "Allow"
    replace = "Replace"


class DryRun(StrEnum):
    """How far a schedule is taken that shall not be created."""

    client = "client"
    server = "server"


_NAME = typer.Argument(
    metavar="NAME", help="Name of the schedule.", show_default=False, autocompletion=complete_schedule
)
Name = Annotated[str, _NAME]
Line = typer.Option(
    "--schedule", metavar="LINE", help='Cron line, such as "0 3 * * 1", or @daily.', show_default=False
)
Zone = typer.Option(
    "--time-zone",
    metavar="ZONE",
    help="Time zone of the cron line, such as Europe/Paris; Etc/UTC by default.",
)
Concurrency = typer.Option(
    "--concurrency-policy",
    help="While a firing runs, the next one waits and may be missed (Forbid, the default), runs beside it "
    "(Allow), or stops it (Replace).",
)
StartingDeadline = typer.Option(
    "--starting-deadline",
    metavar="SECONDS",
    help="How late a firing may begin before it is missed; an hour by default.",
)
Successful = typer.Option(
    "--successful-history", min=0, help="Jobs of finished firings that the cluster keeps; 3 by default."
)
Failed = typer.Option(
    "--failed-history", min=0, help="Jobs of failed firings that the cluster keeps; 3 by default."
)
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]


@dataclasses.dataclass
class ScheduleFlags(RunFlags):
    """The flags of a run, but for its name, which is the schedule's."""

    name: Annotated[str, _NAME] = ...  # type: ignore[assignment]


@app.command("create")
@with_run_flags
def create(
    flags: ScheduleFlags,
    schedule: Annotated[str, Line],
    time_zone: Annotated[str | None, Zone] = None,
    concurrency_policy: Annotated[Policy | None, Concurrency] = None,
    starting_deadline: Annotated[int | None, StartingDeadline] = None,
    successful_history: Annotated[int | None, Successful] = None,
    failed_history: Annotated[int | None, Failed] = None,
    suspended: Annotated[
        bool, typer.Option("--suspended", help="Do not fire before `launcher cron resume`.")
    ] = False,
    dry_run: Annotated[
        DryRun | None,
        typer.Option(
            "--dry-run",
            help="client prints what would be sent, server asks the cluster as well.",
            show_default=False,
        ),
    ] = None,
    quiet: Quiet = False,
    output: Output = TEXT,
) -> None:
    """Create a schedule: a CronJob whose firings are runs, called NAME-<date>-<time> in UTC.

    Takes every flag of submit. --deadline ends a firing whatever its state, after a day by default: one that
    cannot start, for want of its image say, would otherwise keep the next ones from starting for ever. --data
    with a part called latest is looked up anew by each firing, and so is --warm-start latest.

    Example: launcher cron create weekly --schedule "0 3 * * 1" --time-zone Europe/Paris --preset mlp
    --workers 2 --image REGISTRY/gantry:0.1.0 --root gs://bucket/gan --warm-start latest
    """
    from launcher import schedules
    from launcher.render.cronjob import Timing

    given = _timing(
        schedule, time_zone, concurrency_policy, starting_deadline, successful_history, failed_history
    )
    timing = Timing(**given, suspended=suspended)
    spec = schedules.schedule_spec(flags.settings(), flags.name)
    if dry_run is not None:
        _dry_run(spec, timing, dry_run, output)
        return
    done = schedules.create(spec, timing)
    if output is not OutputFormat.text:
        print_data(done._asdict(), output)
        return
    typer.echo(done.name)
    if not quiet:
        from launcher.commands.cron_text import moment

        when = f"fires next {moment(done.next[0], timing.time_zone)}" if done.next else "is suspended"
        note(f"it {when}; `launcher cron trigger {done.name}` fires it now")


def _dry_run(spec: "RunSpec", timing: "Timing", how: DryRun, output: OutputFormat) -> None:
    from launcher import schedules
    from launcher.render import to_json, to_yaml
    from launcher.render.cronjob import render_schedule
    from launcher.schedules.creating import check_timing

    check_timing(timing)
    manifests = render_schedule(spec, timing)
    if how is DryRun.server:
        schedules.dry_run(spec, timing)
    sys.stdout.write((to_json if output is OutputFormat.json else to_yaml)(manifests))


@app.command("update")
@with_run_flags
def update(
    flags: ScheduleFlags,
    schedule: Annotated[str | None, Line] = None,
    time_zone: Annotated[str | None, Zone] = None,
    concurrency_policy: Annotated[Policy | None, Concurrency] = None,
    starting_deadline: Annotated[int | None, StartingDeadline] = None,
    successful_history: Annotated[int | None, Successful] = None,
    failed_history: Annotated[int | None, Failed] = None,
    yes: Yes = False,
    output: Output = TEXT,
) -> None:
    """Change a schedule for its next firings: shows what would change, and asks. A firing that runs goes on.

    Flags and the file of -f are laid over what it was created with; $GANTRY_ROOT and gantry.yaml do not
    count.

    Example: launcher cron update weekly --image REGISTRY/gantry:0.2.0 --set steps=20000
    """
    from launcher import schedules

    timing = _timing(
        schedule, time_zone, concurrency_policy, starting_deadline, successful_history, failed_history
    )
    plan = schedules.plan(_place(flags), flags.name, _given(flags), timing)
    if plan.difference:
        _confirm_change(plan, yes=yes, shown=output is OutputFormat.text)
    changed = schedules.apply(plan)
    if output is not OutputFormat.text:
        print_data({**changed._asdict(), "changes": list(map(vars, plan.difference.changes))}, output)
    elif plan.difference:
        note(f"changed {', '.join(changed.objects)}")
    else:
        note(f"schedule '{changed.name}' is so already")


def _confirm_change(plan: "Plan", *, yes: bool, shown: bool) -> None:
    from launcher.commands.diff import write_difference
    from launcher.errors import SpecError

    if shown:
        write_difference(plan.difference)
    if yes:
        return
    if not sys.stdin.isatty():
        raise SpecError("cron update: expected --yes too, as there is no terminal to ask on")
    typer.confirm(f"Change schedule '{plan.found.name}'?", abort=True)


@app.command("diff")
@with_run_flags
def diff(
    flags: ScheduleFlags,
    schedule: Annotated[str | None, Line] = None,
    time_zone: Annotated[str | None, Zone] = None,
    concurrency_policy: Annotated[Policy | None, Concurrency] = None,
    starting_deadline: Annotated[int | None, StartingDeadline] = None,
    successful_history: Annotated[int | None, Successful] = None,
    failed_history: Annotated[int | None, Failed] = None,
    output: Output = TEXT,
) -> None:
    """Show what update with these flags would change; with none, what was edited by other hands since.

    Leaves with 0 when there is no difference and 1 when there is one, as kubectl diff does.

    Example: launcher cron diff weekly --workers 4
    """
    from launcher import schedules

    timing = _timing(
        schedule, time_zone, concurrency_policy, starting_deadline, successful_history, failed_history
    )
    found: Difference = schedules.diff(_place(flags), flags.name, _given(flags), timing)
    if output is not OutputFormat.text:
        print_data(found.changes, output)
    else:
        from launcher.commands.diff import write_difference

        write_difference(found)
    raise typer.Exit(EXIT_OTHER if found else EXIT_SAME)


def _timing(*given: Any) -> dict[str, Any]:
    """Fields of a `Timing` that flags gave, in the order of its fields."""
    from launcher.render.cronjob import Timing

    names = [field.name for field in dataclasses.fields(Timing)]
    values = zip(names, given, strict=False)
    return {
        name: str(value) if isinstance(value, Policy) else value
        for name, value in values
        if value is not None
    }


def _given(flags: ScheduleFlags) -> "Layered":
    """What the flags and the file of -f say of the firings, and nothing else."""
    from launcher.settings import given

    said = {each.name: getattr(flags, each.name) for each in dataclasses.fields(flags)}
    file = said.pop("file")
    for field in ("name", "context", "namespace"):  # by which the schedule is found
        said.pop(field)
    return given({field: value for field, value in said.items() if value != []}, file)


def _place(flags: ScheduleFlags) -> "Place":
    return place_of(flags.root, flags.context, flags.namespace)


@app.command("list")
def list_(context: Context = None, namespace: Namespace = None, output: Output = TEXT) -> None:
    """List the schedules of the namespace, and when each fires next.

    Example: launcher cron list -o json
    """
    from launcher import schedules

    found = schedules.list_schedules(place_of(None, context, namespace))
    if output is not OutputFormat.text:
        print_data(found, output)
    elif found:
        from launcher.commands.cron_text import table

        sys.stdout.writelines(f"{line}\n" for line in table(found))
    else:
        note("no schedules here")


@app.command("show")
def show(name: Name, context: Context = None, namespace: Namespace = None, output: Output = TEXT) -> None:
    """Show everything about a schedule: its settings, when it fires next, and its newest firings.

    Example: launcher cron show weekly
    """
    from launcher import schedules

    found = schedules.show(place_of(None, context, namespace), name)
    if output is not OutputFormat.text:
        print_data({**vars(found), "next": [time._asdict() for time in found.next]}, output)
        return
    from launcher.commands.cron_text import described

    sys.stdout.writelines(f"{line}\n" for line in described(found))


@app.command("next")
def next_(
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="[NAME]",
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
    from launcher.commands.cron_text import both_zones

    sys.stdout.writelines(f"{line}\n" for line in both_zones(found, zone))


@app.command("suspend")
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


@app.command("resume")
def resume(name: Name, context: Context = None, namespace: Namespace = None, output: Output = TEXT) -> None:
    """Start firings again.

    Of those missed meanwhile the last one starts at once, if its starting deadline is not over.

    Example: launcher cron resume weekly
    """
    from launcher import schedules
    from launcher.commands.cron_text import moment

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


@app.command("trigger")
def trigger(
    name: Name,
    wait: Annotated[
        bool, typer.Option("--wait", help="Wait until the run has ended, with the exit codes of wait.")
    ] = False,
    timeout: Annotated[
        str | None,
        typer.Option("--timeout", metavar="TIME", help="With --wait: give up after 90s, 30m, 2h, 1d."),
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
        raise SpecError(f"--timeout {timeout}: expected --wait too")
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


@app.command("history")
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
        from launcher.commands.cron_text import firings

        sys.stdout.writelines(f"{line}\n" for line in firings(found))
    else:
        note(f"schedule '{name}' has not fired yet")


@app.command("logs")
def logs(
    name: Name,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on until the run ends; Ctrl-C leaves it running.")
    ] = False,
    worker: Annotated[
        int | None, typer.Option("--worker", min=0, help="One worker only; 0 is the chief.")
    ] = None,
    tail: Annotated[
        int | None, typer.Option("--tail", min=0, help="Only that many last lines of each.")
    ] = None,
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


@app.command("delete")
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
