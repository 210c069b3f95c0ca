"""What a cause is, what finding one says, and the answer that `launcher explain` prints."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, NamedTuple, TypeVar

from launcher.diagnosis.explain.fix import Fix

Known = TypeVar("Known", contravariant=True)  # `Facts` of a run, or `ScheduleFacts`


@dataclass(frozen=True)
class Evidence:
    """One thing that was seen; `evidence` has a function for each kind of it."""

    object: str
    """Such as ``Pod/demo-1-0-x7k2p``, ``Job/demo-1``, ``status.json`` or ``worker-0's log``."""
    field: str
    """Path of the field, or ``event`` and its reason; empty for a line of a log."""
    text: str
    """What it says, on one line."""
    time: str | None = None
    """ISO time, UTC, where one is known."""


class Finding(NamedTuple):
    """A cause that the facts show."""

    sentence: str
    """What is wrong, naming the worker, the value and the limit; no full stop at its end."""
    evidence: Sequence[Evidence]
    """The most telling first."""
    fix: Fix
    """The commands to type next, with this run's names in them."""


@dataclass(frozen=True)
class Cause(Generic[Known]):
    """One thing that can be wrong with a run, or with a schedule."""

    key: str
    """Its name in JSON, such as ``image-missing``."""
    title: str
    """The same for people: "The image does not exist"."""
    seen: str
    """How it shows, for docs/troubleshooting.md."""
    mend: str
    """What helps, for docs/troubleshooting.md; the exact command is a finding's."""
    find: Callable[[Known], Finding | None]
    """Pure function of the facts; None when this is not it."""


@dataclass(frozen=True)
class Diagnosis:
    """What is wrong with a run or a schedule, or that nothing is."""

    kind: str
    """``run`` or ``schedule``."""
    experiment: str
    name: str
    state: str
    """As `launcher status` has it; of a schedule ``active`` or ``suspended``."""
    healthy: bool
    cause: str | None
    """Key of the cause, ``unknown`` where none was recognised, None when nothing is wrong."""
    sentence: str
    """One sentence, without a full stop."""
    evidence: tuple[Evidence, ...] = ()
    fix: Fix | None = None
    """The commands to type next; None when there is nothing to mend."""
    unasked: tuple[str, ...] = ()
    """What could not be asked and why, so that the answer may say less than there is to know."""


def first(causes: Sequence[Cause[Any]], facts: Any) -> tuple[str, Finding] | None:
    """The first cause of a table that the facts show, by its key; None when none of them does."""
    for cause in causes:
        if finding := cause.find(facts):
            return cause.key, finding
    return None
