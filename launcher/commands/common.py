"""What the commands share: their options, and how data is printed."""

import dataclasses
import json
import sys
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from launcher.hints import DEFAULT_ROOT, ROOT_VARIABLE

if TYPE_CHECKING:
    from rich.console import Console

_WIDE = 200  # columns of a table that no terminal limits


class OutputFormat(StrEnum):
    """How a command reports."""

    text = "text"
    json = "json"


Root = Annotated[
    str, typer.Option("--root", envvar=ROOT_VARIABLE, help="Folder that holds all runs.", show_default=True)
]
Run = Annotated[
    str, typer.Argument(metavar="RUN", help="Name of the run, or experiment/name.", show_default=False)
]
Output = Annotated[
    OutputFormat,
    typer.Option("--output", "-o", help="text for people, json for programs.", show_default=True),
]
Overrides = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Override a value of the preset; may be repeated."),
]
Threads = Annotated[
    int | None,
    typer.Option("--threads", help="Threads of each worker; an even share of the cores by default."),
]
Detach = Annotated[
    bool, typer.Option("--detach", "-d", help="Return at once and let the run go on by itself.")
]
Only = Annotated[
    str | None,
    typer.Option(
        "--only",
        metavar="KINDS",
        help="Kinds of files, separated by commas: samples,export,metrics,run.json…",
    ),
]

ROOT = DEFAULT_ROOT
TEXT = OutputFormat.text


def print_json(data: Any) -> None:
    """Write dataclasses, or lists of them, to stdout as JSON."""
    sys.stdout.write(json.dumps(data, indent=2, default=_plain) + "\n")


def _plain(data: Any) -> Any:
    if dataclasses.is_dataclass(data) and not isinstance(data, type):
        return dataclasses.asdict(data)
    raise TypeError(f"{type(data).__name__} has no JSON form")


def console() -> "Console":
    """A console for stdout that wraps at the terminal's width, or hardly ever when there is none."""
    from rich.console import Console  # 0.05 s, which JSON and --help need not pay

    return Console(highlight=False, width=None if sys.stdout.isatty() else _WIDE)


def note(text: str) -> None:
    """Tell a person something that is not the command's result."""
    sys.stderr.write(f"{text}\n")


def kinds(only: str | None) -> list[str]:
    """The value of ``--only`` as a list; ``samples/`` counts as ``samples``."""
    return [kind.strip().rstrip("/") for kind in (only or "").split(",") if kind.strip()]


def duration(seconds: float | None) -> str:
    """Seconds in a few characters: ``8 s``, ``5 min``, ``3 h``, ``2 d``; a dash for None."""
    if seconds is None:
        return "-"
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.0f} s"


def number(value: float | None) -> str:
    """A number without decimals, a dash for None."""
    return "-" if value is None else f"{value:.0f}"


def size(count: float) -> str:
    """Bytes in a few characters: ``12.3 MB``."""
    for unit in ("B", "kB", "MB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} GB"
