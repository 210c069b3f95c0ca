"""What a specification asks of the backend that it names, and how a backend is found by its name.

A backend is a folder of ``launcher/backends``. Its module ``kind`` says what can be known without a run or a
cluster, and imports nothing heavy; `launcher.backends` has the rest. This room is below that one, so the
folder is looked for by name, when somebody asks.
"""

import importlib
import pkgutil
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from launcher.errors import refuse

FOLDER = "launcher.backends"
NAME_LENGTH = 63  # of a DNS label


def _no_claim(image: Any, root: Any) -> str | None:
    """Take only what names it."""
    return None


@dataclass(frozen=True)
class Kind:
    """A kind of place where workers run."""

    name: str
    check: Callable[[Any], None]
    """Refuses a `RunSpec` that it cannot run, with a `FieldError`."""
    here: bool = False
    """Workers are processes of this machine: its paths are theirs, and who starts a run follows it."""
    pods: bool = False
    """Workers are pods, which manifests describe."""
    last: bool = False
    """It takes what no other does: specifications that say nothing, runs that are files alone."""
    takes: frozenset[str] | None = None
    """Of the fields of `RunSpec` after `backend`, those that mean something to it; None for all."""
    hints: Mapping[str, str] = field(default_factory=dict)
    """What to do instead of giving it a field that it does not take, by field."""
    claims: Callable[[Any, Any], str | None] = _no_claim
    """Why a run of an image and a root that names no backend is its own; None if it is not."""
    name_limit: Callable[[int], int] = lambda workers: NAME_LENGTH
    """Longest name of a run of so many workers."""

    def lacks(self, fields: Iterable[str]) -> list[str]:
        """Those of the fields of `RunSpec` that mean nothing to it."""
        names = list(fields)
        own = names[names.index("backend") + 1 :]
        return [] if self.takes is None else [name for name in own if name not in self.takes]


def names() -> list[str]:
    """Names of all backends, in the order in which they are asked."""
    return [each.name for each in kinds()]


def kinds() -> list[Kind]:
    """All backends' kinds, in the order in which they are asked: the one that takes the rest is the last."""
    folder = importlib.import_module(FOLDER)
    found = [_load(each.name) for each in pkgutil.iter_modules(folder.__path__) if each.ispkg]
    return sorted(found, key=lambda each: (each.last, each.name))


def find(name: Any) -> Kind | None:
    """The kind of a backend, None where there is none of that name."""
    return next((each for each in kinds() if each.name == name), None)


def kind(name: Any) -> Kind:
    """The kind of a backend.

    Raises:
        FieldError: there is none of that name.
    """
    if found := find(name):
        return found
    raise refuse("backend", name, " or ".join(f"'{each}'" for each in reversed(names())))


def has_pods(name: str | None) -> bool:
    """Whether the workers of a backend are pods; of none, no."""
    found = find(name)
    return found is not None and found.pods


def is_here(name: str | None) -> bool:
    """Whether the workers of a backend are processes of this machine; of none, nobody knows."""
    found = find(name)
    return found is not None and found.here


def derive(image: Any, root: Any) -> tuple[str, str]:
    """Where a run belongs that does not say, and why."""
    for each in kinds():
        if why := each.claims(image, root):
            return each.name, why
    raise AssertionError("one kind takes the rest")


def _load(name: str) -> Kind:
    loaded: Kind = importlib.import_module(f"{FOLDER}.{name}.kind").KIND
    return loaded
