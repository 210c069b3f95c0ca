"""What Kueue knows of a suspended Job: its Workload, and its place among those that wait.

The versions of Kueue's API change, so the server is asked which it prefers. After Kueue's documentation:
https://kueue.sigs.k8s.io/docs/concepts/workload/ and …/docs/tasks/manage/monitor_pending_workloads/
"""

from collections.abc import Iterator
from typing import Any

from launcher.backends.kubernetes.api import Api
from launcher.errors import ApiRejected
from launcher.explain.facts import KUEUE, Object

_GROUP, _VISIBILITY = "kueue.x-k8s.io", "visibility.kueue.x-k8s.io"
_JOB_UID = f"{_GROUP}/job-uid"  # label by which a Workload names its Job
_ABSENT = 404


def queue_facts(api: Api, job: Object, queue: str) -> Iterator[tuple[str, Object]]:
    """The Workload of a Job and its place, as entries of `Facts.others`; an empty group without Kueue.

    Raises:
        GantryError: the server refuses to tell.
    """
    version = _version(api, _GROUP)
    yield KUEUE, {} if version is None else {"kind": "APIGroup", "version": version}
    if version is None:
        return
    where = f"/namespaces/{api.namespace}"
    selector = {"labelSelector": f"{_JOB_UID}={job['metadata'].get('uid')}"}
    names = set()
    for found in api.read(f"/apis/{version}{where}/workloads", selector)["items"]:
        names.add(found["metadata"]["name"])
        yield f"Workload/{found['metadata']['name']}", {**found, "kind": "Workload"}
    if names and (seen := _version(api, _VISIBILITY)):
        path = f"/apis/{seen}{where}/localqueues/{queue}/pendingworkloads"
        for found in api.read(path).get("items") or []:
            if found["metadata"]["name"] in names:
                yield f"PendingWorkload/{found['metadata']['name']}", {**found, "kind": "PendingWorkload"}


def _version(api: Api, group: str) -> str | None:
    """``group/version`` as the server prefers it, None where it has no such group."""
    try:
        found: dict[str, Any] = api.read(f"/apis/{group}")
    except ApiRejected as error:
        if error.code != _ABSENT:
            raise
        return None
    return str(found["preferredVersion"]["groupVersion"])
