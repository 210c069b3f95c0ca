"""``launcher delete``: remove what is left of a run that has ended and, asked twice, its files."""

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from launcher.commands.common import (
    TEXT,
    Context,
    Namespace,
    Output,
    OutputFormat,
    Root,
    Run,
    print_data,
    size,
)
from launcher.commands.place import place_of
from launcher.wording import counted

if TYPE_CHECKING:
    from launcher.artifacts import Artifact
    from launcher.records.status import RunStatus


def delete(
    run: Run,
    root: Root = None,
    artifacts: Annotated[
        bool, typer.Option("--artifacts", help="Also remove the run's files for good; asks first.")
    ] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Cancel a run that has not ended first, which saves it.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    context: Context = None,
    namespace: Namespace = None,
    output: Output = TEXT,
) -> None:
    """Remove a run that has ended from the cluster; its files stay unless --artifacts is given.

    A run that has not ended is refused, unless --force cancels it first.

    Example: launcher delete demo-20260102-x7k2 --artifacts
    """
    from launcher.runs import verbs

    place = place_of(root, context, namespace)
    if artifacts and not yes:
        _ask(verbs.status(place, run), verbs.list_artifacts(place, run), force)
    done = verbs.delete(place, run, artifacts=artifacts, force=force)
    if output is not OutputFormat.text:
        print_data(done._asdict(), output)
        return
    if done.where:
        names = ", ".join(done.objects) or "nothing, as nothing was left there"
        typer.echo(f"removed from {done.where}: {names}")
    if artifacts:
        typer.echo(f"removed {counted(done.files, 'file')} ({size(done.bytes)}) from {done.folder}")
    elif not done.where:
        typer.echo(f"removed nothing: the run has only files, in {done.folder}; --artifacts removes them")


def _ask(now: "RunStatus", files: "list[Artifact]", force: bool) -> None:
    from launcher.errors import SpecError

    if now.live and not force:
        return  # it is refused anyway

    if not sys.stdin.isatty():
        raise SpecError("--artifacts: expected --yes too, as there is no terminal to ask on")
    total = size(sum(file.size for file in files))
    typer.confirm(f"Remove {counted(len(files), 'file')} ({total}) of run '{now.run}' for good?", abort=True)
