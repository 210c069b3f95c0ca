"""The labels and annotations by which a run's objects are found, and nobody else's."""

from collections.abc import Mapping
from typing import Any

from trainer.layout import RunPath

APP = "gantry"
NAME, INSTANCE = "app.kubernetes.io/name", "app.kubernetes.io/instance"
PART_OF, MANAGED_BY = "app.kubernetes.io/part-of", "app.kubernetes.io/managed-by"
ATTEMPT = "gantry/attempt"
ROOT = "gantry/root"  # annotation: a root is no label's value
CANCELLED = "gantry/cancelled"  # annotation: since when, so that a stopped Job differs from one not yet begun
QUEUE = "kueue.x-k8s.io/queue-name"
JOB_NAME = "batch.kubernetes.io/job-name"
COMPLETION_INDEX = "batch.kubernetes.io/job-completion-index"

MANAGED = f"{MANAGED_BY}={APP}"
"""Selects everything that this launcher made."""


def of_run(path: RunPath) -> str:
    """Selects the objects of one run's attempts; see `belongs` for the root."""
    return f"{NAME}={APP},{INSTANCE}={path.name},{PART_OF}={path.experiment}"


def of_job(job: str) -> str:
    """Selects the pods of one Job."""
    return f"{JOB_NAME}={job}"


def belongs(found: Mapping[str, Any], path: RunPath) -> bool:
    """Whether an object is of a run and not of its namesake in another root."""
    labels, root = found["metadata"].get("labels") or {}, annotation(found, ROOT)
    expected = {NAME: APP, INSTANCE: path.name, PART_OF: path.experiment}
    same_root = root is not None and root.rstrip("/") == path.root.rstrip("/")
    return same_root and all(labels.get(key) == value for key, value in expected.items())


def run_of(found: Mapping[str, Any]) -> RunPath | None:
    """The run that an object belongs to, None for one that does not say."""
    labels, root = found["metadata"].get("labels") or {}, annotation(found, ROOT)
    name, experiment = labels.get(INSTANCE), labels.get(PART_OF)
    return RunPath(root, experiment, name) if root and name and experiment else None


def annotation(found: Mapping[str, Any], key: str) -> str | None:
    """An annotation of an object."""
    value = (found["metadata"].get("annotations") or {}).get(key)
    return None if value is None else str(value)


def queue_of(job: Mapping[str, Any]) -> str | None:
    """The queue that decides when a Job begins, None for one that begins at once."""
    value = (job["metadata"].get("labels") or {}).get(QUEUE)
    return None if value is None else str(value)
