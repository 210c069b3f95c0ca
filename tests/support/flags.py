"""Words of a command line, the trainer's or the launcher's."""

from collections.abc import Iterable


def set_flags(pairs: Iterable[str]) -> list[str]:
    """``--set`` before each ``key=value``."""
    return [word for pair in pairs for word in ("--set", pair)]
