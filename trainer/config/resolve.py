"""From a preset's name and ``--set`` overrides to a checked `RunConfig`, and back to text.

A preset is a YAML file in ``presets/`` that holds a description, perhaps how long a run of it took, and only
what differs from the defaults.
"""

import json
import re
from collections.abc import Iterable, Mapping
from importlib import resources
from typing import Any, NamedTuple

import yaml
from pydantic import ValidationError

from trainer.config.mistakes import (
    first_error,
    is_kind,
    is_optional,
    is_text,
    is_whole,
    known_keys,
    nearest,
    optional_texts,
)
from trainer.config.schema import RunConfig
from trainer.config.sources import absolute
from trainer.errors import ConfigError

_MISSING = object()
# What changes no step's work: numbers that stay numbers, and what is done seldom. A part is off at 0, so of
# regularizers and averages each value counts.
_EFFORTLESS = (
    "steps", "seed", "recovery.", "warm_start.", "checkpoints.", "samples.", "metrics.", "data.source",
    "data.labels", "data.holdout", "data.skip_damaged", "data.shuffle_window", "evaluation.", "health.",
    "optimizer.schedule.",
    "optimizer.learning_rate", "optimizer.generator.learning_rate", "optimizer.discriminator.learning_rate",
    "optimizer.beta", "optimizer.generator.beta", "optimizer.discriminator.beta",
)  # fmt: skip
_NOTHING = ("", "~", "null", "Null", "NULL")  # as YAML has it, for a text that may be left out
_SOURCES = ("data.source", "data.holdout_source")
_WHOLE = re.compile(r"[+-]?\d+(?:\.\d*)?[eE]\+?1?\d|[+-]?\d+\.0*")  # a number as science writes it
_FREE = frozenset({
    "checkpoints.keep", "checkpoints.keep_every",  # what is there already is pruned by the new rule
    "metrics.print_every_steps",
    "evaluation.stop_when_no_better",
    "data.placement", "data.memory_limit_mb",  # sets in memory and streamed ones give the same bits
    # Decided when a run begins, or when a person accepts data that has changed.
    "data.skip_damaged", "warm_start.required",
})  # fmt: skip


class Trained(NamedTuple):
    """A run of a preset as it is, on 2 cores."""

    minutes: float
    """From its first process to its end; where others were at work there, half its processor time."""
    shown: str
    """Page that shows it, from the repository's root on."""


class About(NamedTuple):
    """What a preset's file says beside its values."""

    description: str
    """One line that says what it trains."""
    trained: Trained | None


def preset_names() -> list[str]:
    """Names of the presets that come with Gantry, sorted."""
    folder = resources.files("trainer.config") / "presets"
    return sorted(
        entry.name.removesuffix(".yaml") for entry in folder.iterdir() if entry.name.endswith(".yaml")
    )


def preset_values(name: str) -> dict[str, Any]:
    """What of a preset differs from the defaults.

    Raises:
        ConfigError: there is no such preset; the text names the nearest one.
    """
    values = _preset(name)
    return {key: value for key, value in values.items() if key not in About._fields}


def preset_about(name: str) -> About:
    """What a preset's file says of it; raises as `preset_values` does."""
    values = _preset(name)
    trained = values.get("trained")
    return About(str(values["description"]), Trained(**trained) if trained else None)


def _preset(name: str) -> dict[str, Any]:
    names = preset_names()
    if name not in names:
        raise ConfigError(f"unknown preset '{name}'{nearest(name, names)}; presets are {', '.join(names)}")
    path = resources.files("trainer.config") / "presets" / f"{name}.yaml"
    values: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return values


def resolve(preset: str, overrides: Iterable[str] = ()) -> RunConfig:
    """The configuration of a preset with ``a.b=value`` overrides laid over it, later ones winning.

    Raises:
        ConfigError: unknown preset or key, or a value out of its range; the text names all three.
    """
    values = preset_values(preset)
    for override in overrides:
        path, value = _parse_override(override)
        _set(values, path, value)
    if "network" in values:
        values["network"].setdefault("name", "mlp")
    return validate(values, f"preset {preset}")


def overlaid(config: RunConfig, overrides: Iterable[str]) -> RunConfig:
    """A configuration with overrides laid over it, whatever preset it was made of.

    Raises:
        ConfigError: unknown key, or a value out of its range.
    """
    values = config.model_dump(mode="json")
    for override in overrides:
        _set(values, *_parse_override(override))
    if values["network"]["name"] != config.network.name:  # whose other values are not that kind's
        values["network"] = {"name": values["network"]["name"]}
    return validate(values, "--set")


