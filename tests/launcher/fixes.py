"""Whether the commands that explain prints would be taken, by the launcher's own parser and checks."""

import dataclasses

import typer

from launcher.cli import app
from launcher.commands.options import RunFlags
from launcher.runs.recorded import laid_over
from launcher.spec import templates
from launcher.spec.settings import Layered, given, spec_from

# What a person would fill in, longest names first.
FILLED = {
    "NAME@PROJECT.iam.gserviceaccount.com": "trainer@project.iam.gserviceaccount.com",
    "NAME:TAG": "reg/gantry:2",
    "KEY=VALUE": "seed=3",
    "GANTRY_PEER_SECONDS=VALUE": "GANTRY_PEER_SECONDS=90",
    "steps=VALUE": "steps=90",
    "data.source=VALUE": "data.source=digits",
    "URL": "http://storage",
    "SIZE": "300Mi",
    "DIR": str(templates.folder()),
}
VERBS = {"apply", "create", "delete", "describe", "edit", "get", "label", "patch", "uncordon", "wait"}
PROGRAMS = {"launcher", "kubectl", "gcloud", "df", "findmnt", "sysctl", "ulimit"}


def filled(word):
    """A word of a command as a person would complete it."""
    for blank, value in FILLED.items():
        word = word.replace(blank, value)
    return word


def parse(words):
    """The name and parameters of the command that the words are; nothing runs."""
    command, rest, name = typer.main.get_command(app), list(words), "launcher"
    while hasattr(command, "commands"):
        assert rest and rest[0] in command.commands, f"{name} has no {rest[:1]}"
        name, *rest = rest
        command = command.commands[name]
    return name, command.make_context(name, rest).params


def check_fix(fix, spec=None):
    """Fail unless every command of a fix would be taken, a rerun with all that it changes of `spec`."""
    assert fix.commands and all(fix.commands)
    for program, *words in fix.commands:
        assert program in PROGRAMS, program
        words = [filled(word) for word in words]
        if program == "kubectl":
            rest = [
                word for at, word in enumerate(words) if word != "-n" and (at == 0 or words[at - 1] != "-n")
            ]
            assert rest[0] in VERBS, words
        if program != "launcher":
            continue
        name, values = parse(words)
        if name == "rerun" and spec:
            check_rerun(values, spec)


def check_rerun(values, spec):
    """The specification that a rerun comes to, which raises where one of its values is wrong."""
    named = {field.name: values[field.name] for field in dataclasses.fields(RunFlags)}
    said = RunFlags(**{name: value if value != () else None for name, value in named.items()}).of_run()
    changes = given(said, said.pop("file")).settings
    changes = {key: each for key, each in changes.items() if key != "root"}
    asked = {key: value for key, value in {"backend": "kubernetes", **spec}.items() if key != "name"}
    return spec_from(laid_over(asked, Layered(changes), "gs://runs/gan/gan/one", values["unset"] or ()))
