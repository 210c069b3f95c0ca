"""``launcher submit``: start a new run."""

from typing import Annotated

import typer

from launcher.commands.common import ROOT, TEXT, Detach, Output, Overrides, Root, Threads
from launcher.commands.following import report_detached, run_in_foreground
from launcher.hints import DEFAULT_EXPERIMENT


def submit(
    preset: Annotated[
        str, typer.Option("--preset", help="What to train; `python -m trainer presets` lists them.")
    ],
    backend: Annotated[
        str, typer.Option("--backend", help="Where to run; only local is there yet.")
    ] = "local",
    workers: Annotated[int, typer.Option("--workers", help="Worker processes that train together.")] = 1,
    root: Root = ROOT,
    experiment: Annotated[
        str, typer.Option("--experiment", help="Group of runs that belong together.")
    ] = DEFAULT_EXPERIMENT,
    name: Annotated[
        str | None, typer.Option("--name", help="Name of the run; made from preset and date when left out.")
    ] = None,
    overrides: Overrides = None,
    threads: Threads = None,
    detach: Detach = False,
    output: Output = TEXT,
) -> None:
    """Start a new run and follow it to its end.

    Ctrl-C lets the workers save and stop. Leaves with 0 when the run is finished, 42 when it was stopped or
    cut off and can be resumed, 2 when it was refused and 1 when it failed.

    Example: launcher submit --preset demo --workers 2 --set steps=2000
    """
    from launcher import runs
    from launcher.errors import Unsupported
    from launcher.spec import make_spec

    if backend != "local":
        raise Unsupported(f"--backend {backend}: expected local, the only one there is yet")
    spec = make_spec(
        preset,
        overrides or (),
        name,
        root=root,
        experiment=experiment,
        workers=workers,
        threads=threads,
    )
    if detach:
        report_detached(runs.submit(spec), output)
    else:
        run_in_foreground(lambda: runs.submit(spec), output)
