"""``python -m trainer presets``, ``parts``, ``config`` and ``describe``: what a run would be, without one."""

import json
from enum import StrEnum
from typing import Annotated

import typer

from trainer import config as configuration
from trainer.environment.quiet import load_tensorflow
from trainer.errors import ConfigError
from trainer.parts import parts as every_part


class Format(StrEnum):
    """How to print."""

    YAML = "yaml"
    JSON = "json"
    TEXT = "text"


Preset = Annotated[str, typer.Option("--preset", help="Named configuration; 'trainer presets' lists them.")]
Overrides = Annotated[
    list[str] | None, typer.Option("--set", help="Override one value, such as optimizer.learning_rate=1e-4.")
]


def presets(
    output: Annotated[Format, typer.Option("-o", "--output", help="text or json.")] = Format.TEXT,
) -> None:
    """List the presets.

    Example: python -m trainer presets
    """
    found = {name: configuration.preset_description(name) for name in configuration.preset_names()}
    if output is Format.JSON:
        print(json.dumps(found, indent=2))
        return
    width = max(map(len, found))
    for name, description in found.items():
        print(f"{name:<{width}}  {description}")


def parts(
    output: Annotated[Format, typer.Option("-o", "--output", help="text or json.")] = Format.TEXT,
) -> None:
    """List the parts that a run can be made of, by group: losses, regularizers and so on, with their papers.

    Example: python -m trainer parts -o json
    """
    found = every_part()
    if output is Format.JSON:
        plain = {group: [part._asdict() for part in those] for group, those in found.items()}
        print(json.dumps(plain, indent=2))
        return
    width = max(len(part.name) for those in found.values() for part in those)
    for group, those in found.items():
        print(group)
        for part in those:
            print(f"  {part.name:<{width}}  {part.line}{f'; {part.paper}' if part.paper else ''}")


def config(
    preset: Preset,
    overrides: Overrides = None,
    output: Annotated[Format, typer.Option("-o", "--output", help="yaml or json.")] = Format.YAML,
) -> None:
    """Print the resolved configuration: everything that decides how a run ends.

    Example: python -m trainer config --preset mlp --set steps=500 -o json
    """
    resolved = configuration.resolve(preset, overrides or ())
    print(
        configuration.to_json(resolved) if output is Format.JSON else configuration.to_yaml(resolved).rstrip()
    )


def describe(
    preset: Preset,
    overrides: Overrides = None,
    replicas: Annotated[int, typer.Option(min=1, help="Replicas that share the global batch.")] = 1,
    output: Annotated[Format, typer.Option("-o", "--output", help="text or json.")] = Format.TEXT,
) -> None:
    """Print layers, shapes, parameters, FLOP for each image and memory for each replica.

    Example: python -m trainer describe --preset dcgan64 --replicas 4
    """
    resolved = configuration.resolve(preset, overrides or ())
    try:
        resolved.per_replica_batch(replicas)
    except ValueError as error:
        raise ConfigError(str(error)) from None
    load_tensorflow()
    from trainer.networks import describe as description

    found = description.describe(resolved, replicas)
    if output is Format.TEXT:
        print(description.as_text(found))
    else:
        print(json.dumps(description.as_json(found), indent=2))
