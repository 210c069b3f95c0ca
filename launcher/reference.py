"""``docs/cli.md``: every command, argument, option, default, example and exit code, from the commands.

``python -m launcher.reference > docs/cli.md`` writes it; a test fails when it is not current.
"""

import inspect
import re
import sys
from collections.abc import Iterator
from itertools import groupby
from typing import Any, NamedTuple

import typer

from launcher.cli import app
from launcher.commands.panels import in_panels

MENDS = "python -m launcher.reference > docs/cli.md"
EXIT_CODES = {
    0: "Done. `diff` found no difference, what `explain` was asked about is well, what was waited for has "
    "finished.",
    1: "Failed: NaN, a full disk, a crash, a refusal by the cluster. `explain` and `doctor` found something "
    "wrong, `diff` found a difference, or a run that was waited for did not finish.",
    2: "Your mistake, in one line on stderr; nothing was written and nothing was sent.",
    3: "There is no such run, or no such schedule.",
    4: "`wait`: the time is up and the run goes on.",
    42: "Stopped or cut off: `launcher resume RUN` goes on from the last checkpoint.",
    129: "The terminal was closed.",
    130: "Ctrl-C ended the command.",
    143: "SIGTERM ended the command.",
}
_HIDDEN = frozenset({"install_completion", "show_completion", "help"})
_EXAMPLE = "Example:"

_BEGIN = f"""# The command line

<!-- Made by `{MENDS}`; edit the help of the commands instead. -->

`launcher --install-completion` teaches your shell the commands, their options, and the names of your runs and
schedules. Settings in `gantry.yaml` and their order are in [kubernetes.md](kubernetes.md).

Every command that reports has `-o json` and `-o yaml`, with the same fields as the functions of the library
([python.md](python.md)).
Results go to stdout, notes and errors to stderr.

## Exit codes

| code | |
|---|---|
"""


class Command(NamedTuple):
    """A command and the words that call it."""

    words: tuple[str, ...]
    command: Any
    """Click's own object; `typer` brings its own click in newer versions, so it has no name to write here."""

    panel: str = ""
    """Where ``--help`` shows it; the command `launcher` itself is in none."""


def commands() -> list[Command]:
    """Every command, groups before what they hold, in the order of ``--help``."""
    whole = typer.main.get_command(app)
    found = [Command(("launcher",), whole)]
    for panel, verbs in in_panels(whole):
        for name, verb in verbs.items():
            found += _visit(verb, ("launcher", name), panel)
    return [each for each in found if not each.command.hidden]


def _visit(command: Any, words: tuple[str, ...], panel: str) -> Iterator[Command]:
    yield Command(words, command, panel)
    for name, child in getattr(command, "commands", {}).items():
        yield from _visit(child, (*words, name), panel)


def examples(help: str) -> list[str]:
    """The lines of a help text that begin with ``Example:``, each joined with those that go on with it."""
    found: list[str] = []
    for paragraph in _paragraphs(help):
        if paragraph.startswith(_EXAMPLE):
            found += [" ".join(part.split()) for part in paragraph.split(_EXAMPLE) if part.strip()]
    return [text.replace(" \\ ", " ") for text in found]


def to_markdown() -> str:
    """The whole document."""
    codes = "".join(f"| {code} | {text} |\n" for code, text in EXIT_CODES.items())
    panels = [
        (f"\n# {panel}\n" if panel else "") + "".join(map(_section, of_panel))
        for panel, of_panel in groupby(commands(), key=lambda each: each.panel)
    ]
    return _BEGIN + codes + "".join(panels)


def _section(each: Command) -> str:
    help = inspect.cleandoc(each.command.help or "")
    prose = [" ".join(text.split()) for text in _paragraphs(help) if not text.startswith(_EXAMPLE)]
    context = each.command.make_context(each.words[-1], [], resilient_parsing=True)
    usage = " ".join([*each.words, *each.command.collect_usage_pieces(context)])
    parts = [f"## {' '.join(each.words)}", *map(_escape, prose), f"```\n{usage}\n```"]
    shown = [param for param in each.command.params if param.name not in _HIDDEN]
    for kind in ("argument", "option"):
        of_kind = (param for param in shown if param.param_type_name == kind)
        parts += _table(kind, [param.get_help_record(context) for param in of_kind])
    if given := examples(help):
        parts.append("```\n" + "\n".join(given) + "\n```")
    return "\n" + "\n\n".join(parts) + "\n"


def _table(kind: str, records: list[tuple[str, str]]) -> list[str]:
    if not records:
        return []
    # A bar ends a table's cell within code too.
    cells = ((names.replace("|", r"\|"), _escape(help)) for names, help in records)
    rows = [f"| `{names}` | {help} |" for names, help in cells]
    return ["\n".join([f"| {kind} | |", "|---|---|", *(" ".join(row.split()) for row in rows)])]


def _paragraphs(text: str) -> list[str]:
    return [part.strip() for part in re.split(r"\n\s*\n", inspect.cleandoc(text)) if part.strip()]


def _escape(text: str) -> str:
    return re.sub(r"([|<>*])", r"\\\1", text)


if __name__ == "__main__":
    sys.stdout.write(to_markdown())
