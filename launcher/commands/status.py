"""``launcher status``: where one run stands, once or redrawn until it ends."""

import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated

import typer

from launcher.commands.common import (
    TEXT,
    Context,
    Namespace,
    Output,
    OutputFormat,
    Root,
    ago,
    number,
    print_data,
)
from launcher.commands.completion import complete_run
from launcher.commands.place import place_of
from launcher.spec.durations import spoken
from trainer.run.layout import LATEST

if TYPE_CHECKING:
    from launcher.records.status import RunStatus, WorkerStatus
    from launcher.runs.find import Place

_SHOWN_WORKERS = 8  # more than fit a screen are summed up; -o json has all


def status(
    run: Annotated[
        str,
        typer.Argument(
            metavar="RUN",
            help="Name of the run, or experiment/name; the one that was begun last by default.",
            show_default=False,
            autocompletion=complete_run,
        ),
    ] = LATEST,
    root: Root = None,
    watch: Annotated[
        bool, typer.Option("--watch", "-w", help="Redraw until the run ends; Ctrl-C leaves it running.")
    ] = False,
    context: Context = None,
    namespace: Namespace = None,
    output: Output = TEXT,
) -> None:
    """Say where a run stands.

    State, step, speed, losses, last checkpoint, workers, and the command that goes on with it. Asks the
    cluster and the run's folder; when the cluster has forgotten the run, the folder alone.

    Example: launcher status

    Example: launcher status demo-20260102-x7k2 --watch
    """
    from launcher.runs import verbs

    place = place_of(root, context, namespace)
    if watch:
        _watch((_explained(place, now) for now in verbs.watch(place, run)), output)
    elif output is OutputFormat.text:
        sys.stdout.write(
            "".join(f"{line}\n" for line in describe(_explained(place, verbs.status(place, run))))
        )
    else:
        print_data(_explained(place, verbs.status(place, run)), output)


def _explained(place: "Place", now: "RunStatus") -> "RunStatus":
    """The same with the cause, as `launcher explain` finds it, of a run that failed."""
    from launcher.records.states import COLLAPSED, FAILED, INTERRUPTED

    if now.state not in (FAILED, COLLAPSED, INTERRUPTED):
        return now
    from launcher.diagnosis.explain import explained

    return explained(place, now)


def _watch(states: "Iterable[RunStatus]", output: OutputFormat) -> None:
    """Redraw on a terminal; elsewhere write what changed, one JSON document for each change if asked to."""
    from launcher.errors import SpecError

    if output not in (TEXT, OutputFormat.json):
        raise SpecError(f"--output {output.value}: expected text or json with --watch")
    if output is TEXT and sys.stdout.isatty():
        _redraw(states)
        return
    told: object = None
    for now in states:
        news = (now.state, now.explanation, now.step, now.workers, bool(now.storage), now.conditions)
        if news == told:
            continue
        told = news
        if output is TEXT:
            sys.stdout.write("".join(f"{line}\n" for line in describe(now)))
        else:
            print_data(now, output)
        sys.stdout.flush()


def _redraw(states: "Iterable[RunStatus]") -> None:
    from rich.live import Live
    from rich.text import Text

    with Live(auto_refresh=False) as live:
        for now in states:
            live.update(Text("\n".join(describe(now))), refresh=True)


def describe(now: "RunStatus") -> list[str]:
    """A run in a few lines."""
    from launcher.looking.evaluated import figure_text, figures_of
    from launcher.runs import verbs
    from launcher.runs.sorting import FIGURES

    lines = [f"{now.experiment}/{now.run}: {now.state}" + (f", {now.explanation}" if now.explanation else "")]
    if now.step is not None:
        parts = [f"step {now.step} of {number(now.steps)}", f"{number(now.images_per_second)} images/s"]
        if now.eta_seconds is not None:
            parts.append(f"{spoken(now.eta_seconds)} left")
        lines.append("  " + ", ".join([*parts, f"written {ago(now.age_seconds)}"]))
    if losses := [
        f"{key} {value:.4g}"
        for key, value in now.metrics.items()
        if isinstance(value, int | float) and key not in FIGURES  # which stand below with their names
    ]:
        lines.append("  " + ", ".join(losses))
    if now.workers:
        lines += _workers(now)
    if now.checkpoint_step is not None:
        took = "" if now.checkpoint_seconds is None else f", in {now.checkpoint_seconds:.1f} s"
        lines.append(f"  saved at step {now.checkpoint_step}, {ago(now.checkpoint_age_seconds)}{took}")
    lines += [f"  {word} {figure_text(found)}" for word, found in figures_of(now)]
    if now.storage:
        lines.append(f"  storage {now.storage}")
    if now.rollbacks:
        lines.append(f"  went back to an earlier checkpoint {_times(now.rollbacks)}")
    if now.health:
        names = f" ({', '.join(now.conditions)})" if now.conditions else ""
        lines.append(f"  warning: {now.health}{names}")
    if now.resumable:
        lines.append("  " + verbs.way_on(now))
    return lines


def _workers(now: "RunStatus") -> list[str]:
    if now.job is None:
        return [f"  attempt {now.attempt}: " + ", ".join(_process(worker) for worker in now.workers)]
    news = f", restarted {_times(now.trainer_restarts)}" if now.trainer_restarts else ""
    news += f", pods replaced {_times(now.restarts)}" if now.restarts else ""
    ready = f"{now.ready} of {number(now.world_size)} workers ready"
    where = f"  attempt {now.attempt}, job {now.job}: {ready}{news}"
    # Those in trouble first: with 1,000 workers they are what one looks for.
    shown = sorted(now.workers, key=lambda worker: (worker.alive and not worker.reason, worker.worker))
    lines = [where, *(f"    {_pod(worker)}" for worker in shown[:_SHOWN_WORKERS])]
    if len(shown) > _SHOWN_WORKERS:
        lines.append(f"    and {len(shown) - _SHOWN_WORKERS} more")
    return lines


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"


def _process(worker: "WorkerStatus") -> str:
    from launcher.wording import ending

    how = f"process {worker.pid}" if worker.alive else ending(worker.exit_code)
    return f"worker {worker.worker} {how}"


def _pod(worker: "WorkerStatus") -> str:
    how = "ready" if worker.alive else "not ready"
    if worker.exit_code is not None:
        how = f"ended with exit code {worker.exit_code}"
    text = f"worker {worker.worker} {how}" + (f", {worker.reason}" if worker.reason else "")
    text += f", kept by {', '.join(worker.held_by)}" if worker.held_by else ""
    text += f", on {worker.node}" if worker.node else ""
    return text + (f", replaced {_times(worker.restarts)}" if worker.restarts else "")
