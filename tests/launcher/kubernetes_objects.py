"""Jobs, pods and events as a real API server shows them, cut to what the launcher reads."""

from datetime import UTC, datetime, timedelta

from launcher.backends.kubernetes.status.observe import Ages

BEGAN = datetime(2026, 11, 20, 12, 0, 0, tzinfo=UTC)


LABELS = {
    "app.kubernetes.io/name": "gantry",
    "app.kubernetes.io/instance": "one",
    "app.kubernetes.io/part-of": "gan",
    "app.kubernetes.io/managed-by": "gantry",
    "gantry/attempt": "1",
}


def stamp(seconds=0.0):
    """The time so many seconds after the Job was created, as the API server writes it."""
    return (BEGAN + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")


def job(workers=2, conditions=(), suspend=False, labels=None, annotations=None, **status):
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": "one",
            "namespace": "team",
            "uid": "job-uid",
            "creationTimestamp": stamp(),
            "labels": {**LABELS, **(labels or {})},
            "annotations": {"gantry/root": "gs://runs/gan", **(annotations or {})},
        },
        "spec": {
            "completionMode": "Indexed",
            "completions": workers,
            "parallelism": workers,
            "backoffLimit": 3,
            "suspend": suspend,
            "template": {
                "spec": {
                    "terminationGracePeriodSeconds": 60,
                    "containers": [{"name": "trainer", "resources": {"limits": {"memory": "2Gi"}}}],
                }
            },
        },
        "status": {
            **({"conditions": [condition(*each) for each in conditions]} if conditions else {}),
            **status,
        },
    }


def condition(kind, reason="", message="", status="True"):
    return {"type": kind, "status": status, "reason": reason, "message": message}


def pod(worker=0, name=None, phase="Running", age=0.0, node="node-a", state=None, going=False, **status):
    """A pod of worker `worker`; `state` is its container's, by default one that fits the phase."""
    if state is None and phase == "Running":
        state = {"running": {"startedAt": stamp(age + 1)}}
    containers = [
        {
            "name": "trainer",
            "image": "reg/gantry:1",
            "ready": "running" in (state or {}),
            "restartCount": 0,
            "state": state or {},
        }
    ]
    return {
        "kind": "Pod",
        "metadata": {
            "name": name or f"one-{worker}-abcde",
            "uid": f"uid-{name or worker}",
            "creationTimestamp": stamp(age),
            **({"deletionTimestamp": stamp(age + 60)} if going else {}),
            "labels": {
                **LABELS,
                "batch.kubernetes.io/job-name": "one",
                "batch.kubernetes.io/controller-uid": "job-uid",
                "batch.kubernetes.io/job-completion-index": str(worker),
            },
            "annotations": {"gantry/root": "gs://runs/gan"},
            "ownerReferences": [{"kind": "Job", "name": "one", "uid": "job-uid", "controller": True}],
        },
        "spec": {
            **({"nodeName": node} if node else {}),
            "terminationGracePeriodSeconds": 60,
            "containers": [{"name": "trainer", "resources": {"limits": {"memory": "2Gi"}}}],
        },
        "status": {"phase": phase, **({"containerStatuses": containers} if state else {}), **status},
    }


def ended(code, message="", reason="Error", **more):
    """A container's state after it has ended."""
    return {"terminated": {"exitCode": code, "reason": reason, "message": message, **more}}


def waiting(reason, message=""):
    """A container's state before it has begun."""
    return {"waiting": {"reason": reason, "message": message}}


def event(about, reason, message, age=0.0, kind="Warning"):
    return {
        "type": kind,
        "reason": reason,
        "message": message,
        "lastTimestamp": stamp(age),
        "involvedObject": {"kind": about["kind"], "name": about["metadata"]["name"]},
    }


def ages(word, submitted=-1.0, seconds=20.0):
    """How old the word and the submission are so many seconds after the Job was created."""
    updated = datetime.fromisoformat(word["updated"]) if word and "updated" in word else None
    passed = timedelta(seconds=seconds)
    return Ages((BEGAN + passed - updated).total_seconds() if updated else None, seconds - submitted)


def said(state="running", age=10.0, **more):
    """What ``status.json`` holds."""
    return {"state": state, "step": 20, "updated": (BEGAN + timedelta(seconds=age)).isoformat(), **more}
