"""What the commands share: their options, and how data is printed."""

import dataclasses
import json
import re
import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from launcher.commands.completion import complete_run
from launcher.spec import durations
from trainer import __version__
from trainer.environment import surroundings
from trainer.environment.paths import expanded

if TYPE_CHECKING:
    from rich.console import Console

    from launcher.spec.runspec import RunSpec

_WIDE = 200  # columns of a table that no terminal limits


class OutputFormat(StrEnum):
    """How a command reports."""

    text = "text"
    json = "json"
    yaml = "yaml"


def complete_context(incomplete: str) -> list[str]:
    """Contexts of the kubeconfig, for the shell's completion."""
    from launcher.spec.kubeconfig import context_names

    return [name for name in context_names() if name.startswith(incomplete)]


def at_home(path: Path | None) -> Path | None:
    """A path of the command line with ``~`` replaced, which no shell does in ``--out=~/x``."""
    return Path(expanded(str(path))) if path is not None else None


# Options that may come from a settings' file as well have no default here: `launcher.spec.settings` knows it.
Root = Annotated[
    str | None,
    typer.Option(
        "--root",
        metavar="ROOT",
        help="Folder or gs://bucket/prefix that holds all runs; else $GANTRY_ROOT, gantry.yaml, or runs.",
        show_default=False,
        callback=lambda text: text and expanded(text, "--root"),
    ),
]
Context = Annotated[
    str | None,
    typer.Option(
        "--context",
        metavar="NAME",
        help="Context of the kubeconfig; the current one by default.",
        show_default=False,
        autocompletion=complete_context,
    ),
]
Namespace = Annotated[
    str | None,
    typer.Option(
        "--namespace",
        "-n",
        metavar="NAME",
        help="Namespace of the cluster; the context's by default.",
        show_default=False,
    ),
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print the result alone, and no notes.")]
Run = Annotated[
    str,
    typer.Argument(
        metavar="RUN",
        help="Name of the run, or experiment/name; latest is the one that was begun last.",
        show_default=False,
        autocompletion=complete_run,
    ),
]
Runs = Annotated[
    list[str],
    typer.Argument(
        metavar="RUN",
        help="Names of runs, or experiment/name; latest is the one that was begun last.",
        show_default=False,
        autocompletion=complete_run,
    ),
]
Output = Annotated[
    OutputFormat,
    typer.Option("--output", "-o", help="text for people, json or yaml for programs.", show_default=True),
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
Replace = Annotated[
    bool,
    typer.Option(
        "--replace",
        help="Where the run is under way, save and stop it first, as cancel does, but only when what is to "
        "follow it would be accepted.",
    ),
]
Follow = Annotated[
    bool, typer.Option("--follow", "-f", help="Go on until the run ends; Ctrl-C leaves it running.")
]
Worker = Annotated[int | None, typer.Option("--worker", min=0, help="One worker only; 0 is the chief.")]
Tail = Annotated[int | None, typer.Option("--tail", min=0, help="Only that many last lines of each.")]
Only = Annotated[
    str | None,
    typer.Option(
        "--only",
        metavar="KINDS",
        help="Kinds of files, separated by commas: samples,export,metrics,run.json…",
    ),
]

TEXT = OutputFormat.text


def print_json(data: Any) -> None:
    """Write dataclasses, or lists of them, to stdout as JSON."""
    sys.stdout.write(_json(data) + "\n")


def print_data(data: Any, output: OutputFormat) -> None:
    """Write dataclasses, or lists of them, to stdout as JSON, or as the same in YAML."""
    if output is not OutputFormat.yaml:
        print_json(data)
        return
    import yaml

    yaml.safe_dump(json.loads(_json(data)), sys.stdout, sort_keys=False, allow_unicode=True)


def _json(data: Any) -> str:
    return json.dumps(data, indent=2, default=_plain)


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


def note_about(spec: "RunSpec") -> None:
    """Tell of an image of another version, and of variables that count although the trainer has a rule."""
    if (other := _other_version(spec.image or "")) is not None:
        note(
            f"note: image {spec.image} is of version {other} and this launcher of {__version__}: its "
            "trainers take the values that are resolved here, and refuse a run for one that they do not know"
        )
    for rule in surroundings.rules([*spec.env, *spec.env_secrets]):
        note(f"note: {surroundings.told(rule, spec.env.get(rule.name))}")


def _other_version(image: str) -> str | None:
    """The version that the tag of an image of ours names, if that is not this launcher's."""
    found = re.search(r"(?:^|/)gantry(?:-gpu)?:v?(\d+\.\d+\.\d+)(?![.\d])", image)
    return found[1] if found and found[1] != __version__ else None


def kinds(only: str | None) -> list[str]:
    """The value of ``--only`` as a list; ``samples/`` counts as ``samples``."""
    return [kind.strip().rstrip("/") for kind in (only or "").split(",") if kind.strip()]


def whole_seconds(text: str) -> int:
    """The value of a flag that takes a span of time.

    Raises:
        typer.BadParameter: it is none, or none of whole seconds.
    """
    try:
        return int(durations.read(str(text)))
    except ValueError as error:
        raise typer.BadParameter(f"{text!r}: {error}") from None


def ago(seconds: float | None) -> str:
    """How long ago something was, ``8 s ago``; None is said to be unknown, which a wrong age would not be."""
    return "at a time that is not known" if seconds is None else f"{durations.spoken(seconds)} ago"


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
