"""From a run's folder back to the `launcher submit` line that asks for the same run."""

import shlex
from collections.abc import Mapping
from typing import Any

from launcher import backends
from launcher.records.run_folder import Found
from launcher.runs.recorded import asked, submit_words


def reproducible(found: Found, run: Mapping[str, Any]) -> dict[str, Any]:
    """What a run was asked for, with the threads that its workers had: other numbers give other bits.

    Raises:
        GantryError: ``cluster.json`` or ``local.json`` is damaged.
    """
    values = asked(found, run)
    if values and values.get("threads") is None:
        newest = backends.named(values["backend"]).newest(found.store)
        if newest is not None and newest.threads is not None:
            values["threads"] = newest.threads
    return values


def submit_line(values: dict[str, Any]) -> str | None:
    """The same as it can be pasted; None where nothing says how the run was started."""
    words = submit_words(values)
    return None if words is None else shlex.join(words)
