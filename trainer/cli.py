"""The command line ``python -m trainer``: parses, calls, prints; one line and an exit code for an error."""

import os
import sys
from contextlib import suppress
from typing import Annotated, Any

import typer

from trainer import config as configuration
from trainer.config_cli import Overrides, Preset, config, describe, parts, presets
from trainer.console.printing import say
from trainer.data_cli import app as data_app
from trainer.environment import scratch, surroundings
from trainer.environment.paths import expanded
from trainer.environment.quiet import find_tensorflow, load_tensorflow
from trainer.environment.stop_signals import Ended, end
from trainer.errors import EXIT_DONE, EXIT_FAILED, EXIT_USER, GantryError
from trainer.evaluation_cli import evaluate, features_app
from trainer.run import layout
from trainer.sampling_cli import export, project, sample
from trainer.storage.limits import told as exhausted

# typer brings a click of its own in newer versions, so the base of its errors is found by its name.
_UsageError: type[Exception] = next(
    kind for kind in typer.BadParameter.__mro__ if kind.__name__ == "ClickException"
)

app = typer.Typer(
    name="trainer",
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.add_typer(data_app, name="data")
app.add_typer(features_app, name="features")
for command in (presets, parts, config, describe, evaluate, sample, project, export):
    app.command()(command)


@app.callback(invoke_without_command=True)
def about(context: typer.Context) -> None:
    """Train a GAN with TensorFlow: one process for each worker, resumed exactly wherever it was stopped."""
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


Root = Annotated[
    str,
    typer.Option(
        envvar="GANTRY_ROOT",
        help="Folder or gs://bucket/prefix that holds all runs.",
        callback=lambda text: text and expanded(text, "root"),
    ),
]
Experiment = Annotated[str, typer.Option(help="Name of the group of runs.")]
Run = Annotated[str, typer.Option(help="Name of the run; one that exists is resumed.")]
Threads = Annotated[int | None, typer.Option(min=1, help="Threads of this process; all cores if left out.")]
Schedule = Annotated[
    str | None,
    typer.Option("--schedule", metavar="NAME", help="Schedule that started the run, for run.json."),
]
AcceptChangedData = Annotated[
    bool,
    typer.Option(
        "--accept-changed-data",
        help="Go on with data that is not what the run began with; run.json and data.json say so.",
    ),
]


@app.command()
def train(
    preset: Preset,
    root: Root,
    experiment: Experiment,
    run: Run,
    overrides: Overrides = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Refuse a run that exists.")] = False,
    threads: Threads = None,
    schedule: Schedule = None,
    scheduled: Annotated[
        str | None,
        typer.Option("--scheduled", metavar="TIME", help="For when it did, as ISO time, for run.json."),
    ] = None,
    accept_changed_data: AcceptChangedData = False,
) -> None:
    """Train a run, or go on with it where it was stopped. Peers are found in TF_CONFIG.

    Exit codes: 0 done, 2 your mistake (nothing was written) or a run whose folder was emptied, 42 stopped,
    lost a peer or storage (start it again and it goes on), 3 the game of the networks is over and
    health.on_collapse has it stop then, 1 anything else.

    Example: python -m trainer train --preset mlp --root runs --experiment digits --run first
    """
    from trainer.environment import supervision, tf_config
    from trainer.training.abort import Abort, listen_to_supervisor
    from trainer.training.stopping import StopFlag

    received = configuration.receive(preset, overrides or (), os.environ)
    path = layout.run_path(root, experiment, run)
    cluster = tf_config.from_environment(os.environ)
    told, abort = supervision.from_environment(os.environ), Abort()
    stop = StopFlag(abort)
    if told.supervised:  # before the seconds that TensorFlow takes to load
        listen_to_supervisor(abort)
    if cluster.is_chief:
        for line in (*received.notes, *surroundings.typed_lines(os.environ)):
            say(line)
    found = surroundings.recorded(os.environ, threads)  # before libraries add variables of their own
    from trainer.training.opening import Options, open_run

    given = tuple(overrides or ())
    options = Options(
        path, preset, given, fresh, threads, told, schedule, scheduled, accept_changed_data, found
    )
    find_tensorflow()
    stop.doing("it looked at the run and its data")
    opening = open_run(received.config, options, cluster)  # before the seconds that TensorFlow takes to load
    stop.doing("TensorFlow was imported")
    load_tensorflow()
    from trainer.training import train as training

    leave(training.train(received.config, options, cluster, abort, stop, opening))


@app.command()
def worker(
    preset: Preset,
    root: Root,
    experiment: Experiment,
    run: Annotated[
        str | None, typer.Option(help="Name of the run; one that exists is resumed.", show_default=False)
    ] = None,
    overrides: Overrides = None,
    threads: Threads = None,
    schedule: Annotated[
        str | None,
        typer.Option(
            "--schedule",
            metavar="NAME",
            help="Be a firing of this schedule. Without --run, the Job tells the run: NAME-<date>-<time> in "
            "UTC where GANTRY_JOB is NAME-<minutes since 1970>, else NAME-<job>-<8 characters> by "
            "GANTRY_JOB_UID too.",
        ),
    ] = None,
    accept_changed_data: AcceptChangedData = False,
) -> None:
    """Be one pod of an Indexed Job: meet the other workers' pods and train with them, as often as need be.

    A trainer that dies or loses a peer is started again in the same pod. Who the pod is stands in
    JOB_COMPLETION_INDEX, GANTRY_JOB, GANTRY_SERVICE, GANTRY_WORKERS, GANTRY_PORT, GANTRY_ATTEMPT and
    GANTRY_POD. Its log is copied to the run's folder. Exit codes are those of train, and 0 when the attempt
    was cancelled or the run has fewer workers.

    Example: python -m trainer worker --preset mlp --root gs://bucket/gan --experiment digits --run first
    """
    from trainer.pod import scheduled_run, termination
    from trainer.pod import worker as pod

    with termination.explained(os.environ):
        fired = scheduled_run.identify(run, schedule, os.environ)
        arguments = ["--preset", preset, "--root", root, "--experiment", experiment, *fired.arguments()]
        for override in overrides or ():
            arguments += ["--set", override]
        if threads is not None:
            arguments += ["--threads", str(threads)]
        if accept_changed_data:
            arguments.append("--accept-changed-data")
        resolved = configuration.receive(preset, overrides or (), os.environ).config
        path = layout.run_path(root, experiment, fired.run)
        code = pod.work(path, resolved, arguments, os.environ)
    leave(code)


def main() -> None:
    """Run the command line; whatever is wrong becomes one line on stderr and an exit code."""
    surroundings.settle()
    try:
        surroundings.check_folder()
        code = app(standalone_mode=False) or EXIT_DONE
    except GantryError as error:
        code = _refuse(str(error), error.exit_code)
    except _UsageError as error:
        code = _refuse(error.format_message(), EXIT_USER)  # type: ignore[attr-defined]
    except Ended:
        end()
    except Exception as error:
        code = _last_catch(error)
    leave(code)


def _last_catch(error: Exception) -> int:
    """Say of what nobody expected that the machine had come to an end, if that is what it was."""
    if isinstance(error, OSError) and surroundings.output_failed(error):
        return _refuse(f"standard output cannot be written to: {error.strerror}", EXIT_FAILED)
    if (found := exhausted(error)) is None:
        raise error
    return _refuse(str(found), found.exit_code)


def _refuse(text: str, code: int) -> int:
    with suppress(OSError):  # the log may be on the disk that is full
        print(f"error: {' '.join(text.split())}", file=sys.stderr, flush=True)
    return code


def leave(code: int) -> Any:
    """End this process at once.

    A normal exit runs TensorFlow's destructors, which after a lost peer abort or end with code 0.
    """
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError):  # a full disk, say, that output goes to
            stream.flush()
    scratch.leave(code)
