"""What a run is: validated, serialisable, with presets. Free of TensorFlow, so the launcher reads it too."""

from trainer.config.carried import VARIABLE, Received, carry, receive
from trainer.config.price import Price, price
from trainer.config.proposals import Proposal, proposals
from trainer.config.resolve import (
    conflicts,
    difference,
    flatten,
    may_change,
    overlaid,
    placed,
    placed_overrides,
    preset_about,
    preset_names,
    preset_values,
    resolve,
    same_work,
    to_json,
    to_yaml,
    validate,
)
from trainer.config.schema import BLOCK, MOST_ROWS, RunConfig, WarmStart

__all__ = [
    "BLOCK",
    "MOST_ROWS",
    "VARIABLE",
    "Price",
    "Proposal",
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
    "preset_about",
    "preset_names",
    "preset_values",
    "price",
    "proposals",
    "receive",
    "resolve",
    "same_work",
    "to_json",
    "to_yaml",
    "validate",
]
