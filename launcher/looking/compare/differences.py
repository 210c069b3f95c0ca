"""The values in which runs differ, as one level of dotted keys."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from launcher.spec.redaction import without_password
from launcher.wording import counted
from trainer.config import flatten, validate
from trainer.errors import ConfigError


@dataclass(frozen=True)
class Difference:
    """One value that is not the same in all runs."""

    key: str
    """Dotted, such as ``optimizer.learning_rate``, or ``workers``, ``image``, ``versions.tensorflow``."""
    values: list[Any]
    """One for each run; None where a run has none."""


def traits(run: Mapping[str, Any], workers: int | None, image: str | None) -> dict[str, Any]:
    """What a run was, flat: its resolved configuration, and around it what else decides the result.

    Args:
        run: the content of ``run.json``.
        workers: of its newest attempt.
        image: of its newest attempt, None for processes.
    """
    found: dict[str, Any] = {"preset": run.get("preset"), "workers": workers, "image": image}
    found |= flatten(configuration(run))
    found["data.resolved"] = data_text(run.get("data"))
    found["warm_started_from"] = warm_start_text(run.get("warm_start"))
    found["schedule"] = run.get("schedule")
    found["git_revision"] = run.get("git_revision")
    versions = run.get("versions")
    return found | flatten(versions if isinstance(versions, Mapping) else {}, "versions.")


def configuration(run: Mapping[str, Any]) -> dict[str, Any]:
    """A run's configuration with today's default for every key that it is too old to have; as it is, when
    this launcher cannot read it.
    """
    stored = run.get("config")
    if not isinstance(stored, Mapping):
        return {}
    try:
        return validate(stored, "config").model_dump(mode="json")
    except ConfigError:
        return dict(stored)


def warm_start_text(values: object) -> str | None:
    """Where a run's first weights came from, in a few words."""
    if not isinstance(values, Mapping):
        return None
    told = f"{values.get('run')} at step {values.get('step')}, optimizer {values.get('optimizer', 'fresh')}"
    for key, what in (("new", "new"), ("frozen", "frozen")):
        if isinstance(names := values.get(key), list) and names:
            told += f", {_number(len(names), 'variable')} {what}"
    return told


def data_text(values: object) -> str | None:
    """What a run's data was, in a few words; an older trainer wrote down only what ``latest`` had meant."""
    if not isinstance(values, Mapping):
        return None if values is None else without_password(str(values))
    told = [without_password(str(values.get("source")))]
    if values.get("images") is not None:
        told.append(f"{_number(values['images'], 'image')} in {_number(values.get('files'), 'file')}")
    told.append(f"crc32c {values.get('fingerprint')}")
    if values.get("skipped"):
        told.append(f"{_number(values['skipped'], 'damaged one')} left out")
    if values.get("accepted"):
        told.append(f"changed {_number(values['accepted'], 'time')}, which was accepted")
    return ", ".join(told)


def _number(count: object, noun: str) -> str:
    """A number of things; what a file says may be anything."""
    return counted(count, noun) if isinstance(count, int) else f"{count} {noun}s"


def differing(each: Sequence[Mapping[str, Any]]) -> list[Difference]:
    """The keys whose values are not all the same, in the order of the first run that has them."""
    keys = dict.fromkeys(key for values in each for key in values)
    return [
        Difference(key, [values.get(key) for values in each])
        for key in keys
        if any(values.get(key) != each[0].get(key) for values in each)
    ]
