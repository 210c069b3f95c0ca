"""The values of a run's configuration that are not what its preset or the defaults say."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from launcher.looking.compare.differences import configuration
from launcher.spec.redaction import without_password
from trainer.config import RunConfig, flatten, resolve
from trainer.errors import ConfigError


@dataclass
class Setting:
    """One such value."""

    key: str
    """Dotted."""
    value: Any
    preset: Any
    """What the preset has today, None where this launcher has no such preset or key."""
    default: Any
    """What a run without any preset has, None where this launcher has no such key."""


def settings_of(run: Mapping[str, Any]) -> list[Setting]:
    """The values of ``run.json`` that differ from either, in the order of the schema."""
    values = flatten(configuration(run))
    defaults = flatten(RunConfig().model_dump(mode="json"))
    preset = _preset(run.get("preset"))
    return [
        Setting(key, plain(value), preset.get(key), defaults.get(key))
        for key, value in values.items()
        if value != defaults.get(key) or (preset and value != preset.get(key))
    ]


def _preset(name: object) -> dict[str, Any]:
    """The preset's values, empty for one that this launcher does not know."""
    try:
        return flatten(resolve(str(name)).model_dump(mode="json"))
    except ConfigError:
        return {}


def plain(value: Any) -> Any:
    """A value as it may be shown: an address without the password in it."""
    return without_password(value) if isinstance(value, str) else value
