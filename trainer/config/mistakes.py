"""What is wrong with a configuration, in one line: the key, its value, and what is expected or was meant."""

import difflib
from collections.abc import Mapping
from functools import cache
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError

from trainer.config.schema import RunConfig
from trainer.networks import ARCHITECTURES, NAMES

# What a person would write, for what pydantic calls by Python's names.
_EXPECTED = {
    "tuple_type": "a list such as [256, 128]",
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "string_type": "a text",
    "model_type": "keys and values",
}
_CLOSE = 0.75  # of difflib: beta_1 and beta1 are nearer, lr and epsilon are not


def is_text(annotation: Any) -> bool:
    """Whether a field holds any text; one of a few words is none."""
    if get_origin(annotation) in (Union, UnionType, Annotated):
        return any(map(is_text, get_args(annotation)))
    return annotation is str


def is_optional(annotation: Any) -> bool:
    """Whether a field may hold nothing."""
    return type(None) in get_args(annotation)


def optional_texts() -> set[str]:
    """Keys of texts that may be left out."""
    return {key for key, kind in known_keys().items() if is_optional(kind) and is_text(kind)}


@cache
def known_keys() -> Mapping[str, Any]:
    """Every leaf of the schema with its type, those of each kind of network included."""
    keys: dict[str, Any] = {}

    def visit(model: type[BaseModel], prefix: str) -> None:
        for name, field in model.model_fields.items():
            if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
                visit(field.annotation, f"{prefix}{name}.")
            elif name == "network":
                for network in ARCHITECTURES:
                    visit(network, "network.")
            else:
                keys[prefix + name] = field.annotation

    visit(RunConfig, "")
    return keys


def is_whole(annotation: Any) -> bool:
    """Whether a field holds a whole number."""
    if get_origin(annotation) in (Union, UnionType, Annotated):
        return any(map(is_whole, get_args(annotation)))
    return annotation is int


def is_kind(place: int, part: object) -> bool:
    """Whether a part of an error's place is the name of a union's member: network.mlp.latent_size."""
    return place == 1 and part in NAMES


def nearest(word: str, words: list[str]) -> str:
    """A hint that names the known word that an unknown one stands for, or nothing when none is near.

    Of a dotted key the last part tells most: it may be right, have the initials of what is meant (``lr``), or
    be nearly right; a key's section is only a hint.
    """
    section, _, last = word.rpartition(".")
    own = [known for known in words if known.rpartition(".")[0] == section] if section else []
    found = next(filter(None, (_meant(last, some) for some in (own, words))), None)
    found = found or next(iter(difflib.get_close_matches(word, words, n=1)), None)
    return f" (did you mean '{found}'?)" if found else ""


def _meant(last: str, words: list[str]) -> str | None:
    """The key whose last part is, abbreviates to, begins with or nearly is a word."""
    ends = {known: known.rpartition(".")[2] for known in words}
    plain = last.lower().replace("-", "_")
    for fits in (
        lambda end: end == plain,
        lambda end: "_" in end and "".join(part[0] for part in end.split("_")) == plain,
        lambda end: end.startswith(f"{plain}_") or end.endswith(f"_{plain}"),
    ):
        if found := [known for known, end in ends.items() if fits(end)]:
            return min(found, key=len)
    close = difflib.get_close_matches(plain, list(ends.values()), n=1, cutoff=_CLOSE)
    return next((known for known, end in ends.items() if close and end == close[0]), None)


def first_error(failure: ValidationError) -> str:
    """The first error in one line: field, value, what is expected."""
    error = failure.errors()[0]
    where = ".".join(str(part) for i, part in enumerate(error["loc"]) if not is_kind(i, part))
    if error["type"] == "value_error" and not where:
        return error["msg"].removeprefix("Value error, ")
    if error["type"] == "extra_forbidden":
        known = known_keys()
        if where in known:  # of another kind of network
            return f"{where}: a network of kind '{error['loc'][1]}' has no such key"
        return f"{where}: there is no such key{nearest(where, sorted(known))}"
    expected = error["msg"].removeprefix("Value error, ")
    expected = expected.replace("Input should be", "expected").replace("Input should have", "expected")
    if plain := _EXPECTED.get(error["type"]):
        expected = f"expected {plain}"
    return f"{where or 'the configuration'} is {error['input']!r}: {expected[0].lower()}{expected[1:]}"