def unknown_keys(values: Mapping[str, Any]) -> list[tuple[str, ...]]:
    """Paths of keys that the schema lacks; whatever else is wrong is for `validate` to say."""
    try:
        RunConfig.model_validate(values)
    except ValidationError as failure:
        extra = [error["loc"] for error in failure.errors() if error["type"] == "extra_forbidden"]
        return [tuple(str(part) for i, part in enumerate(path) if not is_kind(i, part)) for path in extra]
    return []


def validate(values: Mapping[str, Any], origin: str) -> RunConfig:
    """Check a mapping of values; `origin` says in an error where they come from."""
    try:
        return RunConfig.model_validate(values)
    except ValidationError as failure:
        raise ConfigError(f"{origin}: {first_error(failure)}") from None


def placed(config: RunConfig) -> RunConfig:
    """The configuration with its data's paths made absolute: no other folder shall change its meaning."""
    data = config.data
    own = data.holdout_source and absolute(data.holdout_source)
    update = {"source": absolute(data.source), "holdout_source": own}
    if update == {"source": data.source, "holdout_source": data.holdout_source}:
        return config
    return config.model_copy(update={"data": data.model_copy(update=update)})


def placed_overrides(overrides: Iterable[str]) -> tuple[str, ...]:
    """The same for ``key=value`` pairs; what is no source stays, for `resolve` to refuse."""
    pairs = (override.partition("=") for override in overrides)
    return tuple(f"{key}{equals}{absolute(text) if key in _SOURCES else text}" for key, equals, text in pairs)


def difference(old: RunConfig, new: RunConfig) -> dict[str, tuple[Any, Any]]:
    """Fields whose values differ, as ``{"optimizer.beta1": (old, new)}``."""
    before, after = flatten(old.model_dump(mode="json")), flatten(new.model_dump(mode="json"))
    keys = sorted(before.keys() | after.keys())
    return {
        key: (before.get(key), after.get(key))
        for key in keys
        if before.get(key, _MISSING) != after.get(key, _MISSING)
    }


def conflicts(old: RunConfig, new: RunConfig) -> dict[str, tuple[Any, Any]]:
    """What keeps a run that was begun as `old` from going on as `new`: `difference`, less what may change.

    `steps` may grow, and what `may_change` any time.
    """
    found = difference(old, new)
    return {
        key: values
        for key, values in found.items()
        if not may_change(key) and not (key == "steps" and new.steps > old.steps)
    }


def same_work(one: RunConfig, other: RunConfig) -> bool:
    """Whether a step of both computes the same: the same parts and shapes, whatever rates and seed."""
    return all(key.startswith(_EFFORTLESS) for key in difference(one, other))


def may_change(key: str) -> bool:
    """Whether a resumed run may have another value there: one that changes nothing that it has."""
    return key.startswith(("recovery.", "health.")) or key in _FREE


def flatten(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """A nested mapping as one level of dotted keys."""
    flat: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, Mapping):
            flat |= flatten(value, f"{prefix}{key}.")
        else:
            flat[prefix + key] = value
    return flat


def to_yaml(config: RunConfig) -> str:
    """The whole configuration as YAML, in the order of the schema."""
    return yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False)


def to_json(config: RunConfig) -> str:
    """The whole configuration as JSON, in the order of the schema."""
    return json.dumps(config.model_dump(mode="json"), indent=2)


def _parse_override(override: str) -> tuple[list[str], Any]:
    key, equals, text = override.partition("=")
    if not equals or not key:
        raise ConfigError(f"--set {override}: expected key=value, such as optimizer.learning_rate=1e-4")
    path = key.split(".")
    if _check_key(path, key):  # a text is what was typed: YAML would end it at " #", and make 7 a number
        return path, None if key in optional_texts() and text in _NOTHING else text
    if is_whole(known_keys()[key]) and _WHOLE.fullmatch(text) and float(text).is_integer():
        return path, int(float(text))  # 1e4, which YAML 1.1 takes for a text
    try:
        value = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError):  # ValueError: a date such as 2026-99-99
        raise ConfigError(f"--set {key}: '{text}' is no value that YAML can read") from None
    if value is None and is_optional(known_keys()[key]):
        return path, None
    # YAML 1.1 reads the "off" of xla=off as a boolean, for instance; no field is a date.
    return path, value if isinstance(value, str | list | dict) or type(value) in (int, float) else text


def _check_key(path: list[str], key: str) -> bool:
    """Refuse a key that no run has; whether its value is a text."""
    known = known_keys()
    if key not in known:
        raise ConfigError(f"--set {key}: there is no such key{nearest(key, sorted(known))}")
    return is_text(known[key])


def _set(values: dict[str, Any], path: list[str], value: Any) -> None:
    for part in path[:-1]:
        values = values.setdefault(part, {})
    values[path[-1]] = value
