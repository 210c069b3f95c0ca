"""``launcher doctor``: whether everything that runs need is there."""

import signal
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from launcher.commands.common import TEXT, Output, OutputFormat, console, note, print_data, whole_seconds
from launcher.commands.options import RunFlags, with_run_flags

if TYPE_CHECKING:
    from launcher.diagnosis.doctor import Report

_COLOURS = {"ok": "green", "warn": "yellow", "fail": "red"}
EXIT_WELL, EXIT_NOT_WELL = 0, 1


@with_run_flags
def doctor(
    flags: RunFlags,
    deep: Annotated[
        bool,
        typer.Option(
            "--deep", help="Start two throwaway pods too: image, names, network, bucket from there."
        ),
    ] = False,
    timeout: Annotated[
        int,
        typer.Option(
            "--timeout", metavar="TIME", parser=whole_seconds, help="How long to wait for these pods."
        ),
    ] = 300,
    output: Output = TEXT,
) -> None:
    """Look whether everything that runs need is there, and say how to mend what is not.

    This machine, the place where runs are kept, and the cluster of the kubeconfig: version, permissions, the
    namespace and what it admits, quota, GPUs, nodes, clocks. Flags of submit say what a run would be; none is
    needed. Leaves with 0 when nothing fails, 1 otherwise. Nothing is left of what it tries.

    Example: launcher doctor

    Example: launcher doctor --image REGISTRY/gantry:0.1.0 --root gs://bucket/gan --workers 4 --gpus 1 --deep
    """
    from launcher.diagnosis.doctor import examine, subject_of
    from launcher.errors import SpecError

    if timeout < 1:
        raise SpecError(f"--timeout {timeout}: expected at least 1 s")
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)  # the pods must go then, too
    try:
        report = examine(subject_of(flags.settings()), deep=deep, seconds=timeout, tell=note)
    finally:
        signal.signal(signal.SIGTERM, before)
    if output is OutputFormat.text:
        _write(report)
    else:
        print_data(report, output)
    raise typer.Exit(EXIT_NOT_WELL if report.fail else EXIT_WELL)


def _write(report: "Report") -> None:
    from rich.text import Text

    screen = console()
    wide = max(len(each.check) for each in report.checks)
    for each in report.checks:
        word = (f"{each.level:<4}", _COLOURS[each.level] if sys.stdout.isatty() else "")
        screen.print(Text.assemble(word, f"  {each.check:<{wide}}  {each.text}"), soft_wrap=True)
        if each.fix:
            screen.print(Text(f"{'':<{wide + 8}}fix: {each.fix}"), soft_wrap=True)
    screen.print(Text(f"{report.ok} ok, {report.warn} warn, {report.fail} fail"))
