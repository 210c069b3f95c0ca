"""A sweep's file: what its runs have in common, and the values in which they differ.

::

    name: lr
    base: {preset: mlp, workers: 2, set: {steps: 5000}}     # as in run.yaml
    grid: {optimizer.learning_rate: [1e-4, 2e-4], seed: [1, 2, 3]}
    max_parallel: 2

Instead of ``grid``, ``list`` holds a mapping for each run. Every mistake is told with its line and column.
"""

import itertools
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from yaml import MappingNode, Node, SequenceNode

from launcher.errors import SpecError
from launcher.spec.yaml_file import Reader, Setting, compose, shown

MOST = 1000
"""Runs that a sweep may have."""
KEYS = ("name", "base", "grid", "list", "max_parallel")
_WHAT = "a sweep"

Point = Mapping[str, Setting]
"""The hyperparameters that one run has of its own, with the text that ``--set`` would have."""


@dataclass(frozen=True)
class Sweep:
    """What a file says."""

    path: Path
    name: Setting | None
    base: Mapping[str, Setting]
    """Settings of all runs, by field as in a settings' file."""
    points: tuple[Point, ...]
    max_parallel: Setting | None


def read_sweep(path: Path) -> Sweep:
    """Read a sweep's file.

    Raises:
        SpecError: it cannot be read, or has a mistake; the text names the line and column.
    """
    root = compose(path)
    if root is None:
        raise SpecError(f"{path}: is empty: expected a sweep with {', '.join(KEYS)}")
    reader = Reader(path)
    nodes = reader.entries(root, _WHAT, KEYS)
    kinds = [key for key in ("grid", "list") if key in nodes]
    if len(kinds) != 1:
        raise SpecError(
            f"{reader.where(root)}: {_WHAT} has {' and '.join(kinds) or 'no values'}: expected grid or list"
        )
    base = reader.settings(nodes["base"], "base") if "base" in nodes else {}
    if "name" in base:
        raise SpecError(f"{base['name'].origin}: base.name: expected none, as runs are named after the sweep")
    points = (_grid if kinds == ["grid"] else _list)(reader, nodes[kinds[0]])
    return Sweep(
        path, _text(reader, nodes.get("name")), base, points, _count(reader, nodes.get("max_parallel"))
    )


def _text(reader: Reader, node: Node | None) -> Setting | None:
    if node is None:
        return None
    if not node.tag.endswith(":str"):
        raise SpecError(f"{reader.where(node)}: name is {shown(node)}: expected a text")
    return Setting(node.value, reader.where(node))


def _count(reader: Reader, node: Node | None) -> Setting | None:
    if node is None:
        return None
    text = str(node.value)
    if not (node.tag.endswith(":int") and text.isdigit() and int(text) >= 1):
        raise SpecError(
            f"{reader.where(node)}: max_parallel is {shown(node)}: expected a whole number from 1"
        )
    return Setting(int(text), reader.where(node))


def _grid(reader: Reader, node: Node) -> tuple[Point, ...]:
    """Every combination; the last key changes fastest."""
    axes = _axes(reader, node, "grid", "")
    if not axes:
        raise SpecError(f"{reader.where(node)}: grid is empty: expected hyperparameters with lists of values")
    _check_number(reader, node, math.prod(len(values) for values in axes.values()))
    return tuple(dict(zip(axes, values, strict=True)) for values in itertools.product(*axes.values()))


def _axes(reader: Reader, node: Node, what: str, prefix: str) -> dict[str, list[Setting]]:
    """The values of each hyperparameter; keys are nested or have dots."""
    found: dict[str, list[Setting]] = {}
    for name, value in reader.entries(node, what).items():
        where, key = f"{what}.{name}", prefix + name
        if isinstance(value, MappingNode):
            below = _axes(reader, value, where, f"{key}.")
        elif isinstance(value, SequenceNode) and value.value:
            below = {key: [reader.override(each, where) for each in value.value]}
        else:
            what_it_is = "an empty list" if isinstance(value, SequenceNode) else shown(value)
            raise SpecError(f"{reader.where(value)}: {where} is {what_it_is}: expected a list of values")
        if twice := found.keys() & below.keys():
            raise SpecError(f"{reader.where(value)}: grid.{twice.pop()} is there twice")
        found |= below
    return found


def _list(reader: Reader, node: Node) -> tuple[Point, ...]:
    if not isinstance(node, SequenceNode) or not node.value:
        raise SpecError(
            f"{reader.where(node)}: list is {shown(node)}: expected a mapping of values for each run"
        )
    _check_number(reader, node, len(node.value))
    points = []
    for place, each in enumerate(node.value):
        points.append(reader.overrides(each, f"list[{place}]"))
        if not points[-1]:
            raise SpecError(f"{reader.where(each)}: list[{place}] is empty: expected a value that differs")
    return tuple(points)


def _check_number(reader: Reader, node: Node, count: int) -> None:
    if count > MOST:
        raise SpecError(f"{reader.where(node)}: the sweep has {count:,} runs: expected at most {MOST:,}")
