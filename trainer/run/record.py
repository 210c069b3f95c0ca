"""``run.json``: what the run is, and whether a process that comes to it may go on.

The launcher's Kubernetes backend writes it before there is any process, to claim the name; the first chief
adds what only it knows, the versions and the revision that run.
"""

import json
import os
import platform
from collections.abc import Mapping
from importlib import metadata
from typing import Any, NamedTuple

from trainer import config as configuration
from trainer.config import RunConfig
from trainer.environment.revision import revision
from trainer.errors import ConfigError, ObjectMissing, RunLost, UserError
from trainer.run import layout, lost
from trainer.run.status import now
from trainer.storage import Store


class Record(NamedTuple):
    """A run's record as it lies in the store."""

    config: RunConfig
    """The resolved configuration."""
    values: dict[str, Any]
    """The whole of run.json."""
    generation: int
    """Of the object that was read."""

    @property
    def has_begun(self) -> bool:
        """Whether a chief has written it; a launcher that claims the name does not know its versions."""
        return "python" in (self.values.get("versions") or {})


def read(store: Store) -> Record | None:
    """The run's record, None when there is no run yet.

    Raises:
        UserError: run.json cannot be read or was written by a newer Gantry.
    """
    # Asked first: a change in between is found when the generation is made a condition of the next write.
    found = store.stat(layout.RUN)
    if found is None:
        return None
    try:
        text = store.read(layout.RUN)
    except ObjectMissing:
        return None
    where = f"{store.url}/{layout.RUN}"
    try:
        values = json.loads(text)
        version = values["format"]
    except (ValueError, KeyError, TypeError):
        raise UserError(f"{where}: cannot be read as a run's record") from None
    if not isinstance(version, int) or not 1 <= version <= layout.FORMAT:
        raise UserError(f"{where}: format is {version}, this Gantry reads formats 1 to {layout.FORMAT}")
    # An older one lacks what it did not know: `validate` gives those values their defaults, and whoever reads
    # the rest of a record asks with `get`.
    return Record(configuration.validate(values.get("config", {}), where), values, found.generation)


def check(store: Store, config: RunConfig, fresh: bool, begun: bool = False) -> Record | None:
    """The record of the run that `config` goes on with, None for a new one; `begun` expects one.

    Raises:
        UserError: `fresh` was asked for and the run exists.
        RunLost: there is none, and it was there or left checkpoints.
        ConfigError: the run was begun with other values; only `steps` may grow.
    """
    record = read(store)
    if record is None and begun:
        lost.check_record(store)
        record = read(store)
    if record is None:
        _check_new(store)
        return None
    if fresh:
        raise UserError(f"--fresh: the run {store.url} exists; choose another --run or leave --fresh out")
    if changed := configuration.conflicts(_as_begun(record.config, config), config):
        fields = ", ".join(f"{name} (was {old}, now {new})" for name, (old, new) in changed.items())
        raise ConfigError(f"the run {store.url} was begun with other values: {fields}; only steps may grow")
    return record


def _as_begun(old: RunConfig, config: RunConfig) -> RunConfig:
    """A record's configuration; an older trainer kept the path of its data as it was typed."""
    placed = configuration.placed(old)
    return placed if placed.data.source == config.data.source else old


def _check_new(store: Store) -> None:
    """Refuse to begin a run over what is left of one.

    Raises:
        RunLost: checkpoints are there, whose configuration nobody knows.
    """
    left = next((found for found in store.list("checkpoints/") if layout.is_complete(*found[:2])), None)
    if left is not None:
        raise RunLost(
            f"{store.url}: run.json is gone, and {left.name.rpartition('/')[0]} is still there: somebody has "
            "removed the run's record, without which nothing can be continued; remove the rest or choose "
            "another --run"
        )


def write(
    store: Store,
    config: RunConfig,
    old: Record | None,
    begun: Mapping[str, Any],
    renewed: bool = False,
    **about: Any,
) -> dict[str, Any]:
    """Write run.json for a new run, or again when something is to be added to it; returns its content.

    Args:
        store: the run's.
        config: what the run is.
        old: the record as it was found.
        begun: what the first chief alone decides, for all that come after it.
        renewed: whether what is said of the run's data is to be said anew.
        about: what a launcher that claimed the run has written already.

    Raises:
        PreconditionFailed: another process began or changed the run meanwhile.
    """
    # The condition keeps two processes from both beginning the run.
    if old is None:
        values = {
            "format": layout.FORMAT,
            "created": now(),
            **about,
            **begun,
            "seed": config.seed,
            "versions": _versions(),
            "git_revision": revision(os.environ),
            "config": config.model_dump(mode="json"),
        }
        _put(store, values, 0)
        return values
    changes = _completed(old, begun) | _extended(old, config)
    if renewed and old.values.get("data") != begun["data"]:
        changes["data"] = begun["data"]
    if changes:
        _put(store, old.values | changes, old.generation)
    return old.values | changes


def put(store: Store, old: Record, changes: dict[str, Any]) -> None:
    """Write run.json again with some of its values changed.

    Raises:
        PreconditionFailed: another process changed the run meanwhile.
    """
    _put(store, old.values | changes, old.generation)


def _completed(old: Record, begun: Mapping[str, Any]) -> dict[str, Any]:
    """What the launcher that claimed the run could not know, or an older trainer did not."""
    missing = {
        key: value
        for key, value in begun.items()
        if key not in old.values or (old.values[key] is None and value is not None)
    }
    if old.has_begun:
        return missing
    return {
        **missing,
        "versions": (old.values.get("versions") or {}) | _versions(),
        "git_revision": old.values.get("git_revision") or revision(os.environ),
    }


def _extended(old: Record, config: RunConfig) -> dict[str, Any]:
    """The configuration of a run that goes on with more steps, or other values that change no result."""
    if old.config == config:
        return {}
    found: dict[str, Any] = {"config": config.model_dump(mode="json")}
    changed = configuration.difference(
        _as_begun(old.config, config), config
    )  # the path may be said otherwise
    if changed.pop("steps", None):
        found["extended"] = now()
    if changed:
        found["changed"] = [*(old.values.get("changed") or ()), {"at": now(), "values": changed}]
    return found


def _put(store: Store, values: dict[str, Any], generation: int) -> None:
    store.write(layout.RUN, json.dumps(values, indent=2).encode(), if_generation=generation)


def _versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for package in ("gantry", "tensorflow", "tensorflow-cpu", "keras", "numpy"):
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found
