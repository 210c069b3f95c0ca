"""``launcher explain``: what is wrong with a run or a schedule, how one can tell, and what mends it."""

import dataclasses
import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from launcher.commands.common import TEXT, Context, Namespace, Output, OutputFormat, Root, note, print_data
from launcher.commands.completion import complete_run_or_schedule
from launcher.commands.place import place_of

if TYPE_CHECKING:
    from launcher.diagnosis.explain import Diagnosis, Fix

_EXIT_NOT_WELL = 1


def explain(
    here: typer.Context,
    run: Annotated[
        str,
        typer.Argument(
            metavar="RUN|CRON",
            help="Name of a run, experiment/name, or a schedule.",
            show_default=False,
            autocompletion=complete_run_or_schedule,
        ),
    ],
    root: Root = None,
    apply: Annotated[
        bool, typer.Option("--apply", help="Ask whether to run the command that mends it, and run it.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="With --apply: do not ask.")] = False,
    context: Context = None,
    namespace: Namespace = None,
    output: Output = TEXT,
) -> None:
    """Say in one sentence what is wrong with a run or a schedule, with the evidence and what mends it.

    Looks at the Job, its pods, their events and the last lines of their logs, at the run's folder and, where
    it may, at nodes, quotas and claims. Leaves with 0 when nothing is wrong, 1 when something is and 3 when
    there is neither a run nor a schedule of that name. docs/troubleshooting.md lists what is recognised.

    With --apply the command that is shown is run, exactly as it stands, and its exit code is the answer.
    What another program has to mend, or what needs a decision first, is left to you.

    Example: launcher explain demo-20260102-x7k2

    Example: launcher explain demo-20260102-x7k2 -o json

    Example: launcher explain demo-20260102-x7k2 --apply
    """
    from launcher.diagnosis.explain import explain as explain_it
    from launcher.errors import SpecError

    if apply and output is not OutputFormat.text:
        raise SpecError(f"--output {output.value}: expected text with --apply, as the command prints its own")
    found = explain_it(place_of(root, context, namespace), run)
    if output is OutputFormat.text:
        sys.stdout.write("".join(f"{line}\n" for line in describe(found)))
    else:
        print_data(_data(found), output)
    if found.healthy:
        return
    if apply and found.fix is not None and _agreed(found.fix, yes=yes):
        _run(here, found.fix)
    raise typer.Exit(_EXIT_NOT_WELL)


def _data(found: "Diagnosis") -> dict[str, Any]:
    """A diagnosis for programs: the fix as it can be pasted, and as words."""
    fix = found.fix
    said = {**dataclasses.asdict(found), "fix": None if fix is None else str(fix)}
    return said if fix is None else {**said, "commands": fix.commands, "by_hand": fix.by_hand or None}


def _agreed(fix: "Fix", *, yes: bool) -> bool:
    """Whether a fix is to be run; one that is not for the launcher to run is said to be so.

    Raises:
        SpecError: there is nobody to ask.
    """
    if fix.by_hand:
        note(f"not applied: {fix.by_hand}")
        return False
    if yes:
        return True
    if not sys.stdin.isatty():
        from launcher.errors import SpecError

        raise SpecError("explain --apply: expected --yes too, as there is no terminal to ask on")
    sys.stdout.flush()
    return typer.confirm("Run it?")


def _run(here: typer.Context, fix: "Fix") -> None:
    """Run a fix's commands, by the launcher's own command line, until one does not leave with 0."""
    program = here.find_root().command
    for command in fix.commands:
        code = program.main(list(command[1:]), command[0], standalone_mode=False)
        if code:
            raise typer.Exit(code)
    raise typer.Exit(0)


def describe(found: "Diagnosis") -> list[str]:
    """A diagnosis in a few lines."""
    cause = f" ({found.cause})" if found.cause else ""
    lines = [f"{found.sentence}{cause}"]
    for each in found.evidence:
        where = f"{each.object} {each.field}".rstrip()
        time = f"{each.time}  " if each.time else ""
        lines.append(f"  {time}{where}: {each.text}")
    if found.fix:
        lines.append(f"mend it with: {found.fix}")
    return lines + [f"not asked: {text}" for text in found.unasked]
