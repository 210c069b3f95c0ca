"""From a run's folder back to the `launcher submit` line that asks for the same run."""

import shlex
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from launcher.asked import asked
from launcher.backends.local.record import read_record
from launcher.lookup import Found
from launcher.secrecy import looks_secret, without_password
from launcher.settings import flag_of
from launcher.spec import RunSpec, derive_backend

_NOT_ASKED = ("name", "preset", "backend")  # a new run has a name of its own; the other two come first
HIDDEN = "..."


def reproducible(found: Found, run: Mapping[str, Any]) -> dict[str, Any]:
    """What a run was asked for, with the threads that its workers had: other numbers give other bits.

    Raises:
        GantryError: ``cluster.json`` or ``local.json`` is damaged.
    """
    values = asked(found, run)
    record = read_record(found.store) if values.get("backend") == "local" else None
    if record is not None and values.get("threads") is None:
        values["threads"] = record.threads
    return values


def submit_line(values: dict[str, Any]) -> str | None:
    """The command that asks for a run again, under a new name; None where nothing says how it was started.

    It needs nothing of the run, as a report may be all that is left of it or all that somebody has. What
    looks like a secret is left out: its value is ``...``.
    """
    if not values.get("preset"):
        return None
    words = ["launcher", "submit", "--preset", str(values["preset"])]
    if values.get("backend") != derive_backend(values.get("image"), values.get("root"))[0]:
        words += ["--backend", str(values["backend"])]
    for field, info in RunSpec.model_fields.items():
        value = values.get(field)
        unset = (
            value is None or value in ((), [], {}) or (not info.is_required() and value == info.get_default())
        )
        if field not in _NOT_ASKED and not unset:
            texts = _texts(field, value, values.get("env_plain") or ())
            words += [word for text in texts for word in (flag_of(field), text)]
    return shlex.join(words)


def _texts(field: str, value: Any, plain: Collection[str]) -> Iterator[str]:
    """The value of a flag each time that it is given."""
    if isinstance(value, dict):
        for key, text in value.items():
            hidden = field == "env" and key not in plain and looks_secret(key, str(text))
            yield f"{key}={HIDDEN if hidden else text}"
    elif isinstance(value, list | tuple):
        yield from (without_password(str(text)) for text in value)
    else:
        yield without_password(str(value))
