"""What a cause is, and what finding one says."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from launcher.explain.facts import Facts


class Evidence(NamedTuple):
    """One thing that was seen."""

    object: str
    """Such as ``Pod/demo-1-0-x7k2p``, ``Job/demo-1``, ``status.json`` or ``worker-0's log``."""
    field: str
    """Path of the field, or an event's reason; empty for a line of a log."""
    text: str
    """What it says, on one line."""
    time: str | None = None
    """ISO time, UTC, where one is known."""


class Finding(NamedTuple):
    """A cause that the facts show."""

    sentence: str
    """What is wrong, naming the worker, the value and the limit."""
    evidence: tuple[Evidence, ...]
    fix: str
    """The command to type next, with this run's names in it."""


@dataclass(frozen=True)
class Cause:
    """One thing that can be wrong with a run."""

    key: str
    """Its name in JSON, such as ``image-missing``."""
    title: str
    """The same for people: "The image does not exist"."""
    seen: str
    """How it shows, for docs/troubleshooting.md."""
    mend: str
    """What helps, for docs/troubleshooting.md; the exact command is a finding's."""
    find: "Callable[[Facts], Finding | None]"
    """Pure function of the facts; None when this is not it."""
