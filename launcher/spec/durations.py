"""Spans of time: one way to write them wherever a flag or a file takes one, and one way to say them.

By hand, because no library that was looked at (November 2026) reads just this. durationpy 0.11, which comes
with Kubernetes' client, refuses ``90`` and takes ``30m1h``, ``1h1h``, ``-3s`` and ``1ms``; pytimeparse2 1.7
takes ``1:30``, ``-3s`` and ``1e3``; timelength 3.0 reads ``1m30`` as a minute; pydantic reads ISO 8601. To
refuse what they take besides wants the pattern below, which is all there is to reading.
"""

import re
from typing import Any

EXPECTED = "a span of time such as 90s, 30m, 1h30m or 2d"
_SPAN = re.compile(
    r"(?:(\d+(?:\.\d+)?)d)?(?:(\d+(?:\.\d+)?)h)?(?:(\d+(?:\.\d+)?)m)?(?:(\d+(?:\.\d+)?)s?)?", re.ASCII
)
_LENGTHS = (86400, 3600, 60, 1)
_UNITS = ("d", "h", "min", "s")
_FINE = 10  # from so many of a unit on, the next smaller one says nothing that anybody wants to know


def parse(text: str) -> float | None:
    """Seconds of a span such as ``90``, ``90s``, ``2h`` or ``1h30m``; None when it is none.

    Units come in their order, each once; the number after the last one is in seconds.
    """
    match = _SPAN.fullmatch(text)
    if not text or match is None:
        return None
    counts = zip(match.groups(default="0"), _LENGTHS, strict=True)
    return round(sum(float(count) * length for count, length in counts), 3)


def spoken(seconds: float | None) -> str:
    """Seconds in two units at most, ``8 s``, ``1 h 29 min`` or ``12 h``; a dash for None.

    To the nearest second; what the units leave over is cut off: nothing is said to be longer than it is.
    """
    if seconds is None:
        return "-"
    left, said = round(seconds), list[str]()
    for unit, length in zip(_UNITS, _LENGTHS, strict=True):
        count, left = divmod(left, length)
        if count:
            said.append(f"{count} {unit}")
        if said and (count >= _FINE or len(said) == 2 or not count):
            break
    return " ".join(said) or "0 s"


def read(value: Any) -> Any:
    """Whole seconds of what a person wrote as text; anything else as it is.

    Raises:
        ValueError: it is text, and no span of whole seconds.
    """
    if not isinstance(value, str):
        return value
    seconds = parse(value.strip())
    if seconds is None or seconds != int(seconds):
        raise ValueError(f"expected {EXPECTED}, in whole seconds")
    return int(seconds)
