"""From the settings of a run, complete or not, to what a doctor looks at."""

import secrets
from dataclasses import replace
from typing import Any

from launcher.backends.kubernetes.kind import KIND
from launcher.diagnosis.doctor.base import Subject
from launcher.errors import BadKubeconfig
from launcher.spec.kinds import has_pods, is_here
from launcher.spec.kubeconfig import check_context, current
from launcher.spec.settings import Layered, spec_from
from launcher.spec.yaml_file import Setting

_PRESET, _IMAGE, _BUCKET = "demo", "image-not-given:0", "gs://bucket-not-given/runs"


def subject_of(settings: Layered) -> Subject:
    """What settings ask for; a preset, an image and a bucket need not be among them.

    Raises:
        UserError: a value is wrong.
    """
    values = settings.values
    local = is_here(values["backend"]) and settings.origin("backend").startswith(("flag", "environment"))
    cluster = not local and _has_cluster(values.get("context"))
    required = has_pods(values["backend"]) or "context" in values
    root = str(values.get("root") or "runs")
    given: dict[str, Any] = {
        "preset": _PRESET,
        "image": _IMAGE,
        "root": _BUCKET,
        **{key: value for key, value in values.items() if value is not None},
        "backend": KIND.name,
        "experiment": "doctor",
        "name": f"doctor-{secrets.token_hex(4)}",
    }
    if not root.startswith("gs://"):
        given["root"] = _BUCKET
    if "preset" not in values:  # the stand-in's batch need not be divisible by what was given
        given.setdefault("set.batch_size", str(_replicas(given)))
    found = {key: Setting(value, settings.origin(key)) for key, value in given.items()}
    return Subject(
        spec=spec_from(replace(settings, settings=found)),
        local=local or not (cluster or required),
        required=required,
        root=root,
        image=values.get("image"),
    )


def _has_cluster(context: str | None) -> bool:
    """Whether a cluster is to be looked at; of a kubeconfig that is damaged its check will tell.

    Raises:
        SpecError: there is no context of the name that was given.
    """
    try:
        return current(context) is not None
    except BadKubeconfig:
        if context is not None:
            check_context(context)
        return True


def _replicas(given: dict[str, Any]) -> int:
    """Replicas of a run, 1 where the numbers are none; the specification complains of those."""
    numbers = [given.get(field) or 1 for field in ("workers", "gpus")]
    return numbers[0] * numbers[1] if all(isinstance(each, int) and each > 0 for each in numbers) else 1
