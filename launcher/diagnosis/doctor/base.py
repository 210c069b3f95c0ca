"""What a check is told, and what it says."""

import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

from launcher.render import render
from launcher.spec.runspec import RunSpec

if TYPE_CHECKING:
    from launcher.backends.kubernetes.capacity.fitting import Nodes
    from launcher.backends.kubernetes.client.api import Api
    from launcher.backends.kubernetes.jobs.judgement import Judgement

OK, WARN, FAIL = "ok", "warn", "fail"
PATIENCE_SECONDS = 15.0  # with an API server or a bucket that does not answer


@dataclass(frozen=True)
class Result:
    """What one check found."""

    check: str
    level: str
    """``ok``, ``warn`` (runs may do without it, or it could not be asked) or ``fail``."""
    text: str
    fix: str = ""
    """What to do, a command where there is one; empty when all is well."""


@dataclass(frozen=True)
class Report:
    """What all checks found, in the order of their tables."""

    checks: list[Result]
    ok: int
    warn: int
    fail: int

    @classmethod
    def of(cls, checks: Iterable[Result]) -> "Report":
        """A report with its counts."""
        found = list(checks)
        counts = {level: sum(each.level == level for each in found) for level in (OK, WARN, FAIL)}
        return cls(found, **counts)


@dataclass
class Subject:
    """The runs that are to be possible, and the places that they need."""

    spec: RunSpec
    """A run on a cluster with what was given, and with stand-ins where nothing was."""
    local: bool
    """Whether runs are meant for this machine alone."""
    required: bool
    """Whether a cluster was asked for, by an image, a bucket, a context or the backend."""
    root: str
    """Where runs are kept, a folder or a bucket."""
    image: str | None
    """None where none was given."""
    _api: "Api | None" = None
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _nodes: "Nodes | None" = None
    _judgement: "Judgement | None" = None

    @property
    def bucket(self) -> bool:
        """Whether runs are kept where pods reach them."""
        return self.root.startswith("gs://")

    @property
    def api(self) -> "Api":
        """The cluster; nothing is sent by asking for it."""
        from launcher.backends.kubernetes.client.api import connect

        with self._lock:
            if self._api is None:
                self._api = connect(self.spec.context, self.spec.namespace)
                self._api.transport.patience = PATIENCE_SECONDS
            return self._api

    @cached_property
    def manifests(self) -> list[dict[str, Any]]:
        """What a submit of such a run would send."""
        return render(self.spec.model_copy(update={"namespace": self.api.namespace}))

    def judgement(self) -> "Judgement":
        """What the API server says of a worker's pod, asked for once.

        Raises:
            NamespaceMissing: there is no such namespace.
        """
        from launcher.backends.kubernetes.jobs.judgement import judge

        manifests, api = self.manifests, self.api
        with self._lock:
            if self._judgement is None:
                self._judgement = judge(api, manifests)
            return self._judgement

    def nodes(self) -> "Nodes":
        """The cluster's nodes and pods, asked for once.

        Raises:
            Forbidden: the user may not list nodes.
        """
        from launcher.backends.kubernetes.capacity.fitting import nodes_and_pods

        api = self.api
        with self._lock:
            if self._nodes is None:
                self._nodes = nodes_and_pods(api)
            return self._nodes


class Check(NamedTuple):
    """One question."""

    name: str
    ask: Callable[[Subject], Result | list[Result]]
