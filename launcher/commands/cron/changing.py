"""``launcher cron create``, ``update`` and ``diff``."""

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from launcher.commands.common import TEXT, Output, OutputFormat, Quiet, note, note_about, print_data
from launcher.commands.cron.options import NewScheduleFlags, ScheduleFlags, Yes
from launcher.commands.options import with_run_flags
from launcher.commands.place import place_of
from launcher.commands.submit import DryRun

if TYPE_CHECKING:
    from launcher.render.cronjob import Timing
    from launcher.runs.find import Place
    from launcher.schedules.updating import Plan
    from launcher.spec.runspec import RunSpec
    from launcher.spec.settings import Layered

EXIT_SAME, EXIT_OTHER = 0, 1


@with_run_flags
def create(
    flags: NewScheduleFlags,
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

    timing = Timing(**flags.timing(), suspended=suspended)
    spec = schedules.schedule_spec(flags.settings(), flags.name)
    note_about(spec)
    if dry_run is not None:
        _dry_run(spec, timing, dry_run, output)
        return
    done = schedules.create(spec, timing)
    if output is not OutputFormat.text:
        print_data(done._asdict(), output)
        return
    typer.echo(done.name)
    if not quiet:
        from launcher.commands.cron.text import moment
        from launcher.spec.next_commands import schedule_line

        when = f"fires next {moment(done.next[0], timing.time_zone)}" if done.next else "is suspended"
        now = schedule_line("trigger", done.name, context=done.context, namespace=done.namespace)
        note(f"it {when}; `{now}` fires it now")


def _dry_run(spec: "RunSpec", timing: "Timing", how: DryRun, output: OutputFormat) -> None:
    from launcher import schedules
    from launcher.render import to_json, to_yaml
    from launcher.render.cronjob import render_schedule
    from launcher.schedules.creating import check_timing

    check_timing(timing)
    judged = how is DryRun.server
    manifests = schedules.dry_run(spec, timing) if judged else render_schedule(spec, timing)
    sys.stdout.write((to_json if output is OutputFormat.json else to_yaml)(manifests))


@with_run_flags
def update(
    flags: ScheduleFlags,
    yes: Yes = False,
    output: Output = TEXT,
) -> None:
    """Change a schedule for its next firings: shows what would change, and asks. A firing that runs goes on.

    Flags and the file of -f are laid over what it was created with; $GANTRY_ROOT and gantry.yaml do not
    count. What others have edited since is put back. A schedule whose annotation gantry/spec is gone is
    adopted: what its pods are told is read back, shown, and kept as what it is asked for.

    Example: launcher cron update weekly --image REGISTRY/gantry:0.2.0 --set steps=20000
    """
    from launcher import schedules

    plan = schedules.plan(_place(flags), flags.name, _given(flags), flags.timing())
    if plan.adopted:
        note(schedules.adoption(plan))
    if plan.difference:
        _confirm(plan, yes=yes, shown=output is OutputFormat.text)
    changed = schedules.apply(plan)
    if output is not OutputFormat.text:
        print_data({**changed._asdict(), "changes": list(map(vars, plan.difference.changes))}, output)
    elif plan.difference:
        note(f"changed {', '.join(changed.objects)}")
        if plan.before.suspended and not plan.after.suspended:
            note(f"schedule '{changed.name}' fires again: it was suspended by another hand")
    else:
        note(f"schedule '{changed.name}' is so already")


def _confirm(plan: "Plan", *, yes: bool, shown: bool) -> None:
    from launcher.commands.diff import write_difference
    from launcher.errors import SpecError

    if shown:
        write_difference(plan.difference)
    if yes:
        return
    if not sys.stdin.isatty():
        raise SpecError("cron update: expected --yes too, as there is no terminal to ask on")
    typer.confirm(f"Change schedule '{plan.found.name}'?", abort=True)


@with_run_flags
def diff(
    flags: ScheduleFlags,
    output: Output = TEXT,
) -> None:
    """Show what update with these flags would change; with none, what was edited by other hands since.

    Leaves with 0 when there is no difference and 1 when there is one, as kubectl diff does.

    Example: launcher cron diff weekly --workers 4
    """
    from launcher import schedules

    found = schedules.diff(_place(flags), flags.name, _given(flags), flags.timing())
    if output is not OutputFormat.text:
        print_data(found.changes, output)
    else:
        from launcher.commands.diff import write_difference

        write_difference(found)
    raise typer.Exit(EXIT_OTHER if found else EXIT_SAME)


def _given(flags: ScheduleFlags) -> "Layered":
    """What the flags and the file of -f say of the firings, and nothing else."""
    from launcher.spec.settings import given

    said = flags.of_run()
    file = said.pop("file")
    for field in ("name", "context", "namespace"):  # by which the schedule is found
        said.pop(field)
    return given(said, file)


def _place(flags: ScheduleFlags) -> "Place":
    return place_of(flags.root, flags.context, flags.namespace)
