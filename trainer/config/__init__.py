"""What a run is: validated, serialisable, with presets. Free of TensorFlow, so the launcher reads it too."""

from trainer.config.carried import VARIABLE, Received, carry, receive
from trainer.config.resolve import (
    conflicts,
    difference,
    flatten,
    may_change,
    overlaid,
    placed,
    placed_overrides,
    preset_description,
    preset_names,
    preset_values,
    resolve,
    to_json,
    to_yaml,
    validate,
)
from trainer.config.schema import BLOCK, MOST_ROWS, RunConfig, WarmStart

__all__ = [
    "BLOCK",
    "MOST_ROWS",
    "VARIABLE",
    "Received",
    "RunConfig",
    "WarmStart",
    "carry",
    "conflicts",
    "difference",
    "flatten",
    "may_change",
    "overlaid",
    "placed",
    "placed_overrides",
    "preset_description",
    "preset_names",
    "preset_values",
    "receive",
    "resolve",
    "to_json",
    "to_yaml",
    "validate",
]
