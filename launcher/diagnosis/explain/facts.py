"""All that is known of a run that may not be well. `gathering` asks; causes only read.

What could not be asked is empty, so that a cause says nothing rather than something false.
"""

import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any, NamedTuple

from launcher.backends.kubernetes.status.jobs import Verdict, verdict
from launcher.backends.kubernetes.status.pods import newest_pods
from launcher.backends.kubernetes.status.wording import event_time, one_line
from launcher.diagnosis.explain.fix import Fix
from launcher.records.status import RunStatus
from launcher.spec.next_commands import command_line
from trainer.errors import Exhausted
from trainer.run.layout import RunPath

Object = Mapping[str, Any]
NAMESPACE = "Namespace/"
"""Before a name the entry of `Facts.others` that is empty where that one is gone; none where nobody asked."""
KUEUE = "APIGroup/kueue.x-k8s.io"
"""Entry of `Facts.others` that is empty where the cluster has no Kueue; none where nobody asked."""


class Line(NamedTuple):
    """One line that a worker wrote."""

    worker: int
    text: str
    time: str | None = None
    """ISO time, UTC; only a pod's own log has it, the copy in the run's folder has not."""


@dataclass(frozen=True)
class Facts:
    """What cluster and bucket show of one run at one moment; what could not be asked is empty."""

    status: RunStatus
    """As `launcher status` shows it."""
    run: Object = field(default_factory=dict)
    """``run.json``."""
    said: Object = field(default_factory=dict)
    """``status.json``."""
    spec: Object = field(default_factory=dict)
    """The `RunSpec` of the newest attempt, from ``cluster.json``; empty for a local run."""
    job: Object | None = None
    pods: Sequence[Object] = ()
    """All that the cluster still has of this attempt, newest first."""
    events: Sequence[Object] = ()
    """About the Job and its pods, those that are gone too, oldest first."""
    logs: Mapping[int, Sequence[Line]] = field(default_factory=dict)
    """Last lines of the workers that ended or are in trouble, and of worker 0, by worker."""
    nodes: Sequence[Object] = ()
    """The cluster's nodes; asked for only when a pod has none, empty where the user may not list them."""
    quotas: Sequence[Object] = ()
    """ResourceQuotas and LimitRanges of the namespace; asked for only when a pod could not be made."""
    cancelled: bool | None = None
    """Whether ``cancel.json`` asks this attempt to stop; None where nobody looked."""
    others: Mapping[str, Object] = field(default_factory=dict)
    """Other objects by ``Kind/name``: claims and service accounts that pods name, the Job's Workload, the
    namespace of a Job that is gone. One that is not there has no entry, but for `KUEUE` and `NAMESPACE`."""
    unasked: Sequence[str] = ()
    """What could not be asked and why, a line each."""
    context: str | None = None
    """The kubeconfig's context where that is not the current one, which kubectl has to be told then."""
    disk: Exhausted | None = None
    """What the disk of a run of this machine has come to the end of by now."""
    time: datetime | None = None
    """When it was looked at, by the API server's clock; None where that was not asked."""

    @property
    def path(self) -> RunPath:
        """The run's place."""
        return RunPath(self.status.root, self.status.experiment, self.status.run)

    @property
    def name(self) -> str:
        """How a sentence calls the run."""
        return f"run '{self.status.run}'"

    @property
    def namespace(self) -> str:
        """The namespace of its pods."""
        return self.status.namespace or "default"

    @cached_property
    def workers(self) -> Mapping[int, Sequence[Object]]:
        """Pods by worker, the newest first."""
        return newest_pods(self.pods)

    @property
    def newest(self) -> Sequence[tuple[int, Object]]:
        """Each worker's newest pod, by worker."""
        return [(worker, pods[0]) for worker, pods in sorted(self.workers.items())]

    @property
    def verdict(self) -> Verdict | None:
        """How the Job ended, None while that is open."""
        return None if self.job is None else verdict(self.job)

    def events_of(self, *reasons: str, about: Object | None = None) -> Sequence[Object]:
        """Events with one of these reasons, oldest first; `about` is the object that they are about."""
        uid = None if about is None else about["metadata"].get("uid")
        return [
            event
            for event in self.events
            if event.get("reason") in reasons
            and (uid is None or (event.get("involvedObject") or {}).get("uid") == uid)
        ]

    def newest_event(self, *reasons: str, about: Object | None = None) -> Object | None:
        """The newest event with one of these reasons."""
        return max(self.events_of(*reasons, about=about), key=event_time, default=None)

    def containers(self) -> Iterator[tuple[int, Object, Object]]:
        """Worker, pod and status of every container, of newest pods first."""
        for age in range(max(map(len, self.workers.values()), default=0)):
            for worker, pods in sorted(self.workers.items()):
                if age < len(pods):
                    status = pods[age].get("status") or {}
                    for key in ("initContainerStatuses", "containerStatuses"):
                        for container in status.get(key) or []:
                            yield worker, pods[age], container

    def config(self, key: str) -> Any:
        """A value of the resolved configuration by its dotted name, None where there is none."""
        value: Any = self.run.get("config") or {}
        for part in key.split("."):
            value = value.get(part) if isinstance(value, dict) else None
        return value

    def lines(self) -> Iterator[Line]:
        """The last lines of all logs that were read, worker by worker."""
        for _, lines in sorted(self.logs.items()):
            yield from lines

    def command(self, verb: str, *more: str) -> Fix:
        """A command of the launcher about this run: ``launcher resume demo-1``."""
        return launcher(verb, self.path, *more)

    def kubectl(self, verb: str, *words: str) -> Fix:
        """A command of kubectl in the run's namespace; `verb` may be several words."""
        return kubectl(self.context, self.namespace, verb, *words)

    def wide(self, verb: str, *words: str) -> Fix:
        """A command of kubectl about what belongs to no namespace."""
        return kubectl(self.context, None, verb, *words)


def launcher(verb: str, path: RunPath, *more: str) -> Fix:
    """A command of the launcher about a run."""
    return Fix.of(*shlex.split(command_line(verb, path, *more)))


def kubectl(context: str | None, namespace: str | None, verb: str, *words: str) -> Fix:
    """A command of kubectl, with context and namespace where it is told; `verb` may be several words."""
    where = [*(("--context", context) if context else ()), *(("-n", namespace) if namespace else ())]
    return Fix.of("kubectl", *where, *verb.split(), *words)


def object_name(found: Object, kind: str = "") -> str:
    """``Kind/name``; items of a list do not say their kind."""
    return f"{found.get('kind') or kind}/{found['metadata']['name']}"


def message_of(event: Object) -> str:
    """What an event says, on one line."""
    return one_line(event.get("message"), longest=1000)
