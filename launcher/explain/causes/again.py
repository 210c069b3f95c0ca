"""The commands that begin a run again, as it was but for one thing."""

import shlex
from collections.abc import Mapping
from typing import Any

from launcher.explain.facts import Facts

# Flags of `launcher submit` by field of `RunSpec`; the name is the new run's own.
_FLAGS = {
    "preset": "--preset",
    "workers": "--workers",
    "root": "--root",
    "experiment": "--experiment",
    "context": "--context",
    "namespace": "--namespace",
    "image": "--image",
    "gpus": "--gpus",
    "cpu": "--cpu",
    "memory": "--memory",
    "queue": "--queue",
    "service_account": "--service-account",
    "google_service_account": "--google-service-account",
    "backoff_limit": "--backoff-limit",
    "active_deadline_seconds": "--deadline",
    "grace_seconds": "--grace",
    "manifests": "--manifests",
}
_DEFAULTS = {
    "workers": 1, "experiment": "gan", "gpus": 0, "backoff_limit": 3, "grace_seconds": 60, "root": "runs",
}  # fmt: skip
_ENTRIES = {"env": "--env", "pod_labels": "--pod-label", "pod_annotations": "--pod-annotation"}
_REPEATED = {"overrides": "--set", "profiles": "--profile"}


def resume(facts: Facts, *more: str) -> str:
    """``launcher resume RUN``, after a ``cancel`` where it has not ended."""
    return _after_cancel(facts, facts.command("resume", *more))


def submit(facts: Facts, *more: str, **changes: Any) -> str:
    """``launcher submit`` of the same run under a new name, with changed fields and more words.

    A key that is set again, as ``--set KEY=VALUE`` or ``--env KEY=VALUE`` in `more`, is not said twice.
    """
    asked = {**_asked(facts), **changes}
    again = {word.partition("=")[0] for word in more if "=" in word}
    words = ["launcher", "submit"]
    for field, flag in _FLAGS.items():
        value = asked.get(field)
        if value is not None and value != _DEFAULTS.get(field):
            words += [flag, str(value)]
    for field, flag in _REPEATED.items():
        for each in asked.get(field) or ():
            if str(each).partition("=")[0] not in again:
                words += [flag, str(each)]
    for field, flag in _ENTRIES.items():
        for key, value in (asked.get(field) or {}).items():
            if key not in again:
                words += [flag, f"{key}={value}"]
    return _after_cancel(facts, shlex.join([*words, *more]))


def _asked(facts: Facts) -> Mapping[str, Any]:
    """What the run was asked for: by ``cluster.json``, else as far as ``run.json`` knows."""
    if facts.spec:
        return facts.spec
    run = facts.run
    return {
        "preset": run.get("preset") or facts.status.preset,
        "overrides": run.get("overrides"),
        "workers": run.get("world_size") or facts.status.world_size or 1,
        "root": facts.status.root,
        "experiment": facts.status.experiment,
    }


def _after_cancel(facts: Facts, command: str) -> str:
    return f"{facts.command('cancel')} && {command}" if facts.status.live else command
