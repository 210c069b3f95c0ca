"""The Jobs that judge a run's checkpoints: found as a run's own are, by what they say of it and by uid."""

from collections.abc import Mapping
from typing import Any

from launcher.backends.kubernetes.client.api import Api, Object
from launcher.backends.kubernetes.status.jobs import is_deleted, verdict
from launcher.backends.kubernetes.status.ours import Own
from launcher.render.labels import APP, EVALUATION, INSTANCE, JOB_UID, NAME, PART_OF, evaluates
from trainer.run.layout import RunPath

_NO_ATTEMPT = 0  # none has logs in the run's folder


class OwnEvaluation(Own):
    """The Job and the pods of one evaluation of a run."""

    def __init__(self, api: Api, path: RunPath, name: str, uid: str) -> None:
        """`name` and `uid` are the Job's."""
        super().__init__(api, path, name, _NO_ATTEMPT, uid)

    def is_job(self, found: Mapping[str, Any]) -> bool:
        """Whether a Job is this evaluation's."""
        metadata = found["metadata"]
        return evaluates(found, self.path) and metadata.get("uid") == self.uid

    def is_pod(self, found: Mapping[str, Any]) -> bool:
        """Whether a pod is this evaluation's, its Job be there or not."""
        labels = found["metadata"].get("labels") or {}
        return evaluates(found, self.path) and labels.get(JOB_UID) == self.uid


def of_job(api: Api, path: RunPath, job: Mapping[str, Any]) -> OwnEvaluation:
    """An evaluation by its Job."""
    return OwnEvaluation(api, path, str(job["metadata"]["name"]), str(job["metadata"]["uid"]))


def evaluations_of(api: Api, path: RunPath) -> list[Object]:
    """Jobs of all evaluations of a run that the cluster has, and of no namesake's."""
    selector = f"{NAME}={APP},{INSTANCE}={path.name},{PART_OF}={path.experiment},{EVALUATION}"
    return [job for job in api.list("Job", selector)["items"] if evaluates(job, path)]


def under_way(api: Api, path: RunPath) -> list[Object]:
    """Those that have not ended."""
    return [job for job in evaluations_of(api, path) if verdict(job) is None and not is_deleted(job)]
