"""``python -m trainer presets``, ``parts``, ``config`` and ``describe``: what a run would be, without one."""

import json
from enum import StrEnum
from typing import Annotated

import typer

from trainer import config as configuration
from trainer.environment.quiet import load_tensorflow
from trainer.errors import ConfigError
from trainer.parts import HOW
from trainer.parts import parts as every_part
from trainer.presets import Cost, cost
from trainer.presets import presets as every_preset


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
    """List the presets, with what a run of each takes on 2 cores.

    Example: python -m trainer presets -o json
    """
    found = every_preset()
    if output is Format.JSON:
        print(json.dumps([{**each._asdict(), "cost": each.cost._asdict()} for each in found], indent=2))
        return
    wide, widest = (
        max(len(text) for text in texts) for texts in zip(*(each[:2] for each in found), strict=True)
    )
    for each in found:
        print(f"{each.name:<{wide}}  {each.description:<{widest}}  {_spent(each.cost)}")


def _spent(cost: Cost) -> str:
    how = "took" if cost.measured else "about"
    time = f"{cost.minutes:.2g} min" if cost.minutes < 99 else f"{cost.minutes / 60:.0f} h"
    return f"{how} {time} on {cost.cores} cores"


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
        told = f"  (--set {HOW[group]})" if group in HOW else "" if those else "  (none yet)"
        print(f"{group}{told}")
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
    """Print layers, parameters, FLOP, memory, how long a run takes on 2 cores, and what a rule proposes.

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
    spent, proposed = cost(preset, resolved), configuration.proposals(resolved)
    judging = configuration.price(resolved)
    if output is Format.TEXT:
        costs = [_duration(resolved, spent), *([_judging(judging)] if judging.evaluations else [])]
        print("\n".join([description.as_text(found), *costs, *map(_proposed, proposed)]))
        return
    run = {"steps": resolved.steps, **spent._asdict(), "seconds_per_1000_images": _pace(spent)}
    values = {key: value for each in proposed for key, value in each.values.items()}
    told = {**description.as_json(found), "run": run, "evaluation": judging._asdict(), "proposed": values}
    print(json.dumps(told, indent=2))


def _pace(cost: Cost) -> float:
    return round(60_000 * cost.minutes / cost.images, 3)


def _duration(config: configuration.RunConfig, cost: Cost) -> str:
    known = "as the preset's own run" if cost.measured else "estimated"
    return (
        f"a run: {cost.images:,} images in {config.steps:,} steps, {_pace(cost):.3g} s for 1,000 images, "
        f"{_spent(cost)} ({known})"
    )


def _judging(price: configuration.Price) -> str:
    return (
        f"evaluations: {price.evaluations}, about {price.seconds:.2g} s each in the features of "
        f"{price.features}, {100 * price.share:.2g} % of the time on 2 cores; "
        f"{price.every_steps} steps apart they would be 5 %"
    )


def _proposed(proposal: configuration.Proposal) -> str:
    return f"{proposal.part} is off; {proposal.rule} ({proposal.why}): {proposal.options}"
