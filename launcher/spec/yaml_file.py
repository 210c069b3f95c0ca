"""A settings' file, read so that every value remembers its line and column, and every mistake names them.

PyYAML's nodes are read rather than its values, because values forget where they were, let a key be given
twice, and turn ``off`` into False where an environment variable or a hyperparameter means the text.
"""

import difflib
import json
from collections.abc import Collection, Mapping
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Literal, NamedTuple, Union, get_args, get_origin

import yaml
from yaml import MappingNode, Node, ScalarNode, SequenceNode

from launcher.errors import SpecError
from launcher.spec.runspec import RunSpec
from trainer.environment.paths import expanded

OVERRIDES = "set"
_NUMBERS_AS_TEXT = ("cpu", "memory")  # quantities: 4 is as good as "4"
_TAG = "tag:yaml.org,2002:"
_EXPECTED = {
    "whole": "a whole number",
    "text": "a text, in quotes if it looks like a number",
    "list": "a list of texts, such as [a, b]",
    "mapping": "a mapping of names to values",
}


class Setting(NamedTuple):
    """A value and where it came from."""

    value: Any
    origin: str
    """Such as ``run.yaml:3:7`` (line and column), ``flag --workers`` or ``environment GANTRY_ROOT``."""


def read_settings(path: Path) -> dict[str, Setting]:
    """The settings of a file by the field of `RunSpec`; those of ``set`` and ``env`` one by one.

    Hyperparameters are called ``set.optimizer.beta1``, variables of the environment ``env.NAME``.

    Raises:
        SpecError: the file cannot be read, or has a key or a type that no run has.
    """
    root = compose(path)
    return {} if root is None else Reader(path).settings(root, "a settings' file")


def compose(path: Path) -> Node | None:
    """The nodes of a file, None when there is nothing but comments.

    Raises:
        SpecError: it cannot be read, or is not YAML.
    """
    try:
        node: Node | None = yaml.compose(
            path.read_text(encoding="utf-8"), getattr(yaml, "CSafeLoader", yaml.SafeLoader)
        )
    except OSError as error:
        raise SpecError(f"{path}: cannot be read ({error.strerror})") from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"{path}:{mark.line + 1}:{mark.column + 1}" if mark else path
        raise SpecError(f"{where}: not YAML ({error.problem or error.context})") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise SpecError(f"{path}: not YAML ({' '.join(str(error).split())})") from None
    return node


