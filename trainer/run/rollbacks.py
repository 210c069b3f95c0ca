"""``rollbacks.json``: from where a run went on otherwise, as its game was over.

Steps beyond `to` draw from streams of their own, by the number of the rollback; it is read at each start, so
that a process that comes after a kill goes on in the same way::

    {"format": 1, "rollbacks": [{"number": 1, "at": 1500, "to": 500, "condition": "collapse",
                                 "evidence": "…", "created": "2026-01-02T03:04:05+00:00"}]}
"""

import json
from collections.abc import Mapping
from typing import Any

from trainer.errors import ObjectMissing, UserError
from trainer.run import layout
from trainer.run.status import now
from trainer.storage import Store

_FORMAT = 1

Rollback = Mapping[str, Any]


def read(store: Store) -> list[Rollback]:
    """Every rollback of a run, the first one first.

    Raises:
        UserError: the file is damaged; without it nobody knows what the run draws.
    """
    try:
        text = store.read(layout.ROLLBACKS)
    except ObjectMissing:
        return []
    try:
        values = json.loads(text)
        found: list[Rollback] = values["rollbacks"]
        if values["format"] != _FORMAT or not all(type(each["to"]) is int for each in found):
            raise ValueError
    except (ValueError, KeyError, TypeError):
        raise UserError(
            f"{store.url}/{layout.ROLLBACKS}: cannot be read, expected rollbacks of format {_FORMAT}"
        ) from None
    return found


def begins(store: Store) -> tuple[int, ...]:
    """The step that each rollback went back to."""
    return tuple(each["to"] for each in read(store))


def add(store: Store, at: int, to: int, condition: str, evidence: str) -> int:
    """Write down that a run went from one step back to another; returns the rollback's number, from 1."""
    known = read(store)
    told = {"number": len(known) + 1, "at": at, "to": to, "condition": condition, "evidence": evidence}
    content = {"format": _FORMAT, "rollbacks": [*known, {**told, "created": now()}]}
    store.write(layout.ROLLBACKS, json.dumps(content, indent=2).encode())
    return len(known) + 1
