"""The pods of a Job, kept up to date by a watch, in the words that following their logs needs."""

import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from launcher.backends.kubernetes.status.ours import Own
from launcher.errors import Expired, Transient
from launcher.render.labels import COMPLETION_INDEX, annotation
from trainer.errors import EXIT_DONE

CONTAINER = "trainer"
_WATCH_SECONDS = 30.0  # then it is opened again, so that one that is half dead is noticed
_PAUSE_SECONDS = 0.2


@dataclass(eq=False)
class Pod:
    """One pod; what is true of it once stays true."""

    name: str
    worker: int
    created: str
    started: bool = False
    """Its container has run, so that it has a log."""
    ended: bool = False
    """Its container writes no more."""
    done: bool = False
    """It did all that its worker had to do, so that none follows it."""
    gone: bool = False
    """The API server has forgotten it."""
    drained: bool = False
    """Its log was read to its end."""


class Pods:
    """All pods of an attempt that were seen, the gone ones too; `changed` is notified of every change.

    With `worker` those of one worker alone: of 1,000 pods the server then sends one.
    """

    def __init__(self, own: Own, worker: int | None = None) -> None:
        self.changed = threading.Condition()
        self._own, self._api = own, own.api
        self._selector = own.pod_selector + ("" if worker is None else f",{COMPLETION_INDEX}={worker}")
        self._pods: dict[str, Pod] = {}

    def refresh(self) -> str:
        """List the pods; returns the resource version to watch from."""
        with self.changed:
            known = set(self._pods)  # a pod that the watch finds meanwhile may be missing in the list
        listed = self._api.list("Pod", self._selector)
        items = [item for item in listed["items"] if self._own.is_pod(item)]
        with self.changed:
            for item in items:
                self._see(item)
            for uid in known - {item["metadata"]["uid"] for item in items}:
                self._pods[uid].gone = True
            self.changed.notify_all()
        return str(listed["metadata"]["resourceVersion"])

    def watch(self, closed: threading.Event) -> None:
        """Keep up to date until closed."""
        while not closed.is_set():
            version = self.refresh()
            try:
                while not closed.is_set():
                    version = self._watch_once(version, closed)
            except (Transient, Expired):
                closed.wait(_PAUSE_SECONDS)

    def _watch_once(self, version: str, closed: threading.Event) -> str:
        for event in self._api.watch("Pod", self._selector, version, _WATCH_SECONDS):
            version = str(event["object"]["metadata"]["resourceVersion"])
            if closed.is_set():
                break
            if event["type"] != "BOOKMARK" and self._own.is_pod(event["object"]):
                with self.changed:
                    pod = self._see(event["object"])
                    pod.gone = pod.gone or event["type"] == "DELETED"
                    self.changed.notify_all()
        return version

    def of(self, worker: int) -> list[Pod]:
        """The pods that were one worker, oldest first."""
        with self.changed:
            found = [pod for pod in self._pods.values() if pod.worker == worker]
        return sorted(found, key=lambda pod: (pod.created, pod.name))

    def workers(self) -> set[int]:
        """Workers that have or had a pod."""
        with self.changed:
            return {pod.worker for pod in self._pods.values()}

    def done(self, workers: Iterable[int]) -> bool:
        """Whether these workers have done all they had to do, whether or not their pods have ended."""
        wanted = set(workers)
        with self.changed:
            return wanted <= {pod.worker for pod in self._pods.values() if pod.done}

    def drained(self, workers: Iterable[int]) -> bool:
        """Whether nothing is left to be read of these workers' pods."""
        wanted = set(workers)
        with self.changed:
            return all(pod.drained for pod in self._pods.values() if pod.worker in wanted)

    def _see(self, manifest: Mapping[str, Any]) -> Pod:
        metadata, status = manifest["metadata"], manifest.get("status") or {}
        pod = self._pods.get(metadata["uid"])
        if pod is None:
            worker = int(annotation(manifest, COMPLETION_INDEX) or 0)
            pod = Pod(metadata["name"], worker, str(metadata["creationTimestamp"]))
            self._pods[metadata["uid"]] = pod
        state = _container_state(status)
        over = status.get("phase") in ("Succeeded", "Failed")
        pod.started = pod.started or over or "running" in state or "terminated" in state
        pod.ended = pod.ended or over or "terminated" in state
        pod.done = pod.done or state.get("terminated", {}).get("exitCode") == EXIT_DONE
        return pod


def _container_state(status: Mapping[str, Any]) -> Mapping[str, Any]:
    for container in status.get("containerStatuses") or []:
        if container["name"] == CONTAINER:
            return container.get("state") or {}
    return {}
