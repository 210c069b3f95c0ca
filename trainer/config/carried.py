"""The resolved configuration that travels with a run to processes which may be of another revision.

A preset's name and its overrides mean what the presets of whoever reads them say. So the launcher sends with
them what they mean to it, whole, and says which values are not the schema's defaults: a trainer that lacks a
key takes the rest if the key only had its default, and refuses the run if somebody asked for it.
"""

import json
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from trainer import __version__
from trainer.config.resolve import difference, flatten, resolve, unknown_keys, validate
from trainer.config.schema import RunConfig
from trainer.errors import ConfigError

VARIABLE = "GANTRY_CONFIG"
"""Variable of a trainer's environment that holds it; an older trainer does not look at it."""
_SHOWN = 3  # values that a line names


class Received(NamedTuple):
    """A configuration as a process came by it."""

    config: RunConfig
    notes: tuple[str, ...]
    """What a person should know of it, a line each."""


def carry(config: RunConfig, preset: str, overrides: Iterable[str]) -> str:
    """The variable's value for a run that was asked for by a preset's name and overrides, as JSON."""
    values = config.model_dump(mode="json")
    defaults = _defaults(config)
    chosen = sorted(key for key, value in flatten(values).items() if defaults.get(key, _chosen) != value)
    about = {"version": __version__, "preset": preset, "overrides": list(overrides)}
    return json.dumps({**about, "config": values, "chosen": chosen}, separators=(",", ":"))


_chosen = object()  # is no default


def _defaults(config: RunConfig) -> dict[str, Any]:
    """The schema's defaults, of the network that a configuration has."""
    bare = RunConfig.model_construct(
        network=type(config.network)(name=config.network.name)
    )  # which need not be valid together
    return flatten(bare.model_dump(mode="json"))


def receive(preset: str, overrides: Iterable[str], environ: Mapping[str, str]) -> Received:
    """The configuration of a preset and overrides, as the variable says they were meant.

    Without the variable, or where somebody has changed the arguments since, they mean what they mean here.

    Raises:
        ConfigError: the variable is damaged or asks for what this trainer does not know, or `resolve` raises.
    """
    overrides = tuple(overrides)
    text = environ.get(VARIABLE)
    if not text:
        return Received(resolve(preset, overrides), ())
    sent = _parsed(text)
    if (sent["preset"], tuple(sent["overrides"])) != (preset, overrides):
        note = (
            f"warning: --preset and --set are not those that {VARIABLE} was made of: they count, and mean "
            f"what trainer {__version__} knows of them"
        )
        return Received(resolve(preset, overrides), (note,))
    values, lost = _known(sent)
    config = validate(values, VARIABLE)
    return Received(config, _notes(sent, config, lost))


def _parsed(text: str) -> dict[str, Any]:
    expected = {"version": str, "preset": str, "overrides": list, "config": dict, "chosen": list}
    try:
        sent: dict[str, Any] = json.loads(text)
        whole = all(isinstance(sent[key], kind) for key, kind in expected.items())
    except (ValueError, KeyError, TypeError):
        whole = False
    if not whole:
        raise ConfigError(f"{VARIABLE} is {text[:80]!r}: expected a configuration as `launcher` sends it")
    return sent


def _known(sent: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """The values without those of keys that this trainer lacks, and these keys.

    Raises:
        ConfigError: one of these was asked for.
    """
    values: dict[str, Any] = sent["config"]
    lost = unknown_keys(values)
    flat = flatten(values)
    for path in lost:
        key = ".".join(path)
        if asked := [name for name in sent["chosen"] if name == key or name.startswith(f"{key}.")]:
            raise ConfigError(
                f"{VARIABLE}: launcher {sent['version']} asks for {asked[0]}={flat[asked[0]]}, which trainer "
                f"{__version__} does not know: expected an image of {sent['version']}"
            )
        values = _without(values, path)
    return values, [".".join(path) for path in lost]


def _without(values: Mapping[str, Any], path: tuple[str, ...]) -> dict[str, Any]:
    first, *rest = path
    if not rest:
        return {key: value for key, value in values.items() if key != first}
    return {**values, first: _without(values[first], tuple(rest))}


def _notes(sent: Mapping[str, Any], config: RunConfig, lost: list[str]) -> tuple[str, ...]:
    who = f"launcher {sent['version']} and trainer {__version__}"
    notes = []
    if lost:
        notes.append(f"note: {who}: left out what the trainer lacks, at its default: {', '.join(lost)}")
    try:
        own = difference(resolve(sent["preset"], sent["overrides"]), config)
    except ConfigError as error:
        return (*notes, f"note: {who}: what the launcher sent counts, as the trainer's own says: {error}")
    if own:
        shown = [f"{key}={sent_value} (here {here})" for key, (here, sent_value) in own.items()]
        more = f" and {len(shown) - _SHOWN} more" if len(shown) > _SHOWN else ""
        text = ", ".join(shown[:_SHOWN]) + more
        notes.append(f"note: {who}: preset {sent['preset']} means what the launcher sent: {text}")
    return tuple(notes)
