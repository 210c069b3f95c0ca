"""What of a cluster is a run's own, and the only way for a verb to reach it.

A name proves nothing: another experiment, another root and another person may have a run of the same name,
and so may the run itself after it was deleted and submitted anew. An object is an attempt's own if it says
so (root, experiment, run and attempt, which the launcher wrote on Job and pods) and, once that is known, by
its uid: ``cluster.json`` holds the Job's, which its pods carry as a label that outlives the Job.

What is changed or removed was read before, and goes by its uid as a precondition (`Api.patch`,
`Api.delete`): an object that took its name in between is left alone.
"""

from collections.abc import Mapping
from typing import Any

from launcher.backends.kubernetes.client.api import Api, Object
from launcher.backends.kubernetes.status.jobs import attempt_of
from launcher.backends.kubernetes.status.pods import is_there
from launcher.errors import NotFound
from launcher.render.labels import JOB_UID, belongs, of_job, of_run
from trainer.run.layout import RunPath


class Own:
    """The Job and the pods of one attempt of one run."""

    def __init__(self, api: Api, path: RunPath, name: str, attempt: int, uid: str | None = None) -> None:
        """`name` is the Job's, `uid` its uid where the run's record has it."""
        self.api, self.path, self.name, self.attempt = api, path, name, attempt
        self.uid = uid
        """The Job's; found out with the first look at it where the record lacks it."""

    def is_job(self, found: Mapping[str, Any]) -> bool:
        """Whether a Job is this attempt's."""
        metadata = found["metadata"]
        if (metadata.get("namespace"), metadata.get("name")) != (self.api.namespace, self.name):
            return False
        return is_job_of(found, self.path, self.attempt, self.uid)

    def is_pod(self, found: Mapping[str, Any]) -> bool:
        """Whether a pod is this attempt's, its Job be there or not."""
        made_by = (found["metadata"].get("labels") or {}).get(JOB_UID)
        return _says(found, self.path, self.attempt) and (None in (self.uid, made_by) or self.uid == made_by)

    def seen(self, found: Object | None) -> Object | None:
        """A Job of this name if it is this attempt's, else None; from now on it is known by its uid."""
        if found is None or not self.is_job(found):
            return None
        self.uid = str(found["metadata"]["uid"])
        return found

    def job(self) -> Object | None:
        """This attempt's Job as it is now, None when it is gone."""
        return self.seen(self.api.get("Job", self.name))

    @property
    def pod_selector(self) -> str:
        """Selects the pods of Jobs of this name; `is_pod` tells which are this attempt's."""
        return of_job(self.name)

    def pods(self) -> list[Object]:
        """This attempt's pods, the ended ones too."""
        return [pod for pod in self.api.list("Pod", self.pod_selector)["items"] if self.is_pod(pod)]

    def living(self) -> list[Object]:
        """Those of its pods that have not ended."""
        return [pod for pod in self.pods() if is_there(pod)]

    def delete(self, propagation: str = "Background") -> bool:
        """Remove this attempt's Job; False when there is none, or it is another by now."""
        job = self.job()
        if job is None:
            return False
        try:
            self.api.delete("Job", job, propagation)
        except NotFound:
            return False
        return True


def is_job_of(found: Mapping[str, Any], path: RunPath, attempt: int, uid: str | None) -> bool:
    """Whether a Job, in whatever list it was seen, is an attempt's own; `uid` where the record has it."""
    return _says(found, path, attempt) and uid in (None, found["metadata"].get("uid"))


def _says(found: Mapping[str, Any], path: RunPath, attempt: int) -> bool:
    return belongs(found, path) and attempt_of(found) == attempt


def jobs_of(api: Api, path: RunPath) -> list[Object]:
    """The Jobs of all attempts of a run, and of no namesake."""
    return [job for job in api.list("Job", of_run(path))["items"] if belongs(job, path)]


def pods_of(api: Api, path: RunPath) -> list[Object]:
    """The pods of all attempts of a run, those whose Job is gone too."""
    return [pod for pod in api.list("Pod", of_run(path))["items"] if belongs(pod, path)]


def is_orphan(pod: Mapping[str, Any]) -> bool:
    """Whether a pod trains on without anybody who would stop or replace it.

    A Job that is deleted with ``--cascade=orphan`` leaves its pods without an owner; those of one that is
    deleted otherwise name it until the collector has asked them to go.
    """
    metadata = pod["metadata"]
    owners = metadata.get("ownerReferences") or []
    asked = "deletionTimestamp" in metadata
    return is_there(pod) and not asked and not any(owner.get("controller") for owner in owners)
