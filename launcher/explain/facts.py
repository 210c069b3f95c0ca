"""All that is known of a run that may not be well; `gather` asks, and nothing else here does."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from launcher.follow import LogLine
from launcher.status import RunStatus

Object = Mapping[str, Any]


@dataclass(frozen=True)
class Facts:
    """What cluster and bucket show of one run at one moment; what could not be asked is empty."""

    status: RunStatus
    """As `launcher status` shows it."""
    run: Object = field(default_factory=dict)
    """``run.json``."""
    said: Object = field(default_factory=dict)
    """``status.json``."""
    job: Object | None = None
    pods: Sequence[Object] = ()
    """All that the cluster still has, newest first."""
    events: Sequence[Object] = ()
    """About the Job and its pods, oldest first."""
    logs: Mapping[int, Sequence[LogLine]] = field(default_factory=dict)
    """Last lines of the workers that ended or are in trouble, by worker."""
    nodes: Sequence[Object] = ()
    """The cluster's nodes; empty where the user may not list them."""
    quotas: Sequence[Object] = ()
    """ResourceQuotas of the namespace."""
    others: Mapping[str, Object] = field(default_factory=dict)
    """Objects that a cause asked about by name, as ``Kind/name``: claims, service accounts, Workloads."""
