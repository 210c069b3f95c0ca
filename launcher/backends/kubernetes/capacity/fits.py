"""Whether a run fits somewhere, as a sentence with its numbers; free of the client, for local runs too."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Fit:
    """Whether a run fits somewhere."""

    where: str
    """``quota``, ``nodes`` or ``this machine``."""
    fits: bool | None
    """None where that could not be asked."""
    text: str
