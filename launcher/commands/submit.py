"""``launcher submit``: start a new run."""

import sys
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from launcher.commands.common import TEXT, Detach, Output, OutputFormat, Quiet, print_data
from launcher.commands.following import report_detached, run_in_foreground, watch
from launcher.commands.options import RunFlags, with_run_flags

if TYPE_CHECKING:
    from launcher.backends.base import Started
    from launcher.spec import RunSpec


class DryRun(StrEnum):
    """How far a run is taken that shall not start."""

    client = "client"
    server = "server"


@with_run_flags
def submit(
    flags: RunFlags,
    detach: Detach = False,
    follow: Annotated[
        bool,
        typer.Option("--watch", help="On Kubernetes: follow the run to its end; Ctrl-C leaves it running."),
    ] = False,
    dry_run: Annotated[
        DryRun | None,
        typer.Option(
            "--dry-run",
            help="On Kubernetes: client prints what would be sent, server asks the cluster as well.",
            show_default=False,
        ),
    ] = None,
    estimate: Annotated[
        bool,
        typer.Option("--estimate", help="Say what the run would take and whether it fits; nothing is sent."),
    ] = False,
    quiet: Quiet = False,
    output: Output = TEXT,
) -> None:
    """Start a new run: on this machine, or on Kubernetes if it has an image or its root is a bucket.

    A local run is followed to its end, and Ctrl-C lets its workers save and stop. A run on Kubernetes goes on
    by itself, unless --watch follows it. Who follows leaves with 0 when the run is finished, 42 when it was
    stopped or cut off and can be resumed, 2 when it was refused and 1 when it failed.

    Example: launcher submit --preset demo --workers 2 --set steps=2000

    Example: launcher submit -f run.yaml --image REGISTRY/gantry:0.1.0 --root gs://bucket/gan --watch

    Example: launcher submit -f run.yaml --workers 8 --estimate
    """
    spec = flags.spec()
    if estimate:
        _estimate(spec, output)
    elif spec.backend == "kubernetes":
        _submit_to_cluster(spec, dry_run, output, follow=follow and not detach, quiet=quiet)
    elif dry_run is not None:
        from launcher.errors import SpecError

        raise SpecError(f"--dry-run {dry_run.value}: expected none, as backend is local and sends nothing")
    elif detach:
        from launcher import runs

        _report(runs.submit(spec), output, quiet=quiet)
    else:
        from launcher import runs

        run_in_foreground(lambda: runs.submit(spec), output)


def _submit_to_cluster(
    spec: "RunSpec", dry_run: DryRun | None, output: OutputFormat, *, follow: bool, quiet: bool
) -> None:
    from launcher.render import render, to_json, to_yaml

    manifests = render(spec)  # before the client is loaded: a mistake in k8s/ shows at once
    if dry_run is not None:
        if dry_run is DryRun.server:
            from launcher import runs

            runs.dry_run(spec)
        sys.stdout.write((to_json if output is OutputFormat.json else to_yaml)(manifests))
        return
    from launcher import runs

    started = runs.submit(spec)
    if follow:
        watch(started, output)
    else:
        _report(started, output, quiet=quiet)


def _report(started: "Started", output: OutputFormat, *, quiet: bool) -> None:
    if quiet and output is OutputFormat.text:
        typer.echo(started.path.name)
    else:
        report_detached(started, output)


def _estimate(spec: "RunSpec", output: OutputFormat) -> None:
    from launcher.estimate import estimate

    found = estimate(spec)
    if output is not OutputFormat.text:
        print_data(found, output)
        return
    from launcher.commands.estimated import estimate_lines

    sys.stdout.write("".join(f"{line}\n" for line in estimate_lines(found)))
