"""``launcher status``: where one run stands."""

import sys
from typing import TYPE_CHECKING

from launcher.commands.common import ROOT, TEXT, Output, OutputFormat, Root, Run, duration, number, print_json

if TYPE_CHECKING:
    from launcher.status import RunStatus, WorkerStatus


def status(run: Run, root: Root = ROOT, output: Output = TEXT) -> None:
    """Say where a run stands.

    State, step, speed, losses, processes, and the command that goes on with it.

    Example: launcher status demo-20260102-x7k2 -o json
    """
    from launcher import runs

    found = runs.status(root, run)
    if output is OutputFormat.json:
        print_json(found)
    else:
        sys.stdout.write("".join(f"{line}\n" for line in describe(found)))


def describe(now: "RunStatus") -> list[str]:
    """A run in a few lines."""
    from launcher import runs

    lines = [f"{now.experiment}/{now.run}: {now.state}" + (f", {now.explanation}" if now.explanation else "")]
    if now.step is not None:
        parts = [f"step {now.step} of {number(now.steps)}", f"{number(now.images_per_second)} images/s"]
        if now.eta_seconds is not None:
            parts.append(f"{duration(now.eta_seconds)} left")
        lines.append("  " + ", ".join([*parts, f"written {duration(now.age_seconds)} ago"]))
    if losses := [
        f"{key} {value:.4g}" for key, value in now.metrics.items() if isinstance(value, int | float)
    ]:
        lines.append("  " + ", ".join(losses))
    if now.workers:
        lines.append(f"  attempt {now.attempt}: " + ", ".join(_worker(worker) for worker in now.workers))
    if now.live and now.checkpoint_step is not None:
        lines.append(f"  saved at step {now.checkpoint_step}")
    if now.resumable:
        lines.append("  " + runs.way_on(now))
    return lines


def _worker(worker: "WorkerStatus") -> str:
    from launcher.backends.processes import ending

    how = f"process {worker.pid}" if worker.alive else ending(worker.exit_code)
    return f"worker {worker.worker} {how}"
