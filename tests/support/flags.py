"""Words of a command line, the trainer's or the launcher's."""

from collections.abc import Iterable

# The least of a run, of pictures that a test makes.
EIGHT_PIXELS = (
    "image.height=8",
    "image.width=8",
    "batch_size=4",
    "steps=2",
    "network.generator_units=[8]",
    "xla=off",
)


def set_flags(pairs: Iterable[str]) -> list[str]:
    """``--set`` before each ``key=value``."""
    return [word for pair in pairs for word in ("--set", pair)]
