"""What a submission does about a name that somebody else's object has.

A Job is named after its run, and two experiments, roots or people may each have a run of one name in a
namespace. A new run can be called otherwise, and the refusal says who has the name. A resumed one cannot, so
its Job is.
"""

import hashlib
from collections.abc import Mapping
from typing import Any

from launcher.backends.kubernetes.client.api import Api
from launcher.backends.kubernetes.client.kinds import kind_by_plural
from launcher.errors import AlreadyExists, RunExists, SpecError
from launcher.render import job_name
from launcher.render.labels import EVALUATION, INSTANCE, PART_OF, belongs, run_of
from launcher.spec.next_commands import command_line
from launcher.spec.runspec import RunSpec
from launcher.spec.validation import HOST_NAME, name_limit
from trainer.errors import GantryError

_SALT = 4  # hexadecimal digits; two runs that share them as well have one refused


def other_job_name(spec: RunSpec, attempt: int) -> str:
    """A name for the Job of an attempt that no namesake's has: it depends on root and experiment too."""
    whole = f"{spec.root.rstrip('/')}/{spec.experiment}/{spec.name}"
    tail = f"{job_name('', attempt)}-{hashlib.sha256(whole.encode()).hexdigest()[:_SALT]}"
    longest = HOST_NAME - len(f"-{spec.workers - 1}") - len(tail)
    return spec.name[:longest].rstrip("-") + tail


def in_the_way(api: Api, error: AlreadyExists, spec: RunSpec) -> GantryError:
    """The refusal of a submission that needs a name which an object of the namespace has."""
    name, plural = str(error.details.get("name")), str(error.details.get("kind"))
    kind = kind_by_plural(plural)
    found = api.get(kind, name) if kind else None
    if found is not None and belongs(found, spec.path):
        return RunExists(
            f"name '{spec.name}' is taken: namespace '{api.namespace}' still has its {kind} '{name}'; "
            f"remove it with `{command_line('delete', spec.path)}` or choose another --name"
        )
    return SpecError(
        f"name '{spec.name}': namespace '{api.namespace}' has {kind or plural} '{name}', which is of "
        f"{_owner(found)}; choose another, such as --name {another_name(spec)}"
    )


def _owner(found: Mapping[str, Any] | None) -> str:
    labels = (found or {"metadata": {}})["metadata"].get("labels") or {}
    if EVALUATION in labels:
        return f"an evaluation of run '{labels.get(PART_OF)}/{labels.get(INSTANCE)}'"
    run = None if found is None else run_of(found)
    if run is None:
        return "somebody else's making"
    return f"run '{run.experiment}/{run.name}' in root {run.root}"


def another_name(spec: RunSpec) -> str:
    """A name like the one that is taken, which a run may have."""
    whole, limit = f"{spec.experiment}-{spec.name}", name_limit(spec.workers)
    if len(whole) <= limit and whole[0].isalpha():
        return whole
    return spec.name[: limit - 2].rstrip("-") + "-2"
