"""Nothing that a person can type, be told or leave with is without documentation."""

import ast
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from launcher.cli import app
from launcher.commands.panels import PANELS
from launcher.diagnosis.explain import causes
from launcher.reference import EXIT_CODES, MENDS, commands, examples, to_markdown

DOCS = Path("docs")
COMMANDS = commands()
REFERENCE = to_markdown()
EXAMPLES = [(each, line) for each in COMMANDS for line in examples(each.command.help or "")]


def test_the_reference_is_current():
    done = subprocess.run(
        [sys.executable, "-m", "launcher.reference"], capture_output=True, text=True, check=True
    )
    assert done.stdout == (DOCS / "cli.md").read_text(), f"docs/cli.md is not current: {MENDS}"


@pytest.mark.parametrize("each", COMMANDS, ids=lambda each: " ".join(each.words))
def test_every_command_is_explained(each):
    told = each.command.help or ""
    assert told.split(".")[0].strip()
    assert any(line.startswith(" ".join(each.words)) for line in examples(told)), "no Example: of its own"
    section = REFERENCE.split(f"\n## {' '.join(each.words)}\n")[1].split("\n## ")[0]
    for param in each.command.params:
        if param.name in ("install_completion", "show_completion"):
            continue
        assert param.help, f"{param.name} has no help"
        if param.param_type_name == "option" and param.name != "help":
            assert all(name in section for name in param.opts)


def test_every_command_has_its_panel_in_the_help_and_in_the_reference():
    shown = CliRunner().invoke(app, ["--help"], terminal_width=80).stdout.partition("\nRuns:\n")
    told = [line.split()[0] for line in ("Runs:\n" + shown[2]).splitlines() if line.strip()]
    words = [each.words[1] for each in COMMANDS if len(each.words) == 2]
    assert sorted(words) == sorted(COMMANDS[0].command.commands)  # none is left out
    assert [word for word in told if word in words] == words
    titles = [line[2:] for line in REFERENCE.splitlines() if line.startswith("# ")]
    assert titles == ["The command line", *PANELS]
    assert [line[:-1] for line in shown[2].splitlines() if line.endswith(":")] == list(PANELS[1:])


@pytest.mark.parametrize(
    ("each", "line"), EXAMPLES, ids=lambda value: value if isinstance(value, str) else ""
)
def test_every_example_is_a_command_line(each, line):
    words = shlex.split(line.partition(" | ")[0].partition(" > ")[0], comments=True)
    assert words.pop(0) == "launcher"
    command = COMMANDS[0].command
    while words and words[0] in getattr(command, "commands", {}):
        command = command.commands[words.pop(0)]
    command.make_context("launcher", words)  # raises for what the command does not take


def exit_codes():
    """Every number that the code names as an exit code, with where."""
    files = [*Path("launcher").rglob("*.py"), Path("trainer/errors.py"), Path("trainer/cli.py")]
    for file in files:
        for node in ast.walk(ast.parse(file.read_text())):
            for name, value in named(node):
                is_code = "EXIT" in name or name.endswith("exit_code")
                if is_code and isinstance(value, ast.Constant) and type(value.value) is int:
                    yield value.value, f"{file}:{node.lineno}"


def named(node):
    """What a node calls by a name, as pairs of name and value: assignments, and calls that leave."""
    if isinstance(node, ast.Assign):
        for target in node.targets:
            several = isinstance(target, ast.Tuple) and isinstance(node.value, ast.Tuple)
            pairs = zip(target.elts, node.value.elts, strict=True) if several else [(target, node.value)]
            yield from ((ast.unparse(name), value) for name, value in pairs)
    elif isinstance(node, ast.Call) and ast.unparse(node.func) in ("typer.Exit", "sys.exit"):
        yield from (("EXIT", value) for value in node.args[:1])


def test_every_exit_code_is_explained():
    found = dict(exit_codes())
    assert {0, 1, 2, 3, 4, 42, 130} <= found.keys()
    assert not {code: where for code, where in found.items() if code not in EXIT_CODES}
    assert EXIT_CODES.keys() <= found.keys()
    reference = (DOCS / "cli.md").read_text()
    assert all(f"| {code} | " in reference for code in found)


def test_every_cause_is_in_the_table_of_troubles():
    known = [*causes.CAUSES, *causes.SCHEDULE_CAUSES]
    assert len(known) > 20
    text = (DOCS / "troubleshooting.md").read_text()
    assert not [cause.key for cause in known if f"`{cause.key}`" not in text]