class Reader:
    """Turns the nodes of one file into settings."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._kinds = {**_field_kinds(), OVERRIDES: ("mapping", True)}

    def settings(self, node: Node, what: str) -> dict[str, Setting]:
        """The settings of a mapping, by field."""
        found: dict[str, Setting] = {}
        for key, value in self.entries(node, what, self._kinds).items():
            found |= self._field(key, value)
        return found

    def where(self, node: Node) -> str:
        """File, line and column of a node."""
        return f"{self._path}:{node.start_mark.line + 1}:{node.start_mark.column + 1}"

    def entries(self, node: Node, what: str, known: Collection[str] | None = None) -> dict[str, Node]:
        """The entries of a mapping, whose keys must be texts that come once, and `known` if that is given."""
        if not isinstance(node, MappingNode):
            raise SpecError(f"{self.where(node)}: {what} is {shown(node)}: expected a mapping")
        found: dict[str, Node] = {}
        for key, value in node.value:
            if not isinstance(key, ScalarNode):
                raise SpecError(f"{self.where(key)}: {what} has a key that is {shown(key)}: expected a text")
            if key.value in found:
                raise SpecError(f"{self.where(key)}: {key.value} is there twice")
            found[key.value] = value
            if known is not None and key.value not in known:
                raise SpecError(f"{self.where(key)}: {_unknown(key.value, known)}")
        return found

    def _field(self, key: str, node: Node) -> dict[str, Setting]:
        kind, optional = self._kinds[key]
        if kind == "mapping" and not _is(node, "null"):
            flat = self.overrides if key == OVERRIDES else self._variables
            return {f"{key}.{name}": setting for name, setting in flat(node, key).items()}
        if optional and _is(node, "null"):
            return {} if kind == "mapping" else {key: Setting(None, self.where(node))}
        value = self._value(kind, key, node)
        if value is None:
            raise SpecError(f"{self.where(node)}: {key} is {shown(node)}: expected {_EXPECTED[kind]}")
        if key == "root":
            value = expanded(value, f"{self.where(node)}: root")
        return {key: Setting(value, self.where(node))}

    def _value(self, kind: str, key: str, node: Node) -> Any:
        if kind == "whole" and _is(node, "int"):
            return yaml.safe_load(node.value)
        if kind == "text" and (_is(node, "str") or (key in _NUMBERS_AS_TEXT and _is(node, "int", "float"))):
            return node.value
        if (
            kind == "list"
            and isinstance(node, SequenceNode)
            and all(_is(entry, "str") for entry in node.value)
        ):
            return tuple(entry.value for entry in node.value)
        return None

    def _variables(self, node: Node, what: str) -> dict[str, Setting]:
        """Variables of the environment: whatever is written is the text that a program shall read."""
        found = {}
        for name, value in self.entries(node, what).items():
            if not isinstance(value, ScalarNode) or _is(value, "null"):
                raise SpecError(f"{self.where(value)}: {what}.{name} is {shown(value)}: expected a text")
            found[name] = Setting(value.value, self.where(value))
        return found

    def overrides(self, node: Node, what: str, prefix: str = "") -> dict[str, Setting]:
        """Hyperparameters, nested or with dots, with the texts that ``--set`` would have."""
        found: dict[str, Setting] = {}
        for name, value in self.entries(node, what).items():
            key = prefix + name
            if isinstance(value, MappingNode):
                below = self.overrides(value, f"{what}.{name}", f"{key}.")
            else:
                below = {key: self.override(value, f"{what}.{name}")}
            if twice := found.keys() & below.keys():
                raise SpecError(f"{self.where(value)}: {OVERRIDES}.{twice.pop()} is there twice")
            found |= below
        return found

    def override(self, node: Node, what: str) -> Setting:
        """One hyperparameter, with the text that ``--set`` would have."""
        if isinstance(node, ScalarNode) and not _is(node, "null"):
            return Setting(node.value, self.where(node))
        if isinstance(node, SequenceNode):
            plain = yaml.safe_load(yaml.serialize(node))
            return Setting(json.dumps(plain, default=str), self.where(node))
        raise SpecError(f"{self.where(node)}: {what} is {shown(node)}: expected a value")


def _unknown(key: str, known: Collection[str]) -> str:
    # The start of a long name is what people remember of it: ttl for ttl_seconds_after_finished.
    near = difflib.get_close_matches(key, known, n=1, cutoff=0.6)
    near = near or [each for each in known if each.startswith(key) or key.startswith(each)][:1]
    hint = f" (did you mean '{near[0]}'?)" if near else f"; keys are {', '.join(known)}"
    return f"{key}: there is no such key{hint}"


def _is(node: Node, *tags: str) -> bool:
    return isinstance(node, ScalarNode) and node.tag in {_TAG + tag for tag in tags}


def shown(node: Node) -> str:
    """What a node is, for a message."""
    if isinstance(node, ScalarNode):
        return repr(node.value) if node.value else "empty"
    return "a list" if isinstance(node, SequenceNode) else "a mapping"


def _field_kinds() -> Mapping[str, tuple[str, bool]]:
    """Of every key of a file, what its value must be, and whether it may be empty."""
    kinds = {name: _kind(field.annotation) for name, field in RunSpec.model_fields.items()}
    del kinds["overrides"]  # written as the mapping `set`
    return kinds


def _kind(annotation: Any) -> tuple[str, bool]:
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin in (Union, UnionType):
        [inner] = [argument for argument in arguments if argument is not type(None)]
        return _kind(inner)[0], True
    if origin is Annotated:
        return _kind(arguments[0])
    if annotation is int:
        return "whole", False
    if origin is tuple:
        return "list", False
    if origin is dict:
        return "mapping", True
    assert annotation is str or origin is Literal
    return "text", False
