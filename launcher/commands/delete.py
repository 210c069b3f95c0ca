"""``launcher delete``: remove a run's objects from the cluster and, asked twice, its files."""

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

if TYPE_CHECKING:
    from launcher.artifacts import Artifact


def delete(
    run: Run,
    root: Root = None,
    artifacts: Annotated[
        bool, typer.Option("--artifacts", help="Also remove the run's files for good; asks first.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    context: Context = None,
    namespace: Namespace = None,
    output: Output = TEXT,
) -> None:
    """Remove a run's objects from the cluster; its files stay unless --artifacts is given.

    Example: launcher delete demo-20260102-x7k2 --artifacts
    """
    from launcher import runs

    place = place_of(root, context, namespace)
    if artifacts and not yes:
        _ask(runs.status(place, run).run, runs.list_artifacts(place, run))
    done = runs.delete(place, run, artifacts=artifacts)
    if output is not OutputFormat.text:
        print_data(done._asdict(), output)
        return
    typer.echo(f"removed from the cluster: {', '.join(done.objects) or 'nothing, as nothing was left there'}")
    if artifacts:
        typer.echo(f"removed {done.files} files ({size(done.bytes)})")


def _ask(run: str, files: "list[Artifact]") -> None:
    from launcher.errors import SpecError

    if not sys.stdin.isatty():
        raise SpecError("--artifacts: expected --yes too, as there is no terminal to ask on")
    total = size(sum(file.size for file in files))
    typer.confirm(f"Remove the {len(files)} files ({total}) of run '{run}' for good?", abort=True)
