"""A file for each row and seed: docs/zoo/NAME-SEED.json, written as a whole."""

import hashlib
import json
from pathlib import Path
from typing import Any

from bench.contestant import ROOT
from trainer.config import RunConfig, validate
from trainer.errors import ConfigError

FOLDER = ROOT / "docs" / "zoo"
SETTLED = ("finished", "diverged")
"""How a run can end that would end so again; anything else is played once more."""


def hash_of(config: RunConfig) -> str:
    """sha256 of a resolved configuration."""
    text = json.dumps(config.model_dump(mode="json"), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def path(row: str, seed: int, folder: Path = FOLDER) -> Path:
    """Where it lies."""
    return folder / f"{row}-{seed}.json"


def read(row: str, seed: int, folder: Path = FOLDER) -> dict[str, Any] | None:
    """What is known of a row and seed; None where nothing is."""
    file = path(row, seed, folder)
    if not file.exists():
        return None
    found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return found


def write(said: dict[str, Any], folder: Path = FOLDER) -> None:
    """Put it there."""
    folder.mkdir(parents=True, exist_ok=True)
    file = path(said["row"], said["seed"], folder)
    new = file.with_suffix(".new")
    new.write_text(json.dumps(said, indent=2) + "\n", encoding="utf-8")
    new.replace(file)


def is_current(said: dict[str, Any] | None, config: RunConfig, features: str) -> bool:
    """Whether it says how this configuration ends, judged by these features.

    A field that the schema did not have then counts as its default: it came without changing a run.
    """
    return bool(said and said["outcome"] in SETTLED and not outdated(said, config, features))


def outdated(said: dict[str, Any], config: RunConfig, features: str) -> str:
    """Why it says nothing of this configuration and these features; empty where it does."""
    if said["features"] != features:
        return f"judged by {said['features']}"
    try:
        same = validate(said["resolved"], path(said["row"], said["seed"]).name) == config
    except ConfigError:
        same = False
    return "" if same else "of another configuration"
