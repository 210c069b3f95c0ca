"""``launcher submit``: start a new run."""

import sys
from collections.abc import Callable
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from launcher.commands.common import TEXT, Detach, Output, OutputFormat, Quiet, note, print_data
from launcher.commands.following import report_detached, run_in_foreground, watch
from launcher.commands.options import RunFlags, with_run_flags

if TYPE_CHECKING:
    from launcher.backends.base import Started
    from launcher.spec.runspec import RunSpec

    Starting = Callable[[Callable[[], object]], Started]
    """Starts a run, and calls what it is given just before anything is written or sent."""


class DryRun(StrEnum):
    """How far a run is taken that shall not start."""

    client = "client"
    server = "server"


Watch = Annotated[
    bool,
    typer.Option(
        "--watch",
        help="On Kubernetes: follow the run to its end; Ctrl-C leaves it running. A local run is followed "
        "anyhow.",
    ),
]
DryRunOption = Annotated[
    DryRun | None,
    typer.Option(
        "--dry-run",
        help="Start nothing. On Kubernetes: client prints what would be sent, server asks the cluster as "
        "well. Here: the same as --estimate.",
        show_default=False,
    ),
]
Estimate = Annotated[
    bool, typer.Option("--estimate", help="Say what the run would take and whether it fits; nothing is sent.")
]


@with_run_flags
def submit(
    flags: RunFlags,
    detach: Detach = False,
    follow: Watch = False,
    dry_run: DryRunOption = None,
    estimate: Estimate = False,
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
    from launcher.errors import nothing_sent
    from launcher.runs import verbs

    with nothing_sent():
        spec = flags.spec()
    how = How(detach=detach, follow=follow, dry_run=dry_run, estimate=estimate, quiet=quiet, output=output)
    begin(spec, lambda ready: verbs.submit(spec, ready=ready), how)


class How(NamedTuple):
    """How a new run is begun and shown."""

    detach: bool
    follow: bool
    dry_run: DryRun | None
    estimate: bool
    quiet: bool
    output: OutputFormat


def begin(spec: "RunSpec", start: "Starting", how: How) -> None:
    """Start a new run with `start` and follow it, or say only what would be sent or what it would take.

    What its data is, is said before it is sent; the log of a run that is followed here says the same.

    Raises:
        UserError: it is refused.
    """
    from launcher.spec.kinds import is_here

    if how.follow and how.detach:
        from launcher.errors import SpecError

        raise SpecError("--watch: expected no --detach beside it, which leaves the run to itself")
    if how.estimate:
        _estimate(spec, how.output)
    elif how.dry_run is not None:
        _dry_run(spec, how.dry_run, how)
    elif not is_here(spec.backend):
        _begin_elsewhere(spec, start, how)
    elif how.detach:
        _report(start(_saying(spec, how)), how.output, quiet=how.quiet)
    else:
        _saying(spec, how)  # a mistake is refused before there is a process
        run_in_foreground(lambda: start(_nothing), how.output)


def _saying(spec: "RunSpec", how: How) -> "Callable[[], object]":
    """Look at the data; what then says what was found.

    Raises:
        DataError: the trainer would refuse it.
    """
    from launcher.runs.data_survey import data_lines

    lines = data_lines(spec)
    return _nothing if how.quiet or not lines else lambda: note("\n".join(lines))


def _nothing() -> None:
    """Say nothing."""


def _begin_elsewhere(spec: "RunSpec", start: "Starting", how: How) -> None:
    from launcher.errors import nothing_sent

    with nothing_sent():  # what was sent before a Ctrl-C, `start` has told
        started = start(_saying(spec, how))
    if how.follow:
        watch(started, how.output)
    else:
        _report(started, how.output, quiet=how.quiet)


def _dry_run(spec: "RunSpec", which: DryRun, how: How) -> None:
    from launcher.errors import SpecError, nothing_sent
    from launcher.render import render, to_json, to_yaml
    from launcher.spec.kinds import has_pods

    if not has_pods(spec.backend):
        if which is DryRun.server:
            raise SpecError(
                f"--dry-run server: expected client, as backend is {spec.backend} and sends no manifests"
            )
        _estimate(spec, how.output)
        return
    with nothing_sent():
        if which is DryRun.server:
            from launcher.runs import verbs

            manifests = verbs.dry_run(spec)
        else:
            manifests = render(spec)
    sys.stdout.write((to_json if how.output is OutputFormat.json else to_yaml)(manifests))
    if not how.quiet:
        note(_lasts(spec, manifests, ask=which is DryRun.server))


def _lasts(spec: "RunSpec", manifests: "list[dict[str, Any]]", *, ask: bool) -> str:
    """How long the run would take; its root is asked for others like it only with `ask`."""
    from launcher.commands.estimated import duration_text
    from launcher.diagnosis.duration import asked_cores, duration

    return duration_text(duration(spec, spec.config(), asked_cores(spec, manifests), ask=ask))


def _report(started: "Started", output: OutputFormat, *, quiet: bool) -> None:
    if quiet and output is OutputFormat.text:
        typer.echo(started.path.name)
    else:
        report_detached(started, output)


def _estimate(spec: "RunSpec", output: OutputFormat) -> None:
    from launcher.diagnosis.estimate import estimate

    found = estimate(spec)
    if output is not OutputFormat.text:
        print_data(found, output)
        return
    from launcher.commands.estimated import estimate_lines

    sys.stdout.write("".join(f"{line}\n" for line in estimate_lines(found)))
