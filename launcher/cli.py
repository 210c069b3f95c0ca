"""The `launcher` command: one line on stderr and an exit code for everything that goes wrong.

Commands import what they need when they run, so that ``launcher --help`` stays quick.
"""

import os
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Annotated

import typer

from launcher import notes
from launcher.commands import artifacts, config, cron
from launcher.commands.cancel import cancel
from launcher.commands.compare import compare
from launcher.commands.delete import delete
from launcher.commands.diff import diff
from launcher.commands.doctor import doctor
from launcher.commands.evaluate import evaluate
from launcher.commands.explain import explain
from launcher.commands.list import list_
from launcher.commands.logs import logs
from launcher.commands.metrics import metrics
from launcher.commands.panels import BEFORE, FILES, LOOKING, RUNS, SCHEDULES, PanelGroup
from launcher.commands.reindex import reindex
from launcher.commands.render import render
from launcher.commands.report import report
from launcher.commands.rerun import rerun
from launcher.commands.resume import resume
from launcher.commands.sample import sample
from launcher.commands.samples import samples
from launcher.commands.show import show
from launcher.commands.status import status
from launcher.commands.submit import submit
from launcher.commands.sweep import sweep
from launcher.commands.tensorboard import tensorboard
from launcher.commands.wait import wait
from launcher.commands.watch import watch
from launcher.errors import EXIT_CTRL_C, Interrupted
from launcher.spec.next_commands import remember
from trainer.environment.surroundings import check_folder, output_failed, settle_streams
from trainer.errors import EXIT_FAILED, EXIT_USER, GantryError

# typer brings a click of its own in newer versions, so the base of its errors is found by its name.
_UsageError: type[Exception] = next(
    kind for kind in typer.BadParameter.__mro__ if kind.__name__ == "ClickException"
)

app = typer.Typer(
    name="launcher",
    cls=PanelGroup,
    rich_markup_mode=None,  # rich takes longer to import than the rest of --help
    pretty_exceptions_enable=False,
    add_completion=True,
)
_VERBS: dict[str, dict[str, Callable[..., None] | typer.Typer]] = {
    RUNS: {
        "submit": submit,
        "wait": wait,
        "cancel": cancel,
        "resume": resume,
        "rerun": rerun,
        "sweep": sweep,
        "delete": delete,
    },
    LOOKING: {
        "list": list_,
        "status": status,
        "explain": explain,
        "logs": logs,
        "watch": watch,
        "show": show,
        "metrics": metrics,
        "samples": samples,
        "sample": sample,
        "evaluate": evaluate,
        "compare": compare,
        "report": report,
        "tensorboard": tensorboard,
    },
    SCHEDULES: {"cron": cron.app},
    BEFORE: {"config": config.app, "render": render, "diff": diff, "doctor": doctor},
    FILES: {"artifacts": artifacts.app, "reindex": reindex},
}
for panel, verbs in _VERBS.items():
    for verb, does in verbs.items():
        if isinstance(does, typer.Typer):
            app.add_typer(does, name=verb, rich_help_panel=panel)
        else:
            app.command(verb, rich_help_panel=panel)(does)


@app.callback(invoke_without_command=True)
def about(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version and leave.")] = False,
) -> None:
    """Train GANs: start runs, follow them, stop and resume them, and bring their files home.

    Example: launcher submit --preset demo --workers 2
    """
    notes.to_stderr()
    if version:
        from importlib.metadata import version as installed_version

        typer.echo(installed_version("gantry"))
    elif context.invoked_subcommand is None:
        typer.echo(context.get_help())
    else:
        import trainer.storage.limits  # noqa: F401  before a limit on open files is met, see `_limit`


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and leave with its exit code."""
    settle_streams()
    try:
        check_folder()
        code = app(arguments, standalone_mode=False)
        sys.stdout.flush()
    except Interrupted as error:
        _leave_at_once()
        code = _refuse(str(error), error.exit_code)
    except GantryError as error:
        code = _refuse(str(error), error.exit_code)
    except _UsageError as error:
        code = _refuse(error.format_message(), EXIT_USER)  # type: ignore[attr-defined]
    except ModuleNotFoundError as error:
        if error.name != "psutil":
            raise
        code = _refuse("psutil is not installed: pip install 'gantry[launcher]'", EXIT_USER)
    except (KeyboardInterrupt, typer.Abort):
        _leave_at_once()
        code = EXIT_CTRL_C
    except BrokenPipeError:  # the reader has seen enough, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = EXIT_FAILED
    except OSError as error:
        if output_failed(error):
            code = _refuse(f"standard output cannot be written to: {error.strerror}", EXIT_FAILED)
        elif found := _limit(error):
            code = _refuse(str(found), found.exit_code)
        else:
            raise
    finally:
        remember()  # what was typed was for this command, and its process may be somebody's who goes on
    if sys.flags.inspect:  # a person's PYTHONINSPECT, for which Python would wait for somebody to type
        sys.stdout.flush()
        os._exit(code or 0)
    sys.exit(code or 0)


def _leave_at_once() -> None:
    """From now on another Ctrl-C ends this process, which is on its way out, without a word of Python's."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def _limit(error: OSError) -> GantryError | None:
    """The limit of the machine that an error tells of; imported late: it is a sixth of what --help takes."""
    from trainer.storage.limits import told

    return told(error)


def _refuse(text: str, code: int) -> int:
    with suppress(OSError):  # the disk that is full may be the one that it goes to
        sys.stderr.write(f"error: {' '.join(text.split())}\n")
    return code
