"""Every leaf of the configuration's schema with the values it takes and those just outside its bounds."""

import json
from typing import Any, NamedTuple, get_args

from hypothesis import strategies as st

from trainer.config import RunConfig
from trainer.networks import ARCHITECTURES

SCHEMA = RunConfig.model_json_schema()


class Leaf(NamedTuple):
    key: str
    """Dotted, as in ``--set``."""
    kind: str
    """Kind of network that has it; empty for all."""
    schema: dict[str, Any]

    @property
    def numbers(self) -> dict[str, Any]:
        """Schema of its numbers: its own, or that of its entries."""
        return self.schema.get("items", self.schema)

    @property
    def optional(self) -> bool:
        """Whether it may hold nothing."""
        return "optional" in self.schema

    @property
    def company(self) -> list[str]:
        """What has to be set with it, for some of its values to mean anything."""
        return COMPANY.get(self.key, [])


COMPANY = {
    "loss": ["regularizers.gradient_penalty.weight=10"],
    "evaluation.stop_when_no_better": ["evaluation.every_steps=50"],
    "optimizer.schedule.kind": ["optimizer.schedule.decay_to=100"],
    "warm_start.freeze": ["warm_start.run=older"],
    "augmentation.p": ["augmentation.kind=ada"],
}

# Of networks, what has to fit 28x28 images (r3gan: 32x32) or the other entries.
FITTING = {
    "network.discriminator_filters": st.lists(st.integers(1, 10**6), min_size=2, max_size=2),
    "network.discriminator_halvings": st.integers(1, 2),
    "network.attention": st.sampled_from([0, 14]),
    "network.widths": st.lists(st.integers(1, 10**5).map(lambda width: 24 * width), min_size=4, max_size=4),
    "network.groups": st.lists(st.sampled_from([1, 2, 4, 8, 16, 32]), min_size=4, max_size=4),
}


def _plain(field: dict[str, Any]) -> dict[str, Any]:
    """A field that may be null as one that may not, and says so."""
    kinds = [kind for kind in field.get("anyOf", ()) if kind.get("type") != "null"]
    return (
        {**field, **kinds[0], "optional": True} if len(kinds) == 1 and kinds[0]["type"] != "string" else field
    )


def _visit(schema: dict[str, Any], prefix: str, kind: str) -> list[Leaf]:
    found = []
    for name, field in schema["properties"].items():
        if name == "network":
            for network in ARCHITECTURES:
                kind = get_args(network.model_fields["name"].annotation)[0]
                found += _visit(SCHEMA["$defs"][network.__name__], "network.", kind)
        elif "$ref" in field:
            found += _visit(SCHEMA["$defs"][field["$ref"].rpartition("/")[2]], f"{prefix}{name}.", "")
        else:
            found.append(Leaf(prefix + name, kind if prefix == "network." else "", _plain(field)))
    return found


LEAVES = _visit(SCHEMA, "", "")
NUMERIC = [
    leaf for leaf in LEAVES if leaf.numbers.get("type") in ("integer", "number") and "enum" not in leaf.schema
]


def typed(leaf: Leaf, value: Any) -> str:
    """A value of a leaf as a person types it."""
    return value if isinstance(value, str) else json.dumps(value)


def values(leaf: Leaf) -> st.SearchStrategy[Any]:
    """Values that the leaf takes."""
    schema = leaf.schema
    if leaf.key in FITTING:
        return FITTING[leaf.key]
    if leaf.key == "warm_start.run":  # names that look like numbers as well
        return st.none() | st.from_regex(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?", fullmatch=True)
    if leaf.key == "warm_start.freeze":  # layers that there are
        layers = st.sampled_from(["generator", "discriminator/logit", "generator/*", "*/kernel"])
        return st.lists(layers, max_size=3)
    if leaf.key == "evaluation.every_steps":  # multiples of a line's
        return st.integers(0, 10**4).map(lambda lines: 50 * lines)
    if leaf.key == "evaluation.features":
        return st.sampled_from(["auto", "digits", "lite0", "lite0@96", "none"])
    if leaf.key in ("microbatch", "packing"):  # divisors of a batch
        return st.sampled_from([schema["default"], 2, 4, 8, 16])
    if leaf.key == "data.source":
        return _sources()
    if leaf.key == "data.holdout_source":
        return st.none() | _sources()
    if schema.get("type") == "boolean":
        return st.booleans()
    if "enum" in schema or "const" in schema:
        return st.sampled_from(schema.get("enum") or [schema["const"]])
    if schema["type"] == "array":
        return st.lists(_numbers(schema["items"]), min_size=schema["minItems"], max_size=5)
    return st.none() | _numbers(schema) if leaf.optional else _numbers(schema)


def _sources() -> st.SearchStrategy[str]:
    kinds = st.sampled_from(["idx:", "npz:", "images:", "tfrecord:", "tfrecord:gs://"])
    # Escapes of JSON and YAML agree below U+10000 only.
    letters = st.characters(max_codepoint=0xFFFF, exclude_categories=["Cs"])
    paths = st.text(letters, min_size=1, max_size=20).filter(lambda text: "://" not in text)
    return st.sampled_from(["digits", "keras:mnist"]) | st.builds(str.__add__, kinds, paths)


def _numbers(schema: dict[str, Any]) -> st.SearchStrategy[Any]:
    low, high = schema.get("minimum"), schema.get("maximum")
    if schema["type"] == "integer":
        high = schema.get("exclusiveMaximum", (high or 10**6) + 1) - 1
        unit = schema.get("multipleOf", 1)
        return st.integers(-(-low // unit), high // unit).map(lambda number: number * unit)
    return st.floats(
        schema.get("exclusiveMinimum", low),
        schema.get("exclusiveMaximum", high),
        exclude_min="exclusiveMinimum" in schema,
        exclude_max="exclusiveMaximum" in schema,
    )


def outside(leaf: Leaf) -> list[Any]:
    """Values just outside the leaf's bounds and of a wrong kind."""
    schema, step = leaf.numbers, 1 if leaf.numbers["type"] == "integer" else 1e-3
    wrong: list[Any] = ["abc", "true"] if leaf.optional else ["abc", "true", "null"]
    if "minimum" in schema:
        wrong.append(schema["minimum"] - step)
    if "exclusiveMinimum" in schema:
        wrong.append(schema["exclusiveMinimum"])
    if "maximum" in schema:
        wrong.append(schema["maximum"] + step)
    if "exclusiveMaximum" in schema:
        wrong.append(schema["exclusiveMaximum"])
    if "multipleOf" in schema:
        wrong.append(schema["multipleOf"] + 1)
    if schema["type"] == "integer":
        wrong.append(1.5)
    else:
        wrong += [".nan", ".inf"]
    if leaf.schema["type"] == "array":
        return ["[]", *(f"[{value}]" for value in wrong if value not in ("true", "null"))]
    return wrong
