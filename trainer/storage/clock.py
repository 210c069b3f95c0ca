"""A server's clock, read from here: the ``Date`` of its answers, carried on by our own seconds.

The age of what a server has dated is a difference of that server's clock. The clock of the machine that asks
may be hours wrong, and is not looked at.
"""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

_SLACK_SECONDS = 10.0  # a Date is of whole seconds, and a service's servers agree to within a few


class ServerClock:
    """What a server's clock shows; one for each server, used by many threads."""

    def __init__(self, ticks: Callable[[], float] = time.monotonic) -> None:
        """`ticks` are seconds that only grow."""
        self._ticks = ticks
        self._heard: tuple[str, float] | None = None

    def hear(self, date: str | None) -> None:
        """Take the ``Date`` of an answer that has just come; None for an answer without one."""
        if date:
            self._heard = date, self._ticks()

    def now(self) -> datetime | None:
        """The server's time, to a second; None before its first answer, or where answers state none."""
        if self._heard is None:
            return None
        date, then = self._heard
        told = parse_date(date)
        return None if told is None else told + timedelta(seconds=self._ticks() - then)


def parse_date(text: str | None) -> datetime | None:
    """A time as HTTP writes it, None for anything else."""
    try:
        time = parsedate_to_datetime(text or "")
    except (ValueError, TypeError):
        return None
    return time if time.tzinfo else time.replace(tzinfo=UTC)


def age(moment: datetime | None, now: datetime | None) -> float | None:
    """Seconds from a moment until now, both by one clock; None where either is not known.

    None too for a moment that is yet to come: then it was no one clock.
    """
    if moment is None or now is None:
        return None
    seconds = (now - moment).total_seconds()
    return None if seconds < -_SLACK_SECONDS else max(0.0, seconds)
