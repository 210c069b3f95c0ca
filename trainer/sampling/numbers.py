"""``--seeds 0-63,70``: numbers and spans of them."""

import re

from trainer.errors import UserError

MOST = 10_000
"""Images or frames that one call draws of seeds."""
_LIMIT = 2**31  # as of a run's seed


def seeds(text: str, option: str = "--seeds") -> tuple[int, ...]:
    """The seeds in the order in which they were written, each once.

    Raises:
        UserError: it is no such list, or one of more than `MOST`.
    """
    found: dict[int, None] = {}
    for part in text.split(","):
        match = re.fullmatch(r"\s*(\d{1,10})(?:-(\d{1,10}))?\s*", part, re.ASCII)
        if match is None:
            raise UserError(
                f"{option} {text}: '{part}' is no seed, expected numbers and spans such as 0-63,70"
            )
        first, last = int(match[1]), int(match[2] or match[1])
        if last < first or last >= _LIMIT:
            raise UserError(
                f"{option} {text}: {part.strip()}, expected a span that rises, up to {_LIMIT - 1}"
            )
        if last - first >= MOST or len(found) + last - first >= MOST:
            raise UserError(f"{option} {text}: expected at most {MOST} seeds")
        found |= dict.fromkeys(range(first, last + 1))
    return tuple(found)
