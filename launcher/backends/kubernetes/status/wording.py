"""The cluster's messages in one line each, and how they are put into sentences; pure functions."""

import re
from collections.abc import Mapping
from typing import Any

_ERROR = "error: "


def because(message: str) -> str:
    """A message as the end of a sentence, nothing where there is none."""
    return f": {message}" if message else ""


def about(worker: int, text: str) -> str:
    """A sentence about a worker from what is said of it, such as "has no node" or "'s container ended"."""
    if not text:
        return ""
    return f"worker {worker}{text}" if text.startswith("'") else f"worker {worker} {text}"


def one_line(text: object, longest: int = 400) -> str:
    """A message of the cluster without its line ends, cut where it is very long."""
    line = re.sub(r"\s+", " ", str(text or "")).strip()
    return line if len(line) <= longest else line[: longest - 1] + "…"


def last_line(text: object) -> str:
    """The last line of a termination message: what a pod said when it gave up."""
    lines = [line for line in str(text or "").splitlines() if line.strip()]
    return one_line(lines[-1]).removeprefix(_ERROR) if lines else ""


def error_line(text: object) -> str:
    """The same where it is an error of the pod's own, else nothing."""
    lines = [line for line in str(text or "").splitlines() if line.strip()]
    return last_line(lines[-1]) if lines and lines[-1].startswith(_ERROR) else ""


def event_time(event: Mapping[str, Any]) -> str:
    """When an event was last seen, for comparing."""
    series = event.get("series") or {}
    times = (series.get("lastObservedTime"), event.get("lastTimestamp"), event.get("eventTime"))
    return max((str(time) for time in times if time), default="")
