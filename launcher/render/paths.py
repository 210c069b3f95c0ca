"""A manifest and the named places in it, such as ``spec.template.spec.containers[name=trainer].image``."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from launcher.errors import SpecError

_STEP = re.compile(
    r"""(?:^|\.)(?P<key>[^.\[\]]+)     # .key
      | \["(?P<quoted>[^"]+)"\]        # ["a.key/with.dots"]
      | \[(?P<field>\w+)=(?P<value>[^\]]+)\]  # [name=value], the first such entry of a list""",
    re.VERBOSE,
)
Step = str | tuple[str, str]


@dataclass
class Manifest:
    """One object and the file that it was read from."""

    source: Path
    data: dict[str, Any]

    @property
    def kind(self) -> str:
        """Such as Job."""
        return str(self.data.get("kind", ""))

    @property
    def name(self) -> str:
        """``metadata.name``."""
        return str(self.get("metadata.name"))

    def get(self, path: str) -> Any:
        """The value at a path.

        Raises:
            SpecError: there is none.
        """
        node: Any = self.data
        for step in steps(path):
            node = self._child(node, step, path)
        return node

    def set(self, path: str, value: Any) -> None:
        """Replace the value at a path, which must be there: a file that lacks it would lose it silently.

        Raises:
            SpecError: there is none.
        """
        self.get(path)
        self.put(path, value)

    def put(self, path: str, value: Any) -> None:
        """Set the value at a path whose last key may be new; what it is in must be there.

        Raises:
            SpecError: what should hold the value is missing.
        """
        *parents, last = steps(path)
        node: Any = self.data
        for step in parents:
            node = self._child(node, step, path)
        if not isinstance(node, dict) or not isinstance(last, str):
            raise self._missing(path)
        node[last] = value

    def _child(self, node: Any, step: Step, path: str) -> Any:
        if isinstance(step, str):
            if isinstance(node, dict) and step in node:
                return node[step]
        elif isinstance(node, list):
            field, value = step
            for entry in node:
                if isinstance(entry, dict) and entry.get(field) == value:
                    return entry
        raise self._missing(path)

    def _missing(self, path: str) -> SpecError:
        kind = self.kind or "object"
        return SpecError(f"{self.source}: the {kind} has no {path}, where the launcher puts a run's value")


def steps(path: str) -> Iterator[Step]:
    """The keys of a path; that of an entry in a list is a pair."""
    end = 0
    for found in _STEP.finditer(path):
        if found.start() != end:
            break
        end = found.end()
        yield found["key"] or found["quoted"] or (found["field"], found["value"])
    if end != len(path):
        raise ValueError(f"not a path: {path}")
