"""What Kueue knows of a suspended Job: its Workload, and its place among those that wait.

The versions of Kueue's API change, so the server is asked which it prefers. After Kueue's documentation:
https://kueue.sigs.k8s.io/docs/concepts/workload/ and …/docs/tasks/manage/monitor_pending_workloads/
"""

from collections.abc import Iterable, Iterator
from typing import Any

from launcher.backends.kubernetes.client.api import Api
from launcher.diagnosis.explain.facts import KUEUE, Object
from launcher.errors import ApiRejected

_GROUP, _VISIBILITY = "kueue.x-k8s.io", "visibility.kueue.x-k8s.io"
_JOB_UID = f"{_GROUP}/job-uid"  # label by which a Workload names its Job
_ABSENT = 404


def workload_facts(api: Api, job: Object) -> Iterator[tuple[str, Object]]:
    """The Workload of a Job, as an entry of `Facts.others`; an empty group without Kueue.

    Raises:
        GantryError: the server refuses to tell.
    """
    version = _version(api, _GROUP)
    yield KUEUE, {} if version is None else {"kind": "APIGroup", "version": version}
    if version is None:
        return
    selector = {"labelSelector": f"{_JOB_UID}={job['metadata'].get('uid')}"}
    for found in api.read_list(f"/apis/{version}/namespaces/{api.namespace}/workloads", selector)["items"]:
        yield f"Workload/{found['metadata']['name']}", {**found, "kind": "Workload"}


def place_facts(api: Api, queue: str, workloads: Iterable[str]) -> Iterator[tuple[str, Object]]:
    """The places of some Workloads in their LocalQueue, as entries of `Facts.others`.

    A server of Kueue's own tells, which may be off while all else is well: it is asked once.

    Raises:
        GantryError: it is off, has no such queue, or refuses to tell.
    """
    if not (version := _version(api, _VISIBILITY)):
        return
    patience, api.transport.patience = api.transport.patience, 0.0
    try:
        found = api.read(f"/apis/{version}/namespaces/{api.namespace}/localqueues/{queue}/pendingworkloads")
    finally:
        api.transport.patience = patience
    for each in found.get("items") or []:
        if f"Workload/{each['metadata']['name']}" in workloads:
            yield f"PendingWorkload/{each['metadata']['name']}", {**each, "kind": "PendingWorkload"}


def _version(api: Api, group: str) -> str | None:
    """``group/version`` as the server prefers it, None where it has no such group."""
    try:
        found: dict[str, Any] = api.read(f"/apis/{group}")
    except ApiRejected as error:
        if error.code != _ABSENT:
            raise
        return None
    return str(found["preferredVersion"]["groupVersion"])
