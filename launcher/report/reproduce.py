"""From a run's folder back to the `launcher submit` line that asks for the same run."""

import shlex
from collections.abc import Iterator
from typing import Any

from launcher.backends.kubernetes.record import read_record as read_cluster_record
from launcher.backends.local.record import read_record
from launcher.lookup import Found
from launcher.secrecy import looks_secret, without_password
from launcher.settings import flag_of
from launcher.spec import RunSpec, derive_backend

_NOT_ASKED = ("name", "preset", "backend")  # a new run has a name of its own; the other two come first
HIDDEN = "..."


def asked(found: Found, run: dict[str, Any]) -> dict[str, Any]:
    """Fields of `RunSpec` that the newest attempt was started with, those of the run's place included.

    Args:
        found: the run.
        run: its ``run.json``, empty when there is none.

    Raises:
        GantryError: ``cluster.json`` or ``local.json`` is damaged.
    """
    place = {"root": found.path.root, "experiment": found.path.experiment, "name": found.path.name}
    if cluster := read_cluster_record(found.store):
        return {**place, **cluster.spec, "backend": "kubernetes"}
    if record := read_record(found.store):
        shape = {"workers": record.workers, "threads": record.threads}
        return {"preset": record.preset, "overrides": record.overrides, **shape, **place, "backend": "local"}
    if not run.get("preset"):
        return {}
    shape = {"workers": run.get("world_size") or 1}
    overrides = tuple(map(str, run.get("overrides") or ()))
    return {"preset": run["preset"], "overrides": overrides, **shape, **place, "backend": "local"}


def submit_line(values: dict[str, Any]) -> str | None:
    """The command that asks for a run again, under a new name; None where nothing says how it was asked for.

    What looks like a secret is left out: its value is ``...``.
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
            words += [word for text in _texts(field, value) for word in (flag_of(field), text)]
    return shlex.join(words)


def _texts(field: str, value: Any) -> Iterator[str]:
    """The value of a flag each time that it is given."""
    if isinstance(value, dict):
        for key, text in value.items():
            hidden = field == "env" and looks_secret(key, str(text))
            yield f"{key}={HIDDEN if hidden else text}"
    elif isinstance(value, list | tuple):
        yield from (without_password(str(text)) for text in value)
    else:
        yield without_password(str(value))
