"""Showing a run as it goes: prefixed log lines, and below them a progress bar when there is a terminal."""

import sys
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TextIO

from launcher.commands.common import number
from launcher.spec.durations import spoken

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rich.text import Text

    from launcher.records.follow import LogLine
    from launcher.records.status import RunStatus
    from launcher.runs.verbs import Update

_COLOURS = ("cyan", "green", "yellow", "magenta", "blue", "red")


def log_text(line: "LogLine") -> str:
    """A line of a worker as it is shown."""
    return f"worker-{line.worker} | {line.text}"


def coloured(line: "LogLine") -> "Text":
    """The same with the worker's name in a colour of its own; what it wrote is text and not rich's markup."""
    from rich.text import Text

    return Text.assemble((f"worker-{line.worker} |", _COLOURS[line.worker % len(_COLOURS)]), f" {line.text}")


def write_lines(stream: TextIO, lines: "Iterable[LogLine]") -> None:
    """Write lines as they are shown, coloured where the stream is a terminal and NO_COLOR is unset."""
    if not stream.isatty():
        stream.writelines(f"{log_text(line)}\n" for line in lines)
        return
    from rich.console import Console

    console = Console(file=stream, highlight=False)
    for line in lines:
        console.print(coloured(line), soft_wrap=True)


class PlainDisplay:
    """Lines only: for files, pipes and continuous integration."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stream.flush()

    def show(self, update: "Update") -> None:
        """Write what is new."""
        for line in update.lines:
            self.write(log_text(line))
        self._stream.flush()

    def write(self, text: str) -> None:
        """Write one line."""
        self._stream.write(f"{text}\n")


class BarDisplay:
    """Lines that scroll above a progress bar at the bottom of the terminal."""

    def __init__(self, stream: TextIO, run: str) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

        self._progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[more]}", markup=False),
            console=Console(file=stream, highlight=False),
        )
        self._task = self._progress.add_task(run, total=None, more="")

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def show(self, update: "Update") -> None:
        """Print what is new above the bar and move the bar."""
        for line in update.lines:
            self._progress.console.print(coloured(line), soft_wrap=True)
        now = update.status
        fields: dict[str, Any] = {"more": _more(now)}
        self._progress.update(self._task, completed=now.step or 0, total=now.steps, **fields)

    def write(self, text: str) -> None:
        """Print one line above the bar; brackets in it are text and not rich's markup."""
        self._progress.console.print(text, markup=False, highlight=False, soft_wrap=True)


def make_display(stream: TextIO, run: str) -> PlainDisplay | BarDisplay:
    """The display that a stream can carry."""
    return BarDisplay(stream, run) if stream.isatty() else PlainDisplay(stream)


def log_stream(json: bool) -> TextIO:
    """Where log lines go: stdout, unless that is kept for a JSON result."""
    return sys.stderr if json else sys.stdout


def _more(now: "RunStatus") -> str:
    if now.step is None or now.state != "running":
        return now.state
    return f"{number(now.images_per_second)} images/s  ETA {spoken(now.eta_seconds)}"
