"""A run in the foreground: follow it to its end, and turn Ctrl-C into a request to save and stop.

A terminal that closes takes its run with it in the same way, but nobody waits for that any more.
"""

import signal
from collections.abc import Callable, Sequence
from types import FrameType, TracebackType
from typing import TYPE_CHECKING, Any, Self

import typer

from launcher.commands.common import OutputFormat, note, print_data
from launcher.commands.display import log_stream, make_display, write_lines

if TYPE_CHECKING:
    from launcher.backends.base import Started
    from launcher.records.follow import LogLine
    from launcher.runs.verbs import Outcome

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_ERROR = "error: "
_EXIT_HUNG_UP = 128 + signal.SIGHUP


class StopRequests:
    """Counts Ctrl-C and SIGTERM while it is entered, instead of letting them end the launcher.

    SIGHUP is told apart, and stays ignored where it was, as under nohup(1).
    """

    def __init__(self) -> None:
        self.count = 0
        self.hung_up = False
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        self._before = {
            number: signal.signal(number, self._note)
            for number in _SIGNALS
            if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN
        }
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _note(self, number: int, frame: FrameType | None) -> None:
        if number == signal.SIGHUP:
            self.hung_up = True
        else:
            self.count += 1


def run_in_foreground(start: "Callable[[], Started]", output: OutputFormat) -> None:
    """Start an attempt on this machine, show it to its end and leave with its exit code.

    Raises:
        UserError, RunFailed, RunInterrupted: it did not finish, although nobody stopped it.
        typer.Exit: somebody stopped it.
    """
    with StopRequests() as stops:  # before the start: a Ctrl-C while workers start must reach them
        started = start()
        try:
            errors = _show(started, output, stops)
        except OSError:  # what was shown had nowhere to go any more
            if not stops.hung_up:
                raise
        if stops.hung_up:
            _leave_behind(started)
    _end(started, output, errors)


def watch(started: "Started", output: OutputFormat) -> None:
    """Show an attempt in the cluster to its end and leave with its exit code; Ctrl-C leaves it running.

    Raises:
        UserError, RunFailed, RunInterrupted: it did not finish.
    """
    from launcher.spec.next_commands import command_line

    try:
        _show(started, output)
    except KeyboardInterrupt:
        note(f"the run goes on; stop it with `{command_line('cancel', started.path)}`")
        raise
    _end(started, output)


def _show(started: "Started", output: OutputFormat, stops: StopRequests | None = None) -> "list[LogLine]":
    """Show an attempt to its end, but for the errors with which workers of this machine end.

    These are returned: the outcome says one of them, and nothing is to be said twice.
    """
    from launcher.runs import verbs

    told, path = 0, started.path
    errors: list[LogLine] = []
    where = (path.root, f"{path.experiment}/{path.name}")
    with make_display(log_stream(output is not OutputFormat.text), path.name) as display:
        for update in verbs.follow(*where):
            if stops and stops.hung_up:
                return errors
            last = [line for line in update.lines if stops and line.text.startswith(_ERROR)]
            errors += last
            display.show(update._replace(lines=[line for line in update.lines if line not in last]))
            if stops and stops.count > told and update.status.live:
                told = stops.count
                verbs.request_stop(*where, kill=told > 1)
                note(
                    "killing the workers"
                    if told > 1
                    else "asking the workers to save and stop; Ctrl-C again kills them"
                )
    return errors


def _leave_behind(started: "Started") -> None:
    """The terminal is gone: ask the workers to save and stop, as Ctrl-C does, and leave."""
    from launcher.runs import verbs

    path = started.path
    verbs.request_stop(path.root, f"{path.experiment}/{path.name}", kill=False)
    raise typer.Exit(_EXIT_HUNG_UP)


def _end(started: "Started", output: OutputFormat, errors: "Sequence[LogLine]" = ()) -> None:
    from launcher.runs import verbs

    outcome = verbs.finish(started)
    unsaid = [line for line in errors if line.text.removeprefix(_ERROR).strip() not in outcome.text]
    write_lines(log_stream(output is not OutputFormat.text), unsaid)
    if output is not OutputFormat.text:
        print_data({**vars(outcome.status), "exit_code": outcome.exit_code}, output)
    _leave(outcome)


def _leave(outcome: "Outcome") -> None:
    """End the command with an outcome's exit code and its one line."""
    from launcher.errors import RunFailed, RunInterrupted
    from trainer.errors import EXIT_DONE, EXIT_RESTART, EXIT_USER, UserError

    if outcome.exit_code == EXIT_DONE or outcome.status.state == "stopped":
        note(outcome.text)
        raise typer.Exit(outcome.exit_code)
    if outcome.exit_code == EXIT_USER:
        raise UserError(outcome.text)
    raise (RunInterrupted if outcome.exit_code == EXIT_RESTART else RunFailed)(outcome.text)


def report_detached(started: "Started", output: OutputFormat) -> None:
    """Say how a run that goes on by itself is found again."""
    from launcher.runs import verbs
    from launcher.spec.next_commands import command_line

    path = started.path
    if output is not OutputFormat.text:
        print_data(verbs.status(path.root, f"{path.experiment}/{path.name}"), output)
        return
    typer.echo(path.name)
    note(
        f"follow it with `{command_line('logs', path, '--follow')}`, "
        f"stop it with `{command_line('cancel', path)}`"
    )
