"""The page's progress line, and a bar when somebody watches a terminal."""

import sys
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from trainer.console.printing import say
from trainer.metrics import progress


def line(metrics: dict[str, Any], steps: int, eta_seconds: float | None) -> str:
    """``step/steps [D loss | D accuracy real/fake] [G loss]`` with speed, images so far and time left."""
    eta = "" if eta_seconds is None else f"  ETA {duration(eta_seconds)}"
    return f"{metrics['step']}/{steps} {progress(metrics)}  {metrics['images']} images{eta}"


def duration(seconds: float) -> str:
    """Hours, minutes and seconds: 1:02:03."""
    minutes, second = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02d}:{second:02d}"


class ProgressPrinter:
    """Prints lines above a bar on a terminal, plain lines elsewhere; only the chief has one."""

    def __init__(self, steps: int, step: int) -> None:
        self._bar: Progress | None = None
        if sys.stdout.isatty():
            self._bar = Progress(
                TextColumn("training"),
                BarColumn(),
                MofNCompleteColumn(),
                TimeRemainingColumn(),
                console=Console(),
            )
            self._task = self._bar.add_task("", total=steps, completed=step)
            self._bar.start()

    def advance(self, step: int) -> None:
        """Move the bar."""
        if self._bar:
            self._bar.update(self._task, completed=step)

    def say(self, text: str) -> None:
        """Print one line."""
        if self._bar:
            self._bar.console.print(text, highlight=False, markup=False)
        else:
            say(text)

    def close(self) -> None:
        """Leave the terminal as it was."""
        if self._bar:
            self._bar.stop()
